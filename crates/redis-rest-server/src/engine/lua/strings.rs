//! The functions of `string` that could run for ever or use up all stack inside Lua's own C code, where no time limit reaches: `find`,
//! `match`, `gmatch`, `gsub`, `rep`.

use super::pattern::{Captured, Matcher, Problem};
use super::state::{Clock, out_of_memory, raise_at};
use mlua::{Function, Lua, LuaString, MultiValue, Table, Value};
use std::ops::Range;

/// Any of these in a pattern makes it more than a text.
const SPECIALS: &[u8] = b"^$*+?.([%-";

/// Replaces them in the table `string`, which is what methods of strings are looked up in, too.
pub(super) fn replace(lua: &Lua, memory: usize) -> mlua::Result<()> {
    let library: Table = lua.globals().raw_get("string")?;
    library
        .raw_set("find", lua.create_function(|lua, args: MultiValue| find(lua, &args, "find"))?)?;
    library.raw_set(
        "match",
        lua.create_function(|lua, args: MultiValue| find(lua, &args, "match"))?,
    )?;
    for name in ["gmatch", "gfind"] {
        library.raw_set(
            name,
            lua.create_function(move |lua, args: MultiValue| gmatch(lua, &args, name))?,
        )?;
    }
    library.raw_set(
        "gsub",
        lua.create_function(move |lua, args: MultiValue| gsub(lua, &args, memory))?,
    )?;
    library
        .raw_set("rep", lua.create_function(move |lua, args: MultiValue| rep(lua, &args, memory))?)
}

fn bad_argument(
    lua: &Lua,
    args: &MultiValue,
    index: usize,
    name: &str,
    expected: &str,
) -> mlua::Error {
    let given = args.get(index).map_or("no value", Value::type_name);
    // Lua has one name for its numbers.
    let given = if given == "integer" { "number" } else { given };
    raise_at(
        lua,
        format!("bad argument #{} to '{name}' ({expected} expected, got {given})", index + 1),
    )
}

/// A string, or a number as one.
fn text(lua: &Lua, args: &MultiValue, index: usize, name: &str) -> mlua::Result<LuaString> {
    match args.get(index) {
        Some(value @ (Value::String(_) | Value::Integer(_) | Value::Number(_))) => lua
            .coerce_string(value.clone())?
            .ok_or_else(|| bad_argument(lua, args, index, name, "string")),
        _ => Err(bad_argument(lua, args, index, name, "string")),
    }
}

/// A number without its fraction; `None` where there is no such argument.
fn integer(lua: &Lua, args: &MultiValue, index: usize, name: &str) -> mlua::Result<Option<i64>> {
    match args.get(index) {
        None | Some(Value::Nil) => Ok(None),
        Some(value) => match lua.coerce_number(value.clone())? {
            Some(number) => Ok(Some(number as i64)),
            None => Err(bad_argument(lua, args, index, name, "number")),
        },
    }
}

fn failed(lua: &Lua, clock: &Clock, problem: Problem) -> mlua::Error {
    match problem {
        Problem::Pattern(text) => raise_at(lua, text),
        Problem::OutOfTime => clock.over(),
    }
}

/// Runs `run` with a clock, and makes errors of its problems.
fn timed<T>(
    lua: &Lua,
    run: impl FnOnce(&dyn Fn() -> bool) -> Result<T, Problem>,
) -> mlua::Result<T> {
    let clock = Clock::of(lua);
    run(&|| clock.in_time()).map_err(|problem| failed(lua, &clock, problem))
}

fn push(lua: &Lua, src: &[u8], captured: Captured) -> mlua::Result<Value> {
    match captured {
        Captured::Text(range) => Ok(Value::String(lua.create_string(&src[range])?)),
        Captured::Position(at) => Ok(Value::Number(at as f64)),
    }
}

/// All captures; the whole match where the pattern has none and `or_whole` says so.
fn push_all(
    lua: &Lua,
    matcher: &Matcher<'_>,
    src: &[u8],
    whole: &Range<usize>,
    or_whole: bool,
) -> mlua::Result<MultiValue> {
    let count = if or_whole { matcher.captures().max(1) } else { matcher.captures() };
    let value = |index| match matcher.capture(index, whole.clone()) {
        Ok(captured) => push(lua, src, captured),
        Err(problem) => Err(failed(lua, &Clock::of(lua), problem)),
    };
    (0..count).map(value).collect()
}

fn find(lua: &Lua, args: &MultiValue, name: &'static str) -> mlua::Result<MultiValue> {
    let (src, pattern) = (text(lua, args, 0, name)?, text(lua, args, 1, name)?);
    let (src, pattern) = (src.as_bytes(), pattern.as_bytes());
    let init = integer(lua, args, 2, name)?.unwrap_or(1);
    let length = i64::try_from(src.len()).unwrap_or(i64::MAX);
    let init = if init < 0 { length.saturating_add(init) } else { init.saturating_sub(1) }
        .clamp(0, length);
    let init = usize::try_from(init).unwrap_or(0);
    let found_at =
        |start: usize, end: usize| [Value::Number((start + 1) as f64), Value::Number(end as f64)];
    let nothing = || MultiValue::from_iter([Value::Nil]);

    let plain = name == "find" && (args.get(3).is_some_and(truth) || !special(&pattern));
    if plain {
        let start = timed(lua, |in_time| search(&src, init, &pattern, in_time))?;
        return Ok(start.map_or_else(nothing, |start| {
            found_at(start, start + pattern.len()).into_iter().collect()
        }));
    }
    let (anchored, pattern) = unanchored(&pattern);
    let clock = Clock::of(lua);
    let in_time = || clock.in_time();
    let mut matcher = Matcher::new(&src, pattern, &in_time);
    for start in init..=if anchored { init } else { src.len() } {
        if let Some(end) = matcher.at(start).map_err(|problem| failed(lua, &clock, problem))? {
            let mut found = push_all(lua, &matcher, &src, &(start..end), name == "match")?;
            if name == "find" {
                for value in found_at(start, end).into_iter().rev() {
                    found.push_front(value);
                }
            }
            return Ok(found);
        }
    }
    Ok(nothing())
}

fn truth(value: &Value) -> bool {
    !matches!(value, Value::Nil | Value::Boolean(false))
}

/// A zero byte ends a pattern, for Lua 5.1 also when it looks for these.
fn special(pattern: &[u8]) -> bool {
    pattern.iter().take_while(|byte| **byte != 0).any(|byte| SPECIALS.contains(byte))
}

fn unanchored(pattern: &[u8]) -> (bool, &[u8]) {
    pattern.strip_prefix(b"^").map_or((false, pattern), |rest| (true, rest))
}

/// Where `wanted` begins in `src`, from `init` on.
fn search(
    src: &[u8],
    init: usize,
    wanted: &[u8],
    in_time: &dyn Fn() -> bool,
) -> Result<Option<usize>, Problem> {
    /// How many bytes are compared between two looks at the clock.
    const LOOK_EVERY: usize = 4_000_000;
    let Some(last) = src.len().checked_sub(wanted.len()) else { return Ok(None) };
    let mut compared = 0_usize;
    for at in init..=last {
        compared = compared.saturating_add(1);
        if src.get(at) == wanted.first() || wanted.is_empty() {
            if src[at..].starts_with(wanted) {
                return Ok(Some(at));
            }
            compared = compared.saturating_add(wanted.len());
        }
        if compared >= LOOK_EVERY {
            compared = 0;
            if !in_time() {
                return Err(Problem::OutOfTime);
            }
        }
    }
    Ok(None)
}

fn gmatch(lua: &Lua, args: &MultiValue, name: &str) -> mlua::Result<Function> {
    let (src, pattern) = (text(lua, args, 0, name)?, text(lua, args, 1, name)?);
    let mut from = 0;
    lua.create_function_mut(move |lua, ()| {
        let (src, pattern) = (src.as_bytes(), pattern.as_bytes());
        let clock = Clock::of(lua);
        let in_time = || clock.in_time();
        let mut matcher = Matcher::new(&src, &pattern, &in_time);
        let first = from;
        for start in first..=src.len() {
            if let Some(end) = matcher.at(start).map_err(|problem| failed(lua, &clock, problem))? {
                // An empty match must not come again.
                from = if end == start { end + 1 } else { end };
                return push_all(lua, &matcher, &src, &(start..end), true);
            }
        }
        from = src.len() + 1;
        Ok(MultiValue::from_iter([Value::Nil]))
    })
}

/// A text in which matches are replaced one by one.
struct Gsub {
    src: LuaString,
    pattern: LuaString,
    anchored: bool,
    /// Matches that may still be replaced.
    left: usize,
    replaced: usize,
    at: usize,
    out: Vec<u8>,
    memory: usize,
    done: bool,
}

impl Gsub {
    /// `most` is the index of the argument that says how many.
    fn new(lua: &Lua, args: &MultiValue, most: usize, memory: usize) -> mlua::Result<Self> {
        let (src, pattern) = (text(lua, args, 0, "gsub")?, text(lua, args, 1, "gsub")?);
        let left = integer(lua, args, most, "gsub")?
            .map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(0));
        let anchored = pattern.as_bytes().starts_with(b"^");
        Ok(Self {
            src,
            pattern,
            anchored,
            left,
            replaced: 0,
            at: 0,
            out: Vec::new(),
            memory,
            done: false,
        })
    }

    /// Finds the next match, and reads it by `read`.
    fn find<T>(
        &mut self,
        lua: &Lua,
        read: impl FnOnce(&Matcher<'_>, &[u8], &Range<usize>) -> mlua::Result<T>,
    ) -> mlua::Result<Option<(Range<usize>, T)>> {
        let (src, pattern) = (self.src.as_bytes(), self.pattern.as_bytes());
        let clock = Clock::of(lua);
        let in_time = || clock.in_time();
        let mut matcher = Matcher::new(&src, &pattern[usize::from(self.anchored)..], &in_time);
        while self.left > 0 && !self.done {
            if let Some(end) =
                matcher.at(self.at).map_err(|problem| failed(lua, &clock, problem))?
            {
                let found = self.at..end;
                self.left -= 1;
                self.replaced += 1;
                let read = read(&matcher, &src, &found)?;
                return Ok(Some((found, read)));
            }
            self.out.extend(src.get(self.at));
            self.done = self.anchored || self.at >= src.len();
            self.at = src.len().min(self.at + 1);
        }
        Ok(None)
    }

    /// Puts `replacement` in the place of a match; without one it stays.
    fn replace(&mut self, found: &Range<usize>, replacement: Option<&[u8]>) -> mlua::Result<()> {
        let src = self.src.as_bytes();
        self.out.extend_from_slice(replacement.unwrap_or(&src[found.clone()]));
        if found.is_empty() {
            // Or it would be found for ever.
            self.out.extend(src.get(found.end));
        }
        self.done = self.anchored || (found.is_empty() && found.end >= src.len());
        self.at = src.len().min(found.end + usize::from(found.is_empty()));
        if self.out.len() > self.memory { Err(out_of_memory()) } else { Ok(()) }
    }

    /// The text, and how much was replaced.
    fn finish(&mut self, lua: &Lua) -> mlua::Result<(LuaString, f64)> {
        self.out.extend_from_slice(&self.src.as_bytes()[self.at..]);
        Ok((lua.create_string(std::mem::take(&mut self.out))?, self.replaced as f64))
    }
}

/// `gsub` with a text, in which `%1` stands for a capture.
fn gsub(lua: &Lua, args: &MultiValue, memory: usize) -> mlua::Result<(LuaString, f64)> {
    let mut gsub = Gsub::new(lua, args, 3, memory)?;
    if !matches!(args.get(2), Some(Value::String(_) | Value::Integer(_) | Value::Number(_))) {
        return Err(raise_at(lua, "bad argument #3 to 'gsub' (string/function/table expected)"));
    }
    let template = text(lua, args, 2, "gsub")?;
    let template = template.as_bytes();
    while let Some((found, piece)) =
        gsub.find(lua, |matcher, src, found| fill(lua, &template, matcher, src, found, memory))?
    {
        gsub.replace(&found, Some(&piece))?;
    }
    gsub.finish(lua)
}

fn fill(
    lua: &Lua,
    template: &[u8],
    matcher: &Matcher<'_>,
    src: &[u8],
    whole: &Range<usize>,
    memory: usize,
) -> mlua::Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut bytes = template.iter();
    while let Some(byte) = bytes.next() {
        match (byte, if *byte == b'%' { bytes.next() } else { None }) {
            (b'%', Some(b'0')) => out.extend_from_slice(&src[whole.clone()]),
            (b'%', Some(digit @ b'1'..=b'9')) => {
                match matcher.capture(usize::from(digit - b'1'), whole.clone()) {
                    Ok(Captured::Text(range)) => out.extend_from_slice(&src[range]),
                    Ok(Captured::Position(at)) => out.extend_from_slice(at.to_string().as_bytes()),
                    Err(problem) => return Err(failed(lua, &Clock::of(lua), problem)),
                }
            }
            (b'%', Some(other)) => out.push(*other),
            // Lua takes the zero behind the end of its string.
            (b'%', None) => out.push(0),
            (other, _) => out.push(*other),
        }
        if out.len() > memory {
            return Err(out_of_memory());
        }
    }
    Ok(out)
}

/// The steps of `gsub` with a function, which the prelude calls: each takes what stands for the match before, and gives true and the
/// captures of the next one, or false, the text and how much was replaced.
pub(super) fn replacer(lua: &Lua, args: &MultiValue, memory: usize) -> mlua::Result<Function> {
    let mut gsub = Gsub::new(lua, args, 2, memory)?;
    let mut last: Option<Range<usize>> = None;
    lua.create_function_mut(move |lua, args: MultiValue| {
        if let Some(found) = last.take() {
            match args.front() {
                None | Some(Value::Nil | Value::Boolean(false)) => gsub.replace(&found, None)?,
                Some(Value::String(_) | Value::Integer(_) | Value::Number(_)) => {
                    let by = text(lua, &args, 0, "gsub")?;
                    gsub.replace(&found, Some(&by.as_bytes()))?;
                }
                Some(other) => {
                    return Err(raise_at(
                        lua,
                        format!("invalid replacement value (a {})", other.type_name()),
                    ));
                }
            }
        }
        match gsub.find(lua, |matcher, src, found| push_all(lua, matcher, src, found, true))? {
            Some((found, mut captures)) => {
                last = Some(found);
                captures.push_front(Value::Boolean(true));
                Ok(captures)
            }
            None => {
                let (text, replaced) = gsub.finish(lua)?;
                Ok([Value::Boolean(false), Value::String(text), Value::Number(replaced)]
                    .into_iter()
                    .collect())
            }
        }
    })
}

fn rep(lua: &Lua, args: &MultiValue, memory: usize) -> mlua::Result<LuaString> {
    let text = text(lua, args, 0, "rep")?;
    let count =
        integer(lua, args, 1, "rep")?.ok_or_else(|| bad_argument(lua, args, 1, "rep", "number"))?;
    let text = text.as_bytes();
    let count = usize::try_from(count).unwrap_or(0);
    match text.len().checked_mul(count) {
        Some(0) => lua.create_string(""),
        Some(length) if length <= memory => lua.create_string(text.repeat(count)),
        _ => Err(out_of_memory()),
    }
}
