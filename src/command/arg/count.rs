//! The number of arguments of a type, as types: the compiler refuses a list in place of a single
//! argument.

/// A single argument.
#[derive(Clone, Copy, Debug)]
pub enum One {}

/// A fixed number of arguments that belong together, such as a field and its value.
#[derive(Clone, Copy, Debug)]
pub enum Group {}

/// Any number of arguments.
#[derive(Clone, Copy, Debug)]
pub enum Many {}

/// A byte: one argument, and a list of bytes is one argument too.
#[derive(Clone, Copy, Debug)]
pub enum Byte {}

/// The number of arguments of a type: [`One`], [`Group`] or [`Many`].
pub trait Count: sealed::Sealed {
    /// The number of arguments of a list of it.
    #[doc(hidden)]
    type OfList: Count;
    /// True if a list of it is a string of bytes.
    #[doc(hidden)]
    const BYTES: bool = false;
}

/// Counts that elements of a list or a tuple may have.
#[diagnostic::on_unimplemented(
    message = "a list, a map or an `Option` cannot be an element of a list or a tuple of arguments",
    label = "an element of this list is several arguments, or none",
    note = "flatten the lists, for example by `.iter().flatten().collect::<Args>()`",
    note = "leave out the pairs whose value is `None`, for example by `filter_map`"
)]
pub trait Element: Count {}

/// The count of exactly one argument.
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
