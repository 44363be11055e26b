//! Files of commands with their replies. A blank line starts on an empty database.

use crate::compare::same;
use crate::target::{Engine, Server, Target, Words, show};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The words of a line: bare, or in double quotes with Rust's escapes of bytes.
pub fn words(line: &str) -> Words {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let mut word = Vec::new();
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut chars = quoted.char_indices();
            let end = loop {
                let (index, char) = chars.next().expect("a closing quote");
                match char {
                    '"' => break index + 1,
                    '\\' => match chars.next().expect("an escape").1 {
                        'x' => {
                            let digits: String =
                                chars.by_ref().take(2).map(|(_, digit)| digit).collect();
                            word.push(u8::from_str_radix(&digits, 16).expect("two digits"));
                        }
                        'n' => word.push(b'\n'),
                        'r' => word.push(b'\r'),
                        't' => word.push(b'\t'),
                        other => word.push(u8::try_from(other).unwrap()),
                    },
                    other => {
                        word.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes());
                    }
                }
            };
            rest = quoted[end..].trim_start();
        } else {
            let end = rest.find(' ').unwrap_or(rest.len());
            word.extend_from_slice(&rest.as_bytes()[..end]);
            rest = rest[end..].trim_start();
        }
        words.push(word);
    }
    words
}

/// A command as [`words`] reads it.
pub fn line(command: &Words) -> String {
    let plain = |word: &[u8]| {
        !word.is_empty()
            && word.iter().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
    };
    let quoted = command.iter().map(|word| match plain(word) {
        true => String::from_utf8_lossy(word).into_owned(),
        false => format!("\"{}\"", word.escape_ascii().to_string().replace("\\'", "'")),
    });
    quoted.collect::<Vec<_>>().join(" ")
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential").join(name)
}

/// Runs a file's commands on the engine.
pub fn check(name: &str) {
    let file = std::fs::read_to_string(path(name)).unwrap();
    let mut engine = Engine::new();
    let mut wrong = String::new();
    let mut lines = file.lines().enumerate().peekable();
    while let Some((number, text)) = lines.next() {
        if text.is_empty() {
            engine.clear();
        } else if let Some(command) = text.strip_prefix("> ") {
            let command = words(command);
            let expected = lines
                .next_if(|(_, text)| !text.starts_with('>'))
                .unwrap_or_else(|| panic!("{name}:{}: no reply", number + 1))
                .1;
            let reply = engine.run(&command);
            let shown = show(&reply);
            if shown != expected {
                let _ = writeln!(
                    wrong,
                    "{name}:{}: {text}\n  expected {expected}\n  engine   {shown}",
                    number + 1
                );
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// Writes a server's replies.
pub fn update(name: &str, server: &mut Server) {
    let file = std::fs::read_to_string(path(name)).unwrap();
    let mut new = String::new();
    server.clear();
    for text in file.lines() {
        if let Some(command) = text.strip_prefix("> ") {
            let reply = server.run(&words(command));
            // The same reply twice: nothing random or timed stands in the file.
            assert!(same(&words(command), &reply, &reply, server.version));
            let _ = writeln!(new, "{text}\n{}", show(&reply));
        } else if text.is_empty() || text.starts_with('#') {
            if text.is_empty() {
                server.clear();
            }
            let _ = writeln!(new, "{text}");
        }
    }
    std::fs::write(path(name), new).unwrap();
}
