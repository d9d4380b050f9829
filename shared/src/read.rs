//! Reading JSON into records and messages.
//!
//! A text is read into a tree once, by one reader, and a type says how it is made of a tree's members. serde's derive
//! compiles a reader of its own for every type, and a second one for every type below a tag: that was a third of the
//! edge's wasm, and an isolate must load all of it before its first answer. Every type here is read by serde too, by
//! way of the tree, so that there is one description of each.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// A JSON value (RFC 8259).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json<'a> {
    /// `null`
    Null,
    /// `true` or `false`.
    Flag(bool),
    /// An integer from 0 to 2⁶⁴ − 1.
    Number(u64),
    /// Any other number: no member of ours is one.
    OtherNumber,
    /// A text.
    Text(Cow<'a, str>),
    /// A list.
    List(Vec<Json<'a>>),
    /// An object, its members in order.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

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

    fn at(self, member: &'static str) -> Self {
        Self {
            member: self.member.or(Some(member)),
            ..self
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

/// What can be read from JSON.
pub trait FromJson: Sized {
    /// Reads a value.
    ///
    /// # Errors
    /// [`Misfit`], of the first member that does not fit. Members that nothing is known of are passed over.
    fn from_json(json: Json<'_>) -> Result<Self, Misfit>;

    /// What a missing member stands for, if it may be missing.
    fn missing() -> Option<Self> {
        None
    }
}

/// Reads a text.
///
/// # Errors
/// [`Misfit`] for what is not JSON or does not fit.
pub fn from_str<T: FromJson>(text: &str) -> Result<T, Misfit> {
    T::from_json(parse(text)?)
}

/// Reads a text into a tree.
///
/// # Errors
/// [`Misfit`] for what is not JSON.
pub fn parse(text: &str) -> Result<Json<'_>, Misfit> {
    serde_json::from_str(text).map_err(|_| Misfit::wanted("JSON"))
}

/// The members of an object, to be taken one by one.
#[derive(Debug)]
pub struct Members<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

impl<'a> Members<'a> {
    /// Those of an object.
    ///
    /// # Errors
    /// [`Misfit`] for any other value.
    pub fn of(json: Json<'a>) -> Result<Self, Misfit> {
        match json {
            Json::Object(members) => Ok(Self(members)),
            _ => Err(Misfit::wanted("an object")),
        }
    }

    /// Takes a member.
    ///
    /// # Errors
    /// [`Misfit`] when it is missing and must not be, is there twice or does not fit.
    pub fn take<T: FromJson>(&mut self, name: &'static str) -> Result<T, Misfit> {
        let value = match self.find(name)? {
            Some(json) => T::from_json(json),
            None => T::missing().ok_or(Misfit::wanted("there")),
        };
        value.map_err(|e| e.at(name))
    }

    /// Takes a member that may be missing.
    ///
    /// # Errors
    /// [`Misfit`] when it is there twice or does not fit.
    pub fn take_or<T: FromJson>(&mut self, name: &'static str, other: T) -> Result<T, Misfit> {
        match self.find(name)? {
            Some(json) => T::from_json(json).map_err(|e| e.at(name)),
            None => Ok(other),
        }
    }

    /// Takes a text, as it was written.
    ///
    /// # Errors
    /// [`Misfit`] when it is missing, there twice or no text.
    pub fn take_text(&mut self, name: &'static str) -> Result<Cow<'a, str>, Misfit> {
        match self.find(name)? {
            Some(Json::Text(text)) => Ok(text),
            _ => Err(Misfit::wanted("a text").at(name)),
        }
    }

    /// Refuses members that were not taken: for what people write, where an unknown one is a mistake.
    ///
    /// # Errors
    /// [`Misfit`] when any is left.
    pub fn only(&self) -> Result<(), Misfit> {
        match self.0.is_empty() {
            true => Ok(()),
            false => Err(Misfit::wanted("without unknown members")),
        }
    }

    fn find(&mut self, name: &'static str) -> Result<Option<Json<'a>>, Misfit> {
        let Some(place) = self.0.iter().position(|(member, _)| member == name) else {
            return Ok(None);
        };
        // Two readers could differ on which of them counts.
        let (_, value) = self.0.swap_remove(place);
        if self.0.iter().any(|(member, _)| member == name) {
            return Err(Misfit::wanted("there once").at(name));
        }
        Ok(Some(value))
    }
}

impl FromJson for bool {
    fn from_json(json: Json<'_>) -> Result<Self, Misfit> {
        match json {
            Json::Flag(flag) => Ok(flag),
            _ => Err(Misfit::wanted("true or false")),
        }
    }
}

impl FromJson for u64 {
    fn from_json(json: Json<'_>) -> Result<Self, Misfit> {
        match json {
            Json::Number(number) => Ok(number),
            _ => Err(Misfit::wanted("an integer of 0 or more")),
        }
    }
}

impl FromJson for u32 {
    fn from_json(json: Json<'_>) -> Result<Self, Misfit> {
        u64::from_json(json)?
            .try_into()
            .map_err(|_| Misfit::wanted("a smaller number"))
    }
}

impl FromJson for u8 {
    fn from_json(json: Json<'_>) -> Result<Self, Misfit> {
        u64::from_json(json)?
            .try_into()
            .map_err(|_| Misfit::wanted("a smaller number"))
    }
}

impl FromJson for String {
    fn from_json(json: Json<'_>) -> Result<Self, Misfit> {
        match json {
            Json::Text(text) => Ok(text.into_owned()),
            _ => Err(Misfit::wanted("a text")),
        }
    }
}

impl<T: FromJson> FromJson for Option<T> {
    fn from_json(json: Json<'_>) -> Result<Self, Misfit> {
        match json {
            Json::Null => Ok(None),
            json => T::from_json(json).map(Some),
        }
    }

    fn missing() -> Option<Self> {
        Some(None)
    }
}

impl<T: FromJson> FromJson for Vec<T> {
    fn from_json(json: Json<'_>) -> Result<Self, Misfit> {
        let Json::List(items) = json else {
            return Err(Misfit::wanted("a list"));
        };
        // A plain loop: collecting results compiles to five times as much, for every type.
        let mut list = Self::with_capacity(items.len());
        for item in items {
            list.push(T::from_json(item)?);
        }
        Ok(list)
    }
}

impl<T: FromJson> FromJson for Box<T> {
    fn from_json(json: Json<'_>) -> Result<Self, Misfit> {
        T::from_json(json).map(Box::new)
    }
}

impl<A: FromJson, B: FromJson> FromJson for (A, B) {
    fn from_json(json: Json<'_>) -> Result<Self, Misfit> {
        let wanted = Misfit::wanted("a pair");
        let Json::List(pair) = json else {
            return Err(wanted);
        };
        let [a, b] = <[Json<'_>; 2]>::try_from(pair).map_err(|_| wanted)?;
        Ok((A::from_json(a)?, B::from_json(b)?))
    }
}

/// Reads a value by way of serde: for types that are read from elsewhere than a text.
///
/// # Errors
/// Those of the deserializer, and a [`Misfit`] as one of them.
pub fn deserialize<'de, T: FromJson, D: Deserializer<'de>>(source: D) -> Result<T, D::Error> {
    T::from_json(Json::deserialize(source)?).map_err(D::Error::custom)
}

/// Says how a type is read: an object by its members, `read!(Type { field: "member", other: "other" or 1 })`; a word
/// by what it stands for, `read!(Type: "word" => Variant, _ => Other)`; a text that has a reader of its own,
/// `read!(Type: a_reader, "what it is")`; an object with a way of its own, `read!(Type: Self::from_members)`.
#[macro_export]
macro_rules! read {
    ($type:ident: Self::from_members) => {
        $crate::read!(@impl $type, json => {
            Self::from_members(&mut $crate::read::Members::of(json)?)
        });
    };
    ($type:ident($inner:ty)) => {
        $crate::read!(@impl $type, json => <$inner as $crate::read::FromJson>::from_json(json).map(Self));
    };
    ($type:ident { $($field:ident: $name:literal $(or $other:expr)?),+ $(,)? }) => {
        impl $type {
            pub(crate) fn from_members(members: &mut $crate::read::Members<'_>) -> Result<Self, $crate::read::Misfit> {
                Ok(Self { $($field: $crate::read!(@take members, $name $(, $other)?)?),+ })
            }
        }
        $crate::read!($type: Self::from_members);
    };
    (@take $members:ident, $name:literal) => { $members.take($name) };
    (@take $members:ident, $name:literal, $other:expr) => { $members.take_or($name, $other) };
    ($type:ident: $($word:literal => $variant:ident),+ $(, _ => $other:ident)?) => {
        $crate::read!(@impl $type, json => match json {
            $($crate::read::Json::Text(word) if word == $word => Ok(Self::$variant),)+
            $($crate::read::Json::Text(_) => Ok(Self::$other),)?
            _ => Err($crate::read::Misfit::wanted("one of the known words")),
        });
    };
    ($type:ident: $reader:expr, $wanted:literal) => {
        $crate::read!(@impl $type, json => match json {
            $crate::read::Json::Text(text) => $reader(&text).ok(),
            _ => None,
        }
        .ok_or($crate::read::Misfit::wanted($wanted)));
    };
    (@impl $type:ident, $json:ident => $read:expr) => {
        impl $crate::read::FromJson for $type {
            fn from_json($json: $crate::read::Json<'_>) -> Result<Self, $crate::read::Misfit> {
                $read
            }
        }
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
                $crate::read::deserialize(source)
            }
        }
    };
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_any(Tree)
    }
}

/// Builds the tree.
struct Tree;

impl<'de> Visitor<'de> for Tree {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Json<'de>, E> {
        Ok(Json::Flag(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json<'de>, E> {
        Ok(number.try_into().map_or(Json::OtherNumber, Json::Number))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json<'de>, E> {
        Ok(Json::OtherNumber)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json<'de>, A::Error> {
        let mut object = Vec::new();
        while let Some((name, value)) = members.next_entry()? {
            let Json::Text(name) = name else {
                return Err(A::Error::custom("a name is a text"));
            };
            object.push((name, value));
        }
        Ok(Json::Object(object))
    }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
