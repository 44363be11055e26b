//! Arguments: any string, bytes, integer or float type, exactly one argument each.

use super::Command;
use crate::value::Json;
use bytes::Bytes;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

/// Receives the bytes of one argument.
pub struct ArgWriter<'a> {
    buf: &'a mut Vec<u8>,
    failure: Option<&'static str>,
}

impl<'a> ArgWriter<'a> {
    pub(super) fn new(buf: &'a mut Vec<u8>) -> Self {
        Self { buf, failure: None }
    }

    pub(super) fn failure(&self) -> Option<&'static str> {
        self.failure
    }

    /// Appends to the argument.
    pub fn write(&mut self, bytes: &[u8]) {
        self.buf.extend_from_slice(bytes);
    }

    /// Declares that the value cannot be an argument; the command is refused when it is sent. `reason` is shown to users:
    /// it must not hold data.
    pub fn fail(&mut self, reason: &'static str) {
        self.failure = Some(reason);
    }
}

/// Shows no argument: it is at the end of those before it.
impl fmt::Debug for ArgWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArgWriter").field("failure", &self.failure).finish_non_exhaustive()
    }
}

/// A value that becomes exactly one argument.
///
/// Integers are written in decimal, floats in the shortest form that reads back to the same value (`inf` and `-inf` as
/// Redis spells them; NaN is refused).
pub trait ToArg {
    /// Writes the argument's bytes.
    fn write_arg(&self, out: &mut ArgWriter<'_>);
}

macro_rules! byte_args {
    ($($type:ty),*) => {$(
        impl ToArg for $type {
            fn write_arg(&self, out: &mut ArgWriter<'_>) {
                out.write(self.as_ref());
            }
        }
    )*};
}
byte_args!(str, [u8], Vec<u8>, Bytes, Box<[u8]>, Arc<[u8]>);

macro_rules! text_args {
    ($($type:ty),*) => {$(
        impl ToArg for $type {
            fn write_arg(&self, out: &mut ArgWriter<'_>) {
                out.write(self.as_bytes());
            }
        }
    )*};
}
text_args!(String, Box<str>, Arc<str>, Cow<'_, str>);

impl<const N: usize> ToArg for [u8; N] {
    fn write_arg(&self, out: &mut ArgWriter<'_>) {
        out.write(self);
    }
}

macro_rules! integer_args {
    ($($int:ty)*) => {$(
        impl ToArg for $int {
            fn write_arg(&self, out: &mut ArgWriter<'_>) {
                out.write(itoa::Buffer::new().format(*self).as_bytes());
            }
        }
    )*};
}
integer_args!(i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize);

macro_rules! float_args {
    ($($float:ty)*) => {$(
        impl ToArg for $float {
            fn write_arg(&self, out: &mut ArgWriter<'_>) {
                if self.is_nan() {
                    out.fail("a float argument is not a number");
                }
                out.write(self.to_string().as_bytes());
            }
        }
    )*};
}
float_args!(f32 f64);

impl ToArg for uuid::Uuid {
    fn write_arg(&self, out: &mut ArgWriter<'_>) {
        out.write(self.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()).as_bytes());
    }
}

impl<T: Serialize> ToArg for Json<T> {
    fn write_arg(&self, out: &mut ArgWriter<'_>) {
        if serde_json::to_writer(&mut *out.buf, &self.0).is_err() {
            out.fail("a value could not be written as JSON");
        }
    }
}

impl<T: ToArg + ?Sized> ToArg for &T {
    fn write_arg(&self, out: &mut ArgWriter<'_>) {
        (**self).write_arg(out);
    }
}

/// Zero or more arguments: lists of values, and maps or lists of pairs (key, value, key, value …).
pub trait ToArgs {
    /// Adds the arguments to `command`.
    fn write_args(&self, command: &mut Command);
}

impl<T: ToArgs + ?Sized> ToArgs for &T {
    fn write_args(&self, command: &mut Command) {
        (**self).write_args(command);
    }
}

/// An element of a list of arguments: one value, a pair, or three.
#[doc(hidden)]
pub trait Element {
    fn write_element(&self, command: &mut Command);
}

impl<T: ToArg> Element for T {
    fn write_element(&self, command: &mut Command) {
        command.push(self);
    }
}

impl<A: ToArg, B: ToArg> Element for (A, B) {
    fn write_element(&self, command: &mut Command) {
        command.push(&self.0);
        command.push(&self.1);
    }
}

impl<A: ToArg, B: ToArg, C: ToArg> Element for (A, B, C) {
    fn write_element(&self, command: &mut Command) {
        command.push(&self.0);
        command.push(&self.1);
        command.push(&self.2);
    }
}

/// None.
impl ToArgs for () {
    fn write_args(&self, _: &mut Command) {}
}

impl<T: Element> ToArgs for [T] {
    fn write_args(&self, command: &mut Command) {
        for element in self {
            element.write_element(command);
        }
    }
}

impl<T: Element, const N: usize> ToArgs for [T; N] {
    fn write_args(&self, command: &mut Command) {
        self.as_slice().write_args(command);
    }
}

impl<T: Element> ToArgs for Vec<T> {
    fn write_args(&self, command: &mut Command) {
        self.as_slice().write_args(command);
    }
}

impl<T: Element, S> ToArgs for HashSet<T, S> {
    fn write_args(&self, command: &mut Command) {
        self.iter().for_each(|element| element.write_element(command));
    }
}

impl<T: Element> ToArgs for BTreeSet<T> {
    fn write_args(&self, command: &mut Command) {
        self.iter().for_each(|element| element.write_element(command));
    }
}

impl<K: ToArg, V: ToArg, S> ToArgs for HashMap<K, V, S> {
    fn write_args(&self, command: &mut Command) {
        self.iter().for_each(|pair| pair.write_element(command));
    }
}

impl<K: ToArg, V: ToArg> ToArgs for BTreeMap<K, V> {
    fn write_args(&self, command: &mut Command) {
        self.iter().for_each(|pair| pair.write_element(command));
    }
}
