//! How plain values are read.

use super::{Faults, FromJson, Json};

/// Those of a list; of any other value none.
fn items<'a>(json: &'a Json<'a>, faults: &mut Faults) -> &'a [Json<'a>] {
    match json {
        Json::List(items) => items,
        _ => {
            faults.wanted("a list");
            &[]
        }
    }
}

/// An integer of at most `most`.
fn integer(json: &Json<'_>, most: u64, faults: &mut Faults) -> u64 {
    match json {
        Json::Number(number) if *number <= most => return *number,
        Json::Number(_) => faults.wanted("a smaller number"),
        _ => faults.wanted("an integer of 0 or more"),
    }
    0
}

macro_rules! integers {
    ($($type:ident),+) => {$(
        impl FromJson for $type {
            fn read(json: &Json<'_>, faults: &mut Faults) -> Self {
                integer(json, u64::from(Self::MAX), faults) as Self
            }

            fn stand_in() -> Self {
                0
            }
        }
    )+};
}

integers!(u8, u32, u64);

impl FromJson for bool {
    fn read(json: &Json<'_>, faults: &mut Faults) -> Self {
        if !matches!(json, Json::Flag(_)) {
            faults.wanted("true or false");
        }
        matches!(json, Json::Flag(true))
    }

    fn stand_in() -> Self {
        false
    }
}

impl FromJson for String {
    fn read(json: &Json<'_>, faults: &mut Faults) -> Self {
        match json {
            Json::Text(text) => text.clone().into_owned(),
            _ => {
                faults.wanted("a text");
                Self::new()
            }
        }
    }

    fn stand_in() -> Self {
        Self::new()
    }
}

impl<T: FromJson> FromJson for Option<T> {
    const MAY_BE_MISSING: bool = true;

    fn read(json: &Json<'_>, faults: &mut Faults) -> Self {
        match json {
            Json::Null => None,
            json => Some(T::read(json, faults)),
        }
    }

    fn stand_in() -> Self {
        None
    }
}

impl<T: FromJson> FromJson for Vec<T> {
    fn read(json: &Json<'_>, faults: &mut Faults) -> Self {
        let items = items(json, faults);
        items.iter().map(|item| T::read(item, faults)).collect()
    }

    fn stand_in() -> Self {
        Self::new()
    }
}

impl<T: FromJson> FromJson for Box<T> {
    fn read(json: &Json<'_>, faults: &mut Faults) -> Self {
        Self::new(T::read(json, faults))
    }

    fn stand_in() -> Self {
        Self::new(T::stand_in())
    }
}
