//! Writing records and messages as JSON.
//!
//! The counterpart of [`crate::read`], and for the same reason not serde's: `wire!` says once how a type is read and
//! written. What is missing is left out, not written as null.

use crate::json::{push_name, push_text};

/// What can be written as JSON.
pub trait ToJson {
    /// Writes the value.
    fn write(&self, to: &mut String);

    /// Whether an object leaves it out.
    fn is_absent(&self) -> bool {
        false
    }
}

/// The JSON text of a value.
pub fn to_string<T: ToJson>(value: &T) -> String {
    let mut text = String::with_capacity(512);
    value.write(&mut text);
    text
}

/// Adds a member to an object that is being written.
pub fn member<T: ToJson>(to: &mut String, name: &str, value: &T) {
    if !value.is_absent() {
        push_name(to, name);
        value.write(to);
    }
}

macro_rules! integers {
    ($($type:ident),+) => {$(
        impl ToJson for $type {
            fn write(&self, to: &mut String) {
                to.push_str(itoa::Buffer::new().format(u64::from(*self)));
            }
        }
    )+};
}

integers!(u8, u32, u64);

impl ToJson for bool {
    fn write(&self, to: &mut String) {
        to.push_str(if *self { "true" } else { "false" });
    }
}

impl ToJson for str {
    fn write(&self, to: &mut String) {
        push_text(to, self);
    }
}

impl ToJson for String {
    fn write(&self, to: &mut String) {
        push_text(to, self);
    }
}

impl<T: ToJson> ToJson for Option<T> {
    fn write(&self, to: &mut String) {
        match self {
            Some(value) => value.write(to),
            None => to.push_str("null"),
        }
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<T: ToJson> ToJson for Vec<T> {
    fn write(&self, to: &mut String) {
        self.as_slice().write(to);
    }
}

impl<T: ToJson> ToJson for [T] {
    fn write(&self, to: &mut String) {
        to.push('[');
        for (index, item) in self.iter().enumerate() {
            if index > 0 {
                to.push(',');
            }
            item.write(to);
        }
        to.push(']');
    }
}

impl<T: ToJson + ?Sized> ToJson for &T {
    fn write(&self, to: &mut String) {
        (**self).write(to);
    }
}

impl<T: ToJson> ToJson for Box<T> {
    fn write(&self, to: &mut String) {
        (**self).write(to);
    }
}
