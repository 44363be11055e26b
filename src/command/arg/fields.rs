//! [`Fields`] as arguments: the names and values of a struct or a map, by serde.

use super::{ArgWriter, Many, ToArgs};
use crate::value::Fields;
use serde::Serialize;
use serde::ser::{Error as _, Impossible, SerializeMap, SerializeStruct, Serializer};
use std::fmt;

/// A name and a value for each field of a struct, or each entry of a map. Numbers, bools (`1` or
/// `0`), texts, bytes and the names of unit variants are values; a nested value is refused when the
/// command is sent: wrap it in [`Json`](crate::Json).
///
/// A field that is `None` is left out: one that the hash has from an earlier write **stays** there.
impl<T: Serialize> ToArgs for Fields<T> {
    type Count = Many;
    fn write_args(&self, out: &mut ArgWriter<'_>) {
        if let Err(Refused(reason, field)) = self.0.serialize(Pairs(out)) {
            out.0.refuse(reason, field);
        }
    }
}

const NOT_A_STRUCT: &str = "`Fields` takes a struct or a map";
const NESTED: &str = "a field is no single value: wrap it in `Json`";

/// Reason why a value cannot be written, and the struct's own name of the field.
#[derive(Debug)]
struct Refused(&'static str, Option<&'static str>);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Refused {}

impl serde::ser::Error for Refused {
    /// Returns the text may quote a value, so it is not passed on.
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self("a value refused to be written", None)
    }
}

/// Refuses by `$error` every listed shape.
macro_rules! refuse {
    ($error:expr; $ok:ty; $($method:ident($($type:ty),*);)*) => {$(
        fn $method(self, $(_: $type),*) -> Result<$ok, Refused> {
            Err($error)
        }
    )*};
}

type Never<T> = Impossible<T, Refused>;

/// Writes names and values.
struct Pairs<'a, 'b>(&'a mut ArgWriter<'b>);

impl<'a, 'b> Serializer for Pairs<'a, 'b> {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Never<()>;
    type SerializeTuple = Never<()>;
    type SerializeTupleStruct = Never<()>;
    type SerializeTupleVariant = Never<()>;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Never<()>;

    fn serialize_map(self, _: Option<usize>) -> Result<Self, Refused> {
        Ok(self)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Refused> {
        Ok(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        value.serialize(self)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Refused> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Refused> {
        Err(Refused(NOT_A_STRUCT, None))
    }

    refuse! { Refused(NOT_A_STRUCT, None); ();
        serialize_bool(bool); serialize_i8(i8); serialize_i16(i16); serialize_i32(i32); serialize_i64(i64);
        serialize_u8(u8); serialize_u16(u16); serialize_u32(u32); serialize_u64(u64); serialize_f32(f32);
        serialize_f64(f64); serialize_char(char); serialize_str(&str); serialize_bytes(&[u8]); serialize_none();
        serialize_unit(); serialize_unit_struct(&'static str);
        serialize_unit_variant(&'static str, u32, &'static str);
    }
    refuse! { Refused(NOT_A_STRUCT, None); Never<()>;
        serialize_seq(Option<usize>); serialize_tuple(usize); serialize_tuple_struct(&'static str, usize);
        serialize_tuple_variant(&'static str, u32, &'static str, usize);
        serialize_struct_variant(&'static str, u32, &'static str, usize);
    }
}

impl Pairs<'_, '_> {
    /// Writes the value of the last name, or removes that name if there is none.
    fn value<T: Serialize + ?Sized>(
        &mut self,
        value: &T,
        field: Option<&'static str>,
    ) -> Result<(), Refused> {
        match value.serialize(Single(self.0)) {
            Ok(Written::Value) => Ok(()),
            Ok(Written::Nothing) => {
                self.0.0.pop();
                Ok(())
            }
            Err(Refused(reason, _)) => Err(Refused(reason, field)),
        }
    }
}

impl SerializeStruct for Pairs<'_, '_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        self.0.bytes(name.as_bytes());
        self.value(value, Some(name))
    }

    fn end(self) -> Result<(), Refused> {
        Ok(())
    }
}

impl SerializeMap for Pairs<'_, '_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refused> {
        match key.serialize(Single(self.0))? {
            Written::Value => Ok(()),
            Written::Nothing => Err(Refused::custom("")),
        }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        self.value(value, None)
    }

    fn end(self) -> Result<(), Refused> {
        Ok(())
    }
}

enum Written {
    Value,
    Nothing,
}

/// Writes one value.
struct Single<'a, 'b>(&'a mut ArgWriter<'b>);

macro_rules! write {
    ($($method:ident $type:ty;)*) => {$(
        fn $method(self, value: $type) -> Result<Written, Refused> {
            self.0.arg(value);
            Ok(Written::Value)
        }
    )*};
}

impl Serializer for Single<'_, '_> {
    type Ok = Written;
    type Error = Refused;
    type SerializeSeq = Never<Written>;
    type SerializeTuple = Never<Written>;
    type SerializeTupleStruct = Never<Written>;
    type SerializeTupleVariant = Never<Written>;
    type SerializeMap = Never<Written>;
    type SerializeStruct = Never<Written>;
    type SerializeStructVariant = Never<Written>;

    write! {
        serialize_bool bool; serialize_i8 i8; serialize_i16 i16; serialize_i32 i32; serialize_i64 i64; serialize_i128 i128;
        serialize_u8 u8; serialize_u16 u16; serialize_u32 u32; serialize_u64 u64; serialize_u128 u128;
        serialize_f32 f32; serialize_f64 f64; serialize_char char; serialize_str &str; serialize_bytes &[u8];
    }

    fn serialize_none(self) -> Result<Written, Refused> {
        Ok(Written::Nothing)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Written, Refused> {
        value.serialize(self)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Written, Refused> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Written, Refused> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<Written, Refused> {
        Err(Refused(NESTED, None))
    }

    refuse! { Refused(NESTED, None); Written;
        serialize_unit(); serialize_unit_struct(&'static str);
    }
    refuse! { Refused(NESTED, None); Never<Written>;
        serialize_seq(Option<usize>); serialize_tuple(usize); serialize_tuple_struct(&'static str, usize);
        serialize_tuple_variant(&'static str, u32, &'static str, usize); serialize_map(Option<usize>);
        serialize_struct(&'static str, usize);
        serialize_struct_variant(&'static str, u32, &'static str, usize);
    }
}
