//! Types that are one argument.

use super::count::Byte;
use super::{ArgWriter, One, ToArgs};
use crate::value::Json;
use bytes::Bytes;
use serde::Serialize;
use std::borrow::Cow;

impl ToArgs for str {
    type Count = One;
    fn write_args(&self, out: &mut ArgWriter<'_>) {
        out.bytes(self.as_bytes());
    }
}

impl ToArgs for String {
    type Count = One;
    fn write_args(&self, out: &mut ArgWriter<'_>) {
        out.bytes(self.as_bytes());
    }
}

impl ToArgs for Bytes {
    type Count = One;
    fn write_args(&self, out: &mut ArgWriter<'_>) {
        out.bytes(self);
    }
}

impl ToArgs for char {
    type Count = One;
    fn write_args(&self, out: &mut ArgWriter<'_>) {
        out.bytes(self.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

/// `1` or `0`.
impl ToArgs for bool {
    type Count = One;
    fn write_args(&self, out: &mut ArgWriter<'_>) {
        out.bytes(if *self { b"1" } else { b"0" });
    }
}

/// A number in decimal. A list of `u8` is one argument of these bytes.
impl ToArgs for u8 {
    type Count = Byte;
    fn write_args(&self, out: &mut ArgWriter<'_>) {
        out.bytes(itoa::Buffer::new().format(*self).as_bytes());
    }

    fn byte(&self) -> u8 {
        *self
    }

    fn byte_string(list: &[Self]) -> Cow<'_, [u8]> {
        Cow::Borrowed(list)
    }
}

macro_rules! integers {
    ($($int:ty)*) => {$(
        impl ToArgs for $int {
            type Count = One;
            fn write_args(&self, out: &mut ArgWriter<'_>) {
                out.bytes(itoa::Buffer::new().format(*self).as_bytes());
            }
        }
    )*};
}
integers!(i8 i16 i32 i64 i128 isize u16 u32 u64 u128 usize);

macro_rules! floats {
    ($($float:ty)*) => {$(
        impl ToArgs for $float {
            type Count = One;
            fn write_args(&self, out: &mut ArgWriter<'_>) {
                if self.is_nan() {
                    out.fail("a float argument is not a number");
                }
                out.display(self);
            }
        }
    )*};
}
floats!(f32 f64);

impl ToArgs for uuid::Uuid {
    type Count = One;
    fn write_args(&self, out: &mut ArgWriter<'_>) {
        out.bytes(self.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()).as_bytes());
    }
}

impl<T: Serialize> ToArgs for Json<T> {
    type Count = One;
    fn write_args(&self, out: &mut ArgWriter<'_>) {
        if serde_json::to_writer(&mut out.0.buf, &self.0).is_err() {
            out.fail("a value could not be written as JSON");
        }
        out.0.end_argument();
    }
}
