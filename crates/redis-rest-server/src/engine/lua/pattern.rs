//! Matching of Lua 5.1's patterns.
//!
//! Lua's own matcher recurses without a bound, so that a long pattern overflows the thread's stack and ends the process, and it
//! cannot be stopped. This one keeps its choices in a list, and looks at the clock.

use std::ops::Range;

/// Most captures, as in Lua.
const MOST_CAPTURES: usize = 32;
/// Most choices that are open at once.
const MOST_CHOICES: usize = 200_000;
/// How many steps pass between two looks at the clock.
const LOOK_EVERY: usize = 20_000;

/// Why there is no answer.
pub(super) enum Problem {
    /// The pattern is wrong, in Lua's words.
    Pattern(&'static str),
    OutOfTime,
}

type Outcome<T> = Result<T, Problem>;

const fn wrong<T>(text: &'static str) -> Outcome<T> {
    Err(Problem::Pattern(text))
}

/// A capture that can be shown.
pub(super) enum Captured {
    Text(Range<usize>),
    /// Of `()`, counted from 1.
    Position(usize),
}

#[derive(Clone, Copy)]
enum Length {
    /// Its closing parenthesis did not come yet.
    Open,
    Position,
    Of(usize),
}

/// What to do when what follows does not match.
enum Choice {
    /// Go on here: the other side of `?`.
    At { s: usize, p: usize },
    /// Give back one of what `*` or `+` took: `more` are left from `s`.
    Less { s: usize, more: usize, p: usize },
    /// Take one more for `-`, if the item matches.
    More { s: usize, item: Range<usize> },
    /// A capture was opened.
    Forget,
    /// A capture was closed.
    Reopen(usize),
}

pub(super) struct Matcher<'a> {
    src: &'a [u8],
    pattern: &'a [u8],
    captures: Vec<(usize, Length)>,
    choices: Vec<Choice>,
    steps: usize,
    in_time: &'a dyn Fn() -> bool,
}

impl<'a> Matcher<'a> {
    /// `in_time` is asked now and then whether to go on.
    pub(super) fn new(src: &'a [u8], pattern: &'a [u8], in_time: &'a dyn Fn() -> bool) -> Self {
        // To Lua 5.1 a zero byte is the end of the pattern.
        let pattern = pattern.split(|byte| *byte == 0).next().unwrap_or_default();
        Self { src, pattern, captures: Vec::new(), choices: Vec::new(), steps: 0, in_time }
    }

    /// Where the match ends that begins at `start`.
    pub(super) fn at(&mut self, start: usize) -> Outcome<Option<usize>> {
        self.captures.clear();
        self.choices.clear();
        let (mut s, mut p) = (start, 0);
        while p < self.pattern.len() {
            self.count(1)?;
            (s, p) = match self.step(s, p)? {
                Some(next) => next,
                None => match self.next_choice()? {
                    Some(next) => next,
                    None => return Ok(None),
                },
            };
        }
        Ok(Some(s))
    }

    /// How many captures the last match has.
    pub(super) fn captures(&self) -> usize {
        self.captures.len()
    }

    /// A capture of the match `whole`; the first of a pattern without any is the match.
    pub(super) fn capture(&self, index: usize, whole: Range<usize>) -> Outcome<Captured> {
        match self.captures.get(index) {
            None if index == 0 => Ok(Captured::Text(whole)),
            None => wrong("invalid capture index"),
            Some((_, Length::Open)) => wrong("unfinished capture"),
            Some((start, Length::Position)) => Ok(Captured::Position(start + 1)),
            Some((start, Length::Of(length))) => Ok(Captured::Text(*start..start + length)),
        }
    }

    fn count(&mut self, steps: usize) -> Outcome<()> {
        self.steps += steps;
        if self.steps >= LOOK_EVERY {
            self.steps = 0;
            if !(self.in_time)() {
                return Err(Problem::OutOfTime);
            }
        }
        Ok(())
    }

    fn byte(&self, p: usize) -> Option<u8> {
        self.pattern.get(p).copied()
    }

    fn choose(&mut self, choice: Choice) -> Outcome<()> {
        if self.choices.len() >= MOST_CHOICES {
            return wrong("pattern too complex");
        }
        self.choices.push(choice);
        Ok(())
    }

    /// One item of the pattern: where subject and pattern go on.
    fn step(&mut self, s: usize, p: usize) -> Outcome<Option<(usize, usize)>> {
        match (self.byte(p), self.byte(p + 1)) {
            (Some(b'('), Some(b')')) => self.open(s, Length::Position, p + 2),
            (Some(b'('), _) => self.open(s, Length::Open, p + 1),
            (Some(b')'), _) => self.close(s, p + 1),
            (Some(b'%'), Some(b'b')) => self.balance(s, p + 2),
            (Some(b'%'), Some(b'f')) => self.frontier(s, p + 2),
            (Some(b'%'), Some(digit @ b'0'..=b'9')) => self.back_reference(s, digit, p + 2),
            (Some(b'$'), None) => Ok((s == self.src.len()).then_some((s, p + 1))),
            _ => self.repeated(s, p),
        }
    }

    fn open(&mut self, s: usize, length: Length, next: usize) -> Outcome<Option<(usize, usize)>> {
        if self.captures.len() >= MOST_CAPTURES {
            return wrong("too many captures");
        }
        self.captures.push((s, length));
        self.choose(Choice::Forget)?;
        Ok(Some((s, next)))
    }

    fn close(&mut self, s: usize, next: usize) -> Outcome<Option<(usize, usize)>> {
        let Some(index) =
            self.captures.iter().rposition(|(_, length)| matches!(length, Length::Open))
        else {
            return wrong("invalid pattern capture");
        };
        let (start, length) = &mut self.captures[index];
        *length = Length::Of(s - *start);
        self.choose(Choice::Reopen(index))?;
        Ok(Some((s, next)))
    }

    fn back_reference(
        &mut self,
        s: usize,
        digit: u8,
        next: usize,
    ) -> Outcome<Option<(usize, usize)>> {
        let capture = usize::from(digit)
            .checked_sub(usize::from(b'1'))
            .and_then(|index| self.captures.get(index));
        match capture.copied() {
            None | Some((_, Length::Open)) => wrong("invalid capture index"),
            Some((_, Length::Position)) => Ok(None),
            Some((start, Length::Of(length))) => {
                self.count(length)?;
                Ok(self.src[s..]
                    .starts_with(&self.src[start..start + length])
                    .then_some((s + length, next)))
            }
        }
    }

    /// `%bxy`, with `p` at the `x`.
    fn balance(&mut self, s: usize, p: usize) -> Outcome<Option<(usize, usize)>> {
        let (Some(open), Some(close)) = (self.byte(p), self.byte(p + 1)) else {
            return wrong("unbalanced pattern");
        };
        if self.src.get(s) != Some(&open) {
            return Ok(None);
        }
        let mut depth = 1_usize;
        for at in s + 1..self.src.len() {
            self.count(1)?;
            let byte = self.src[at];
            if byte == close {
                depth -= 1;
                if depth == 0 {
                    return Ok(Some((at + 1, p + 2)));
                }
            } else if byte == open {
                depth += 1;
            }
        }
        Ok(None)
    }

    /// `%f[set]`, with `p` at the bracket: here begins what the set has. Before the first and behind the last byte there is a zero.
    fn frontier(&mut self, s: usize, p: usize) -> Outcome<Option<(usize, usize)>> {
        if self.byte(p) != Some(b'[') {
            return wrong("missing '[' after '%f' in pattern");
        }
        let end = self.item_end(p)?;
        self.count(end - p)?;
        let before = s.checked_sub(1).map_or(0, |at| self.src[at]);
        let here = self.src.get(s).copied().unwrap_or(0);
        Ok((!self.in_set(before, p..end) && self.in_set(here, p..end)).then_some((s, end)))
    }

    /// One byte, or a class, with what may follow it: `?`, `*`, `+`, `-`.
    fn repeated(&mut self, s: usize, p: usize) -> Outcome<Option<(usize, usize)>> {
        let end = self.item_end(p)?;
        let item = p..end;
        self.count(item.len())?;
        match self.byte(end) {
            Some(b'?') => {
                if !self.single(s, &item) {
                    return Ok(Some((s, end + 1)));
                }
                self.choose(Choice::At { s, p: end + 1 })?;
                Ok(Some((s + 1, end + 1)))
            }
            Some(b'*') => self.most(s, s, item),
            Some(b'+') if self.single(s, &item) => self.most(s + 1, s + 1, item),
            Some(b'-') => {
                self.choose(Choice::More { s, item })?;
                Ok(Some((s, end + 1)))
            }
            Some(b'+') => Ok(None),
            _ => Ok(self.single(s, &item).then_some((s + 1, end))),
        }
    }

    fn most(
        &mut self,
        start: usize,
        mut s: usize,
        item: Range<usize>,
    ) -> Outcome<Option<(usize, usize)>> {
        while self.single(s, &item) {
            self.count(item.len())?;
            s += 1;
        }
        let next = item.end + 1;
        if s > start {
            self.choose(Choice::Less { s: start, more: s - start - 1, p: next })?;
        }
        Ok(Some((s, next)))
    }

    /// The last choice that is still open.
    fn next_choice(&mut self) -> Outcome<Option<(usize, usize)>> {
        while let Some(choice) = self.choices.pop() {
            match choice {
                Choice::Forget => {
                    self.captures.pop();
                }
                Choice::Reopen(index) => self.captures[index].1 = Length::Open,
                Choice::At { s, p } => return Ok(Some((s, p))),
                Choice::Less { s, more, p } => {
                    if let Some(fewer) = more.checked_sub(1) {
                        self.choose(Choice::Less { s, more: fewer, p })?;
                    }
                    return Ok(Some((s + more, p)));
                }
                Choice::More { s, item } => {
                    self.count(item.len())?;
                    if self.single(s, &item) {
                        let next = item.end + 1;
                        self.choose(Choice::More { s: s + 1, item })?;
                        return Ok(Some((s + 1, next)));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Where the item that starts at `p` ends.
    fn item_end(&mut self, p: usize) -> Outcome<usize> {
        match self.byte(p) {
            Some(b'%') if self.byte(p + 1).is_none() => wrong("malformed pattern (ends with '%')"),
            Some(b'%') => Ok(p + 2),
            Some(b'[') => {
                let mut at = if self.byte(p + 1) == Some(b'^') { p + 2 } else { p + 1 };
                // The first one is no end, whatever it is.
                loop {
                    match self.byte(at) {
                        None => return wrong("malformed pattern (missing ']')"),
                        Some(b'%') if self.byte(at + 1).is_some() => at += 2,
                        Some(_) => at += 1,
                    }
                    if self.byte(at) == Some(b']') {
                        return Ok(at + 1);
                    }
                }
            }
            _ => Ok(p + 1),
        }
    }

    /// True when the item matches the byte at `s`.
    fn single(&self, s: usize, item: &Range<usize>) -> bool {
        let Some(&byte) = self.src.get(s) else { return false };
        match self.pattern[item.start] {
            b'.' => true,
            b'%' => in_class(byte, self.pattern[item.start + 1]),
            b'[' => self.in_set(byte, item.clone()),
            literal => literal == byte,
        }
    }

    fn in_set(&self, byte: u8, item: Range<usize>) -> bool {
        let set = &self.pattern[item.start + 1..item.end - 1];
        let (inverted, mut rest) = match set.strip_prefix(b"^") {
            Some(rest) => (true, rest),
            None => (false, set),
        };
        loop {
            let found;
            (found, rest) = match rest {
                [] => return inverted,
                [b'%', class, rest @ ..] => (in_class(byte, *class), rest),
                [from, b'-', to, rest @ ..] => ((*from..=*to).contains(&byte), rest),
                [one, rest @ ..] => (*one == byte, rest),
            };
            if found {
                return !inverted;
            }
        }
    }
}

/// `%a` and its like, of the C locale; in upper case the rest. Any other character stands for itself.
fn in_class(byte: u8, class: u8) -> bool {
    let found = match class.to_ascii_lowercase() {
        b'a' => byte.is_ascii_alphabetic(),
        b'c' => byte.is_ascii_control(),
        b'd' => byte.is_ascii_digit(),
        b'l' => byte.is_ascii_lowercase(),
        b'p' => byte.is_ascii_punctuation(),
        b's' => matches!(byte, b' ' | b'\t'..=b'\r'),
        b'u' => byte.is_ascii_uppercase(),
        b'w' => byte.is_ascii_alphanumeric(),
        b'x' => byte.is_ascii_hexdigit(),
        b'z' => byte == 0,
        _ => return class == byte,
    };
    found != class.is_ascii_uppercase()
}
