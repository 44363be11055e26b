//! Random commands from `grammar.txt`.

use crate::target::Words;

/// A part of a template.
enum Part {
    Word(String),
    /// A choice of lists of parts.
    Choice(Vec<Vec<Part>>),
    /// Parts that come up to three times.
    Repeat(Vec<Part>),
}

pub struct Generator {
    /// Whether commands are spoilt now and then: what older servers say of them differs too often.
    spoils: bool,
    templates: Vec<Vec<Part>>,
    random: std::cell::RefCell<fastrand::Rng>,
}

fn parse(words: &mut std::iter::Peekable<std::str::SplitWhitespace<'_>>) -> Vec<Part> {
    let mut parts = Vec::new();
    while let Some(word) = words.peek() {
        match *word {
            "]" | "|" | "}" => break,
            "[" => {
                words.next();
                let mut options = vec![parse(words)];
                while words.next() == Some("|") {
                    options.push(parse(words));
                }
                parts.push(Part::Choice(options));
            }
            "{" => {
                words.next();
                parts.push(Part::Repeat(parse(words)));
                words.next();
            }
            word => {
                parts.push(Part::Word(word.to_owned()));
                words.next();
            }
        }
    }
    parts
}

impl Generator {
    pub fn new(seed: u64, version: u32, knows: impl Fn(&str) -> bool) -> Self {
        let only = std::env::var("DIFFERENTIAL_ONLY").unwrap_or_default();
        let lines = include_str!("grammar.txt").lines();
        let lines = lines.filter_map(|line| match line.strip_prefix("@8 ") {
            Some(line) => (version >= 8).then_some(line),
            None => Some(line),
        });
        let wanted =
            lines.filter(|line| !line.starts_with('#') && !line.is_empty()).filter(|line| {
                let mut words = line.split_whitespace().filter(|word| {
                    word.chars().all(|char| char.is_ascii_uppercase() || char == '_')
                });
                let name = words.next().unwrap_or_default();
                let sub = format!("{name}|{}", words.next().unwrap_or_default());
                (knows(name) || knows(&sub)) && line.contains(&only)
            });
        let templates = wanted.map(|line| parse(&mut line.split_whitespace().peekable())).collect();
        Self {
            spoils: version >= 8,
            templates,
            random: std::cell::RefCell::new(fastrand::Rng::with_seed(seed)),
        }
    }

    pub fn command(&self) -> Words {
        let random = &mut *self.random.borrow_mut();
        let template = &self.templates[random.usize(..self.templates.len())];
        let mut words = Vec::new();
        fill(template, random, &mut words);
        match random.u8(..60) {
            _ if !self.spoils => {}
            0 if words.len() > 1 => {
                words.remove(random.usize(1..words.len()));
            }
            1 => words.insert(random.usize(1..=words.len()), value(random)),
            2 => {
                let word = words[random.usize(..words.len())].clone();
                words.push(word);
            }
            3 if words.len() > 1 => {
                let at = random.usize(1..words.len());
                words[at] = match random.bool() {
                    true => integer(random),
                    false => value(random),
                };
            }
            _ => {}
        }
        words
    }
}

fn fill(parts: &[Part], random: &mut fastrand::Rng, words: &mut Words) {
    for part in parts {
        match part {
            Part::Word(word) => words.push(expand(word, random)),
            Part::Choice(options) => fill(&options[random.usize(..options.len())], random, words),
            Part::Repeat(parts) => {
                for _ in 0..random.usize(1..=3) {
                    fill(parts, random, words);
                }
            }
        }
    }
}

fn pick(random: &mut fastrand::Rng, from: &[&str]) -> Vec<u8> {
    from[random.usize(..from.len())].as_bytes().to_vec()
}

fn key(kind: &str, random: &mut fastrand::Rng) -> Vec<u8> {
    // Now and then a key of another type.
    let kind = match random.u8(..20) {
        // Ranges by name are defined where all scores are equal.
        0 if kind != "y" => pick(random, &["s", "l", "h", "t", "z", "x", "g", "p", "n"]),
        _ => kind.as_bytes().to_vec(),
    };
    [kind, pick(random, &["1", "2", "3"])].concat()
}

fn integer(random: &mut fastrand::Rng) -> Vec<u8> {
    match random.u8(..16) {
        0 => pick(
            random,
            &[
                "9223372036854775807",
                "-9223372036854775808",
                "9223372036854775808",
                "+1",
                "01",
                "",
                " 1",
                "-0",
                "1.0",
                "0x10",
                "x",
                "4294967296",
            ],
        ),
        1 => random.i64(-1000..1000).to_string().into_bytes(),
        _ => random.i64(-5..8).to_string().into_bytes(),
    }
}

fn float(random: &mut fastrand::Rng) -> Vec<u8> {
    match random.u8(..12) {
        0 => pick(
            random,
            &[
                "inf", "-inf", "+inf", "Infinity", "nan", "1e400", "-0", "0x1p3", "0x10", "", " 1",
                "1 ", ".5", "5.", "1e3", "+2", "x", "1e-320", "1_0", "3.0e+2", "-nan", "1e",
            ],
        ),
        1 => (random.f64() * 1e6).to_string().into_bytes(),
        2 => format!("{:e}", (random.f64() - 0.5) * 10_f64.powi(random.i32(-30..30))).into_bytes(),
        3..=5 => format!("{}.{}", random.i8(-9..9), random.u8(..100)).into_bytes(),
        _ => random.i64(-5..10).to_string().into_bytes(),
    }
}

fn value(random: &mut fastrand::Rng) -> Vec<u8> {
    match random.u8(..10) {
        0 => integer(random),
        1 => float(random),
        2 => (0..random.usize(..12)).map(|_| random.u8(..)).collect(),
        3 => Vec::new(),
        _ => pick(random, &["a", "b", "hello", "foobar", "10", "OK", "value", "aXb", "5", "2.5"]),
    }
}

fn stream_id(random: &mut fastrand::Rng) -> Vec<u8> {
    match random.u8(..12) {
        0 => pick(
            random,
            &[
                "-",
                "+",
                "$",
                ">",
                "0",
                "0-0",
                "1-*",
                "x",
                "1-x",
                "-1",
                "18446744073709551615-18446744073709551615",
                "18446744073709551616",
                "1-1-1",
                "",
                "(1-1",
            ],
        ),
        1 => random.u8(1..6).to_string().into_bytes(),
        _ => format!("{}-{}", random.u8(1..6), random.u8(..4)).into_bytes(),
    }
}

/// A word of a template: `$` and a letter is random.
fn expand(word: &str, random: &mut fastrand::Rng) -> Vec<u8> {
    let Some(kind) = word.strip_prefix('$') else { return word.as_bytes().to_vec() };
    match kind {
        "any" => {
            let kind = pick(random, &["s", "l", "h", "t", "z", "x", "g", "p", "n"]);
            key(&String::from_utf8_lossy(&kind), random)
        }
        "i" => integer(random),
        "n" => random.u8(..6).to_string().into_bytes(),
        "bit" => random.u8(..2).to_string().into_bytes(),
        "f" => float(random),
        "v" => value(random),
        "m" => pick(random, &["a", "b", "c", "d", "e", "f", "1", "2", "-3", "x\u{e9}"]),
        "id" => stream_id(random),
        "pattern" => {
            pick(random, &["*", "?", "a*", "[a-c]", "[^a]", "\\a", "**", "s*", "h?", "[", "*b*"])
        }
        "score" => {
            let number = float(random);
            if random.u8(..4) == 0 { [b"(".to_vec(), number].concat() } else { number }
        }
        "lex" => {
            let name = expand("$m", random);
            match random.u8(..8) {
                0 => b"-".to_vec(),
                1 => b"+".to_vec(),
                2 => name,
                3 | 4 => [b"(".to_vec(), name].concat(),
                _ => [b"[".to_vec(), name].concat(),
            }
        }
        "when" => pick(random, &["0", "-1", "x", "9223372036854775807", "100000", "200000", ""]),
        "future" => pick(random, &["100000", "200000", "300000"]),
        "lon" => format!("{:.4}", random.f64() * 360.0 - 180.0).into_bytes(),
        "lat" => format!("{:.4}", random.f64() * 170.0 - 85.0).into_bytes(),
        kind => key(kind, random),
    }
}
