//! Reading JSON into records and messages.
//!
//! A text is read into a tree once, by one reader, and a type says how it is made of a tree's members. serde's derive
//! compiles a reader of its own for every type, and a second one for every type below a tag: that was a third of the
//! edge's wasm, and an isolate must load all of it before its first answer. Every type here is read by serde too, by
//! way of the tree, so that there is one description of each.

mod plain;
mod text;
mod tree;

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _};

pub use self::tree::Json;

/// Why a JSON text does not fit what it is read into. Tells nothing of the text itself, which may be secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misfit {
    member: Option<&'static str>,
    wanted: &'static str,
}

impl Misfit {
    /// What would have fitted, with its article: `a number`.
    pub const fn wanted(wanted: &'static str) -> Self {
        Self {
            member: None,
            wanted,
        }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.member.unwrap_or("it"))?;
        f.write_str(" must be ")?;
        f.write_str(self.wanted)
    }
}

impl std::error::Error for Misfit {}

/// What is wrong with a JSON value, noted while it is read: of all misfits the first.
#[derive(Debug, Default)]
pub struct Faults(Option<Misfit>);

impl Faults {
    /// Notes what would have fitted.
    pub fn wanted(&mut self, wanted: &'static str) {
        self.0.get_or_insert(Misfit::wanted(wanted));
    }
}

/// What can be read from JSON.
pub trait FromJson: Sized {
    /// Whether it may be missing, and is what stands in for it then.
    const MAY_BE_MISSING: bool = false;

    /// Reads a value. When it does not fit, that is noted, and something stands in for it: a way out at every member of
    /// every type, with all that was read until there to be dropped, is three times the code.
    fn read(json: &Json<'_>, faults: &mut Faults) -> Self;

    /// What stands in.
    fn stand_in() -> Self;

    /// Reads a value.
    ///
    /// # Errors
    /// [`Misfit`], of the first member that does not fit. Members that nothing is known of are passed over.
    fn from_json(json: &Json<'_>) -> Result<Self, Misfit> {
        let mut faults = Faults::default();
        let value = Self::read(json, &mut faults);
        match faults.0 {
            None => Ok(value),
            Some(misfit) => Err(misfit),
        }
    }
}

/// Reads a text.
///
/// # Errors
/// [`Misfit`] for what is not JSON or does not fit.
pub fn from_str<T: FromJson>(text: &str) -> Result<T, Misfit> {
    T::from_json(&parse(text)?)
}

/// Reads a text into a tree.
///
/// # Errors
/// [`Misfit`] for what is not JSON.
pub fn parse(text: &str) -> Result<Json<'_>, Misfit> {
    text::parse(text, usize::MAX).ok_or(Misfit::wanted("JSON"))
}

/// Reads a text that anybody may have written into a tree of at most so many values. The tree of a hostile text takes more
/// than thirty times its memory.
///
/// # Errors
/// [`Misfit`] for what is not JSON, or has more values.
pub fn parse_at_most(text: &str, values: usize) -> Result<Json<'_>, Misfit> {
    text::parse(text, values).ok_or(Misfit::wanted("JSON of fewer values"))
}

/// The members of an object, to be taken one by one.
#[derive(Debug)]
pub struct Members<'a, 'f> {
    all: &'a [(Cow<'a, str>, Json<'a>)],
    faults: &'f mut Faults,
}

impl<'a, 'f> Members<'a, 'f> {
    /// Those of an object; of any other value none.
    pub fn of(json: &'a Json<'a>, faults: &'f mut Faults) -> Self {
        let all = match json {
            Json::Object(members) => members.as_slice(),
            _ => {
                faults.wanted("an object");
                &[]
            }
        };
        Self { all, faults }
    }

    /// Takes a member.
    pub fn take<T: FromJson>(&mut self, name: &'static str) -> T {
        let sound = self.faults.0.is_none();
        let value = match self.find(name, T::MAY_BE_MISSING) {
            Some(json) => T::read(json, self.faults),
            None => T::stand_in(),
        };
        self.name_fault(sound, name);
        value
    }

    /// Takes a member that may be missing.
    pub fn take_or<T: FromJson>(&mut self, name: &'static str, other: T) -> T {
        let sound = self.faults.0.is_none();
        let value = match self.find(name, true) {
            Some(json) => T::read(json, self.faults),
            None => other,
        };
        self.name_fault(sound, name);
        value
    }

    /// Takes a text, as it was written; empty where it is none.
    pub fn take_text(&mut self, name: &'static str) -> &'a str {
        let sound = self.faults.0.is_none();
        if let Some(Json::Text(text)) = self.find(name, true) {
            return text;
        }
        self.wanted("a text");
        self.name_fault(sound, name);
        ""
    }

    /// Notes what would have fitted.
    pub fn wanted(&mut self, wanted: &'static str) {
        self.faults.wanted(wanted);
    }

    fn find(&mut self, name: &'static str, may_be_missing: bool) -> Option<&'a Json<'a>> {
        let mut found = None;
        for (member, json) in self.all {
            if member == name {
                // Two readers could differ on which of them counts.
                if found.is_some() {
                    self.wanted("there once");
                }
                found = Some(json);
            }
        }
        if found.is_none() && !may_be_missing {
            self.wanted("there");
        }
        found
    }

    /// A fault that came up with a member is that member's, unless it is already a member's within.
    fn name_fault(&mut self, sound: bool, name: &'static str) {
        if let (true, Some(misfit)) = (sound, &mut self.faults.0) {
            misfit.member.get_or_insert(name);
        }
    }
}

/// Reads a value by way of serde: for types that are read from elsewhere than a text.
///
/// # Errors
/// Those of the deserializer, and a [`Misfit`] as one of them.
pub fn deserialize<'de, T: FromJson, D: Deserializer<'de>>(source: D) -> Result<T, D::Error> {
    T::from_json(&Json::deserialize(source)?).map_err(D::Error::custom)
}

/// Says how a type is read and written: an object by its members, `wire!(Type { field: "member", other: "other" or 1 })`; a
/// word by what it stands for, `wire!(Type: "word" => Variant, _ | "last" => Other)`; a text that has a reader of its own, and
/// `to_text`, `wire!(Type: a_reader, "what it is")`, with `or a_value` for what stands in where there is no default; an object
/// with ways of its own, `wire!(Type: Self::from_members, Self::put_members)`.
#[macro_export]
macro_rules! wire {
    ($type:ident: Self::from_members, Self::put_members) => {
        $crate::wire!(@impl $type,
            (json, faults) => Self::from_members(&mut $crate::read::Members::of(json, faults)),
            Self::read(&$crate::read::Json::Null, &mut $crate::read::Faults::default()),
            (value, to) => {
                to.push('{');
                value.put_members(to);
                to.push('}');
            });
    };
    ($type:ident { $($field:ident: $name:literal $(or $other:expr)?),+ $(,)? }) => {
        impl $type {
            pub(crate) fn from_members(members: &mut $crate::read::Members<'_, '_>) -> Self {
                Self { $($field: $crate::wire!(@take members, $name $(, $other)?)),+ }
            }

            pub(crate) fn put_members(&self, to: &mut String) {
                $($crate::write::member(to, $name, &self.$field);)+
            }
        }
        $crate::wire!($type: Self::from_members, Self::put_members);
    };
    (@take $members:ident, $name:literal) => { $members.take($name) };
    (@take $members:ident, $name:literal, $other:expr) => { $members.take_or($name, $other) };
    ($type:ident: $($word:literal => $variant:ident,)+ _ | $last:literal => $other:ident) => {
        $crate::wire!(@impl $type, (json, faults) => match json {
            $($crate::read::Json::Text(word) if word == $word => Self::$variant,)+
            $crate::read::Json::Text(_) => Self::$other,
            _ => {
                faults.wanted("a word");
                Self::$other
            }
        }, Self::$other, (value, to) => $crate::json::push_text(to, match value {
            $(Self::$variant => $word,)+
            Self::$other => $last,
        }));
    };
    ($type:ident: $first:literal => $stand_in:ident $(, $word:literal => $variant:ident)*) => {
        $crate::wire!(@impl $type, (json, faults) => match json {
            $crate::read::Json::Text(word) if word == $first => Self::$stand_in,
            $($crate::read::Json::Text(word) if word == $word => Self::$variant,)*
            _ => {
                faults.wanted("one of the known words");
                Self::$stand_in
            }
        }, Self::$stand_in, (value, to) => $crate::json::push_text(to, match value {
            Self::$stand_in => $first,
            $(Self::$variant => $word,)*
        }));
    };
    ($type:ident: $reader:expr, $wanted:literal) => {
        $crate::wire!($type: $reader, $wanted or Self::default());
    };
    ($type:ident: $reader:expr, $wanted:literal or $stand_in:expr) => {
        $crate::wire!(@impl $type, (json, faults) => {
            if let $crate::read::Json::Text(text) = json
                && let Ok(value) = $reader(text)
            {
                return value;
            }
            faults.wanted($wanted);
            $stand_in
        }, $stand_in, (value, to) => $crate::json::push_text(to, &value.to_text()));
    };
    (@impl $type:ident, ($json:ident, $faults:ident) => $read:expr, $stand_in:expr,
        ($value:ident, $to:ident) => $write:expr) => {
        impl $crate::read::FromJson for $type {
            fn read($json: &$crate::read::Json<'_>, $faults: &mut $crate::read::Faults) -> Self {
                $read
            }

            fn stand_in() -> Self {
                $stand_in
            }
        }
        impl $crate::write::ToJson for $type {
            fn write(&self, $to: &mut String) {
                let $value = self;
                $write
            }
        }
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
                $crate::read::deserialize(source)
            }
        }
    };
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
