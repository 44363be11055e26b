//! Commands as data: a name, arguments, the type of the reply, and the idempotency.
//!
//! [`cmd`](crate::cmd()) builds any command; the functions of [`crate::cmd`] build typed ones, one
//! file for each group of Redis's documentation. No I/O here.

mod arg;
pub(crate) mod call;
mod declare;
pub(crate) mod groups;
pub(crate) mod keys;
pub(crate) mod refuse;
pub(crate) mod safety;
mod script;
pub(crate) mod slot;
pub(crate) mod table;
mod unix_time;

pub use arg::{ArgWriter, Args, Count, Element, ExactlyOne, Group, Many, One, ToArg, ToArgs};
pub use call::{Call, CallOptions, Unbound, UnboundCall};
pub use safety::Idempotency;
pub(crate) use script::as_eval;
pub use script::{Script, ScriptCall};
pub use table::Row;
pub use unix_time::UnixTime;

use crate::error::{Error, ErrorKind};
use smallvec::SmallVec;
use std::fmt;
use std::ops::Range;

/// Most commands have four parts or less, and these then cost no allocation.
type Ends = SmallVec<[u32; 4]>;

const TOO_LARGE: &str = "the command is larger than 4 GiB";
const ODD_PAIRS: &str = "an odd number of arguments where pairs of a name and a value go";

/// A Redis command: its name and arguments, each any bytes.
///
/// ```
/// use redis_rest::cmd;
/// let set = cmd("SET").arg("visits").arg(41).arg("EX").arg(60);
/// assert_eq!(set.name(), b"SET");
/// assert_eq!(set.arguments().count(), 4);
/// ```
#[derive(Clone)]
pub struct Command {
    /// The name and all arguments, one after another.
    buf: Vec<u8>,
    /// The end of each in `buf`.
    ends: Ends,
    safety: Option<Idempotency>,
    /// True if the parts were moved out: a call holds such a command once it was polled.
    taken: bool,
    /// Allocated for the few commands that need it: all others stay small.
    rare: Option<Box<Rare>>,
}

#[derive(Clone, Default)]
struct Rare {
    /// Reason why the command cannot be sent; reported when it is.
    refusal: Option<Refusal>,
    /// The script behind an `EVALSHA`, for servers that do not have it yet.
    script: Option<Script>,
}

/// Reason why a command cannot be sent, and the responsible field of a struct.
#[derive(Clone, Copy)]
struct Refusal {
    reason: &'static str,
    field: Option<&'static str>,
}

/// Creates a command by name, for commands without a typed form. See [`Command`].
pub fn cmd(name: &str) -> Command {
    Command::new(name)
}

impl Command {
    /// Creates a command without arguments. A name of two words (`SCRIPT LOAD`) is a name and its
    /// first argument.
    pub fn new(name: &str) -> Self {
        let mut command = Self::without_parts(64);
        for word in name.split_ascii_whitespace() {
            command.push_bytes(word.as_bytes());
        }
        command.require_name();
        command
    }

    const fn without_parts_or_buffer() -> Self {
        Self { buf: Vec::new(), ends: Ends::new_const(), safety: None, taken: false, rare: None }
    }

    fn without_parts(capacity: usize) -> Self {
        let mut command = Self::without_parts_or_buffer();
        command.buf = Vec::with_capacity(capacity);
        command
    }

    /// Creates a command of exactly these parts, the name first: nothing is split at spaces.
    pub fn from_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut command = Self::without_parts(0);
        parts.into_iter().for_each(|part| command.push_bytes(part));
        command.require_name();
        command
    }

    fn require_name(&mut self) {
        if self.ends.first().is_none_or(|&end| end == 0) {
            self.ends.resize(self.ends.len().max(1), 0);
            self.refuse("the command has no name", None);
        }
    }

    /// Makes the command fail when it is sent.
    pub(crate) fn refuse(&mut self, reason: &'static str, field: Option<&'static str>) {
        self.rare.get_or_insert_default().refusal = Some(Refusal { reason, field });
    }

    /// Adds exactly one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl ToArg) -> Self {
        self.push(arg);
        self
    }

    /// Adds zero or more arguments: a single value, a list, a tuple, a map, or an `Option`.
    #[must_use]
    pub fn args(mut self, args: impl ToArgs) -> Self {
        self.push_all(args);
        self
    }

    /// Adds an argument in place, as [`Command::arg`] does.
    pub fn push(&mut self, arg: impl ToArg) {
        let before = self.ends.len();
        arg.write_args(&mut ArgWriter::new(self));
        if self.ends.len() != before + 1 {
            self.refuse("an argument wrote none or several arguments", None);
            // Options find their places by index.
            self.ends.resize(before + 1, self.ends.last().copied().unwrap_or_default());
            self.buf.truncate(self.ends[before] as usize);
        }
    }

    /// Adds arguments in place, as [`Command::args`] does.
    pub fn push_all(&mut self, args: impl ToArgs) {
        args.write_args(&mut ArgWriter::new(self));
    }

    /// Adds one argument of these bytes.
    #[inline]
    fn push_bytes(&mut self, bytes: &[u8]) {
        self.buf.extend_from_slice(bytes);
        self.end_argument();
    }

    /// Completes an argument of the bytes added to the buffer.
    #[inline]
    fn end_argument(&mut self) {
        let end = match u32::try_from(self.buf.len()) {
            Ok(end) => end,
            Err(_) => self.take_back(),
        };
        self.ends.push(end);
    }

    /// Removes an argument that makes the command too large, and refuses the command.
    #[cold]
    fn take_back(&mut self) -> u32 {
        let last = self.ends.last().copied().unwrap_or_default();
        self.buf.truncate(last as usize);
        self.refuse(TOO_LARGE, None);
        last
    }

    /// Removes the last argument.
    fn pop(&mut self) {
        self.ends.pop();
        self.buf.truncate(self.ends.last().copied().unwrap_or_default() as usize);
    }

    /// Adds the number of `args`, divided by `per`, and then the arguments.
    pub(crate) fn push_counted(&mut self, args: impl ToArgs, per: usize) {
        let before = self.ends.len();
        self.push_all(args);
        let added = self.ends.len() - before;
        if !added.is_multiple_of(per) {
            self.refuse(ODD_PAIRS, None);
        }
        self.insert(before - 1, itoa::Buffer::new().format(added / per).as_bytes());
    }

    /// Adds pairs of a name and a value.
    pub(crate) fn push_pairs(&mut self, pairs: impl ToArgs) {
        let before = self.ends.len();
        self.push_all(pairs);
        if !(self.ends.len() - before).is_multiple_of(2) {
            self.refuse(ODD_PAIRS, None);
        }
    }

    /// Adds arguments before the one at `index`, for options in the middle.
    pub(crate) fn insert_args<const N: usize>(mut self, index: usize, args: [&[u8]; N]) -> Self {
        for (offset, arg) in args.into_iter().enumerate() {
            self.insert(index + offset, arg);
        }
        self
    }

    fn insert(&mut self, index: usize, arg: &[u8]) {
        let at = self.ends[index];
        self.ends.insert(index + 1, at);
        self.replace_arg(index, arg);
    }

    /// Replaces the argument at `index`.
    pub(crate) fn replace_arg(&mut self, index: usize, arg: &[u8]) {
        let range = self.range(index + 1);
        let old = range.len();
        if u32::try_from(self.buf.len() - old + arg.len()).is_err() {
            return self.refuse(TOO_LARGE, None);
        }
        self.buf.splice(range, arg.iter().copied());
        for end in &mut self.ends[index + 1..] {
            *end = *end - old as u32 + arg.len() as u32;
        }
    }

    /// Returns the command with `prefix` before the arguments at these indexes.
    pub(crate) fn with_prefixes(&self, indexes: &[usize], prefix: &[u8]) -> Self {
        let mut command = Self {
            buf: Vec::with_capacity(self.buf.len() + indexes.len() * prefix.len()),
            ends: Ends::new(),
            ..self.clone()
        };
        for (index, part) in self.parts().enumerate() {
            if index > 0 && indexes.contains(&(index - 1)) {
                command.buf.extend_from_slice(prefix);
            }
            command.push_bytes(part);
        }
        command
    }

    /// Returns true if one of the arguments from `index` on is `option`, in any case.
    pub(crate) fn has(&self, option: &str, index: usize) -> bool {
        self.arguments().skip(index).any(|arg| arg.eq_ignore_ascii_case(option.as_bytes()))
    }

    /// Declares that this command may be resent after a reply was lost, whatever its name.
    #[must_use]
    pub fn idempotent(self) -> Self {
        self.with_idempotency(Idempotency::Idempotent)
    }

    pub(crate) fn with_idempotency(mut self, safety: Idempotency) -> Self {
        self.safety = Some(safety);
        self
    }

    pub(crate) fn with_script(mut self, script: Script) -> Self {
        self.rare.get_or_insert_default().script = Some(script);
        self
    }

    pub(crate) fn script(&self) -> Option<&Script> {
        self.rare.as_ref()?.script.as_ref()
    }

    /// Returns the effect of sending it twice: as declared, else by its name and arguments; unknown
    /// commands are [`Idempotency::NonIdempotent`].
    pub fn idempotency(&self) -> Idempotency {
        self.safety.unwrap_or_else(|| safety::classify(self))
    }

    /// Takes the command, and leaves one without parts.
    pub(crate) fn take(&mut self) -> Self {
        let mut left = Self::without_parts_or_buffer();
        left.ends.push(0);
        left.taken = true;
        std::mem::replace(self, left)
    }

    /// Changes the command unless it was [taken](Self::take): then the change is lost, which
    /// [`check`](Self::check) reports.
    pub(crate) fn unless_taken(mut self, change: impl FnOnce(Self) -> Self) -> Self {
        if self.taken {
            self.refuse("an option was given to a call that had been polled", None);
            return self;
        }
        change(self)
    }

    fn range(&self, index: usize) -> Range<usize> {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        start as usize..self.ends[index] as usize
    }

    /// Returns the name in its original spelling.
    pub fn name(&self) -> &[u8] {
        &self.buf[self.range(0)]
    }

    /// Returns the arguments after the name.
    pub fn arguments(&self) -> impl ExactSizeIterator<Item = &[u8]> + DoubleEndedIterator + Clone {
        self.parts_from(1)
    }
}

impl Command {
    fn parts_from(
        &self,
        first: usize,
    ) -> impl ExactSizeIterator<Item = &[u8]> + DoubleEndedIterator + Clone {
        (first..self.ends.len()).map(|index| &self.buf[self.range(index)])
    }

    /// Returns the name and the arguments.
    pub fn parts(&self) -> impl ExactSizeIterator<Item = &[u8]> + DoubleEndedIterator + Clone {
        self.parts_from(0)
    }

    /// Returns the argument at `index`, counted after the name.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        (index + 1 < self.ends.len()).then(|| &self.buf[self.range(index + 1)])
    }

    /// Returns true if the name is `name`, in any case.
    pub fn is(&self, name: &str) -> bool {
        self.name().eq_ignore_ascii_case(name.as_bytes())
    }

    /// Returns the number of bytes of the name and all arguments.
    pub fn byte_len(&self) -> usize {
        self.buf.len()
    }

    /// Returns the name for logs and errors: `?` if it does not look like a name, since it may then
    /// be data.
    pub(crate) fn label(&self) -> &str {
        let name = self.name();
        let plain = name.len() <= 32
            && name.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if plain { std::str::from_utf8(name).unwrap_or("?") } else { "?" }
    }

    /// Adds the command's name to an error.
    pub(crate) fn name_error(&self, error: Error) -> Error {
        let error = error.of_command(self.label());
        let writes = || self.idempotency() != Idempotency::ReadOnly;
        match table::flags(self).any(table::Flags::RUNS_SCRIPT) && writes() {
            true => error.of_writing_script(),
            false => error,
        }
    }

    fn refusal(&self) -> Option<Refusal> {
        self.rare.as_ref()?.refusal
    }

    /// Fails for a command that cannot be sent at all. A [`Backend`](crate::backend::Backend) asks
    /// before it executes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidCommand`]: an argument is missing, out of range or too large.
    pub fn check(&self) -> Result<(), Error> {
        let Some(Refusal { reason, field }) = self.refusal() else { return Ok(()) };
        let error = Error::new(ErrorKind::InvalidCommand, reason);
        Err(match field {
            Some(field) => error.with_detail(format!("field `{field}`")),
            None => error,
        })
    }
}

/// Shows the name and the number of arguments: arguments may be secret.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Command({} + {} arguments)", self.label(), self.ends.len() - 1)
    }
}

#[cfg(test)]
mod tests;
