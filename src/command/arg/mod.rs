//! Arguments: the types that are one, those that are several, and their encoding.

mod count;
mod fields;
mod list;
mod single;

pub use count::{Count, Element, ExactlyOne, Group, Many, One};
pub use list::Args;

use super::Command;
use std::borrow::Cow;
use std::fmt;

/// Receives arguments. See [`ToArgs`].
pub struct ArgWriter<'a>(&'a mut Command);

impl<'a> ArgWriter<'a> {
    pub(super) fn new(command: &'a mut Command) -> Self {
        Self(command)
    }

    /// Adds one argument.
    pub fn arg(&mut self, arg: impl ToArg) {
        self.0.push(arg);
    }

    /// Adds zero or more arguments.
    pub fn args(&mut self, args: impl ToArgs) {
        args.write_args(self);
    }

    /// Adds one argument of these bytes.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.push_bytes(bytes);
    }

    /// Adds one argument of the displayed text of `value`.
    pub fn display(&mut self, value: impl fmt::Display) {
        self.0.push_bytes(value.to_string().as_bytes());
    }

    /// Declares that the value cannot be an argument; the command is refused when it is sent.
    /// `reason` is shown to users: it must not hold data.
    pub fn fail(&mut self, reason: &'static str) {
        self.0.refuse(reason, None);
    }
}

/// Shows no argument.
impl fmt::Debug for ArgWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ArgWriter").field(&self.0).finish()
    }
}

/// Arguments of a command: one, several, or none.
///
/// | is | types |
/// |---|---|
/// | one | strings, `char`, `bool` (`1` or `0`), integers, floats, bytes (`Vec<u8>`, `&[u8]`, `[u8; N]`, `Bytes` …), `Uuid`, [`Json(value)`](crate::Json) |
/// | several | lists, tuples, sets, maps (key, value, key, value …), [`Fields(&value)`](crate::Fields), [`Args`] |
/// | none or several | `Option`, `()` |
///
/// Tuples are groups of mixed types, and a tuple or a list of pairs is a list of pairs: `(("name",
/// "Ada"), ("age", 36))`. An iterator is collected: `ids.iter().map(|id|
/// format!("user:{id}")).collect::<Args>()`. References and smart pointers are what they point to.
/// A list of `u8` is one argument of these bytes, so `[5u8, 65]` is one argument where `[5, 65]` is
/// two numbers.
///
/// Integers are written in decimal, floats in the shortest form that reads back to the same value
/// (`inf` and `-inf` as Redis spells them; NaN is refused when the command is sent).
///
/// A custom type needs one impl, and is then a key, a value, and an element of lists:
///
/// ```
/// use redis_rest::{ArgWriter, One, ToArgs, cmd};
/// struct UserId(String);
///
/// impl ToArgs for UserId {
///     type Count = One;
///     fn write_args(&self, out: &mut ArgWriter<'_>) {
///         out.arg(&self.0);
///     }
/// }
///
/// let ids = [UserId("ada".into()), UserId("grace".into())];
/// assert_eq!(cmd("DEL").args(&ids).arguments().count(), 2);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a command",
    label = "not an argument",
    note = "a value as JSON text: `Json(value)`",
    note = "the fields of a struct as names and values: `Fields(&value)`",
    note = "the items of an iterator: `.collect::<Args>()`"
)]
pub trait ToArgs {
    /// The number of arguments: [`One`], a [`Group`] (may be an element of a list), or [`Many`].
    type Count: Count;

    /// Writes the arguments.
    fn write_args(&self, out: &mut ArgWriter<'_>);

    /// Returns the byte, for types whose lists are one argument.
    #[doc(hidden)]
    fn byte(&self) -> u8 {
        0
    }

    /// Returns the list as bytes, for types whose lists are one argument.
    #[doc(hidden)]
    fn byte_string(list: &[Self]) -> Cow<'_, [u8]>
    where
        Self: Sized,
    {
        list.iter().map(Self::byte).collect()
    }
}

/// Exactly one argument: a key, a value, a member. Implemented by every type that implements
/// [`ToArgs`] with the count [`One`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not exactly one argument",
    label = "exactly one argument goes here",
    note = "a value as JSON text: `Json(value)`",
    note = "a list, a tuple, a map or an `Option` goes where several arguments may"
)]
pub trait ToArg: ToArgs<Count: ExactlyOne> {}

impl<T: ToArgs<Count: ExactlyOne> + ?Sized> ToArg for T {}

#[cfg(test)]
mod tests;
