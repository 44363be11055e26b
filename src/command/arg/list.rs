//! Types that are several arguments, pointers, and [`Args`].

use super::{ArgWriter, Count, Element, Group, Many, ToArg, ToArgs};
use crate::command::Command;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

impl<T: ToArgs<Count: Element>> ToArgs for [T] {
    type Count = <T::Count as Count>::OfList;
    fn write_args(&self, out: &mut ArgWriter<'_>) {
        if T::Count::BYTES {
            out.bytes(&T::byte_string(self));
        } else {
            out.0.ends.reserve(self.len());
            self.iter().for_each(|element| element.write_args(out));
        }
    }
}

impl<T: ToArgs<Count: Element>, const N: usize> ToArgs for [T; N] {
    type Count = <T::Count as Count>::OfList;
    fn write_args(&self, out: &mut ArgWriter<'_>) {
        self.as_slice().write_args(out);
    }
}

impl<T: ToArgs<Count: Element>> ToArgs for Vec<T> {
    type Count = <T::Count as Count>::OfList;
    fn write_args(&self, out: &mut ArgWriter<'_>) {
        self.as_slice().write_args(out);
    }
}

macro_rules! sets {
    ($($type:ty $(, $generic:ident)?;)*) => {$(
        impl<T: ToArgs<Count: Element> $(, $generic)?> ToArgs for $type {
            type Count = Many;
            fn write_args(&self, out: &mut ArgWriter<'_>) {
                self.iter().for_each(|element| element.write_args(out));
            }
        }
    )*};
}
sets! { HashSet<T, S>, S; BTreeSet<T>; VecDeque<T>; Option<T>; }

macro_rules! maps {
    ($($type:ty $(, $generic:ident)?;)*) => {$(
        impl<K: ToArg, V: ToArg $(, $generic)?> ToArgs for $type {
            type Count = Many;
            fn write_args(&self, out: &mut ArgWriter<'_>) {
                for (name, value) in self {
                    name.write_args(out);
                    value.write_args(out);
                }
            }
        }
    )*};
}
maps! { HashMap<K, V, S>, S; BTreeMap<K, V>; }

/// Creates an empty list.
impl ToArgs for () {
    type Count = Many;
    fn write_args(&self, _: &mut ArgWriter<'_>) {}
}

macro_rules! tuples {
    ($($($t:ident)*;)*) => {$(
        impl<$($t: ToArgs<Count: Element>),*> ToArgs for ($($t,)*) {
            type Count = Group;
            fn write_args(&self, out: &mut ArgWriter<'_>) {
                #[allow(non_snake_case)]
                let ($($t,)*) = self;
                $($t.write_args(out);)*
            }
        }
    )*};
}
tuples! {
    A; A B; A B C; A B C D; A B C D E; A B C D E F; A B C D E F G; A B C D E F G H; A B C D E F G H I;
    A B C D E F G H I J; A B C D E F G H I J K; A B C D E F G H I J K L;
}

macro_rules! pointers {
    ($($type:ty;)*) => {$(
        impl<T: ToArgs + ?Sized> ToArgs for $type {
            type Count = T::Count;
            fn write_args(&self, out: &mut ArgWriter<'_>) {
                (**self).write_args(out);
            }

            fn byte(&self) -> u8 {
                (**self).byte()
            }
        }
    )*};
}
pointers! { &T; &mut T; Box<T>; Rc<T>; Arc<T>; }

impl<T: ToArgs + ToOwned + ?Sized> ToArgs for Cow<'_, T> {
    type Count = T::Count;
    fn write_args(&self, out: &mut ArgWriter<'_>) {
        (**self).write_args(out);
    }

    fn byte(&self) -> u8 {
        (**self).byte()
    }
}

/// A list of arguments of any types, built one by one or collected from an iterator.
///
/// ```
/// use redis_rest::{Args, cmd};
/// let keys: Args = (1..=3).map(|id| format!("user:{id}")).collect();
/// assert_eq!(cmd("DEL").args(keys).arguments().count(), 3);
///
/// let mut fields = Args::new();
/// fields.push("name");
/// fields.push("Ada");
/// fields.extend([("age", 36), ("visits", 7)]);
/// assert_eq!(fields.len(), 6);
/// ```
#[derive(Clone)]
pub struct Args(Command);

impl Args {
    /// Creates an empty list.
    pub const fn new() -> Self {
        Self(Command::without_parts_or_buffer())
    }

    /// Adds one argument.
    pub fn push(&mut self, arg: impl ToArg) {
        self.0.push(arg);
    }

    /// Returns the number of arguments.
    pub fn len(&self) -> usize {
        self.0.parts().len()
    }

    /// Returns true if there are no arguments.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the arguments.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> + DoubleEndedIterator + Clone {
        self.0.parts()
    }
}

impl Default for Args {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: ToArgs<Count: Element>> Extend<T> for Args {
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        items.into_iter().for_each(|item| self.0.push_all(item));
    }
}

impl<T: ToArgs<Count: Element>> FromIterator<T> for Args {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut args = Self::new();
        args.extend(items);
        args
    }
}

impl ToArgs for Args {
    type Count = Many;
    fn write_args(&self, out: &mut ArgWriter<'_>) {
        self.iter().for_each(|arg| out.bytes(arg));
        if let Some(refusal) = self.0.refusal() {
            out.0.refuse(refusal.reason, refusal.field);
        }
    }
}

/// Shows only the number of arguments: they may be secret.
impl fmt::Debug for Args {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Args({})", self.len())
    }
}
