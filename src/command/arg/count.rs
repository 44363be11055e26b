//! The number of arguments that a type is, as types: so the compiler refuses a list where one
//! argument goes.

/// Exactly one argument.
#[derive(Clone, Copy, Debug)]
pub enum One {}

/// A fixed number of arguments that belong together, such as a field and its value.
#[derive(Clone, Copy, Debug)]
pub enum Group {}

/// Any number of arguments.
#[derive(Clone, Copy, Debug)]
pub enum Many {}

/// A byte: one argument, lists of which are one argument too.
#[derive(Clone, Copy, Debug)]
pub enum Byte {}

/// The number of arguments that a type is: [`One`], [`Group`] or [`Many`].
pub trait Count: sealed::Sealed {
    /// The number of arguments that a list of it is.
    #[doc(hidden)]
    type OfList: Count;
    /// True if a list of it is a string of bytes.
    #[doc(hidden)]
    const BYTES: bool = false;
}

/// Counts of what may be an element of a list or a tuple.
#[diagnostic::on_unimplemented(
    message = "a list, a map or an `Option` cannot be an element of a list or a tuple of arguments",
    label = "an element of this list is several arguments, or none",
    note = "flatten the lists, for example by `.iter().flatten().collect::<Args>()`",
    note = "leave out the pairs whose value is `None`, for example by `filter_map`"
)]
pub trait Element: Count {}

/// Counts of what is exactly one argument.
#[diagnostic::on_unimplemented(
    message = "several arguments where exactly one goes",
    label = "exactly one argument goes here",
    note = "an `Option` is none or one: decide with `match` or `if let` first",
    note = "a key, a field or a value of several parts is one text: `format!(\"{{a}}:{{b}}\")`, or `Json(value)`"
)]
pub trait ExactlyOne: Element {}

impl Count for One {
    type OfList = Many;
}
impl Count for Group {
    type OfList = Many;
}
impl Count for Many {
    type OfList = Many;
}
impl Count for Byte {
    type OfList = One;
    const BYTES: bool = true;
}

impl Element for One {}
impl Element for Group {}
impl Element for Byte {}

impl ExactlyOne for One {}
impl ExactlyOne for Byte {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::One {}
    impl Sealed for super::Group {}
    impl Sealed for super::Many {}
    impl Sealed for super::Byte {}
}
