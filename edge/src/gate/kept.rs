//! Sets of header fields that JavaScript keeps ready.
//!
//! Most fields of a hot answer are the same each time. To make them anew costs more than the whole decision, so
//! JavaScript keeps answers that have them, by place, and is told the place and the few fields that change.
//!
//! Places are given out in turn. A set is told in the answer that first uses it, and only when that answer is carried
//! out in the same turn of the event loop: so no answer can name a place that JavaScript does not have yet.

use std::cell::Cell;

use shared::fields::Fields;

/// How many sets are kept: an isolate's hot keys. About 1 KB each.
const PLACES: usize = 4_096;

/// Where a set is kept, and what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    place: u16,
    serial: u64,
    about: u64,
}

/// Who remembers a place.
pub type Mark = Cell<Option<Place>>;

/// The fields of an answer that are the same each time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fixed {
    /// JavaScript has them at this place.
    Kept(u16),
    /// JavaScript shall keep them there.
    Keep(u16, Fields),
    /// They are not kept.
    Once(Fields),
}

impl Fixed {
    /// The fields that `write` writes, for this answer alone.
    pub fn once(write: impl FnOnce(&mut Fields)) -> Self {
        Self::Once(written(write))
    }
}

fn written(write: impl FnOnce(&mut Fields)) -> Fields {
    let mut fields = Fields::with_capacity(512);
    write(&mut fields);
    fields
}

/// The places.
#[derive(Debug, Default)]
pub struct KeptSets {
    /// Whether the answer that is being made is carried out in this turn.
    pub same_turn: bool,
    taken: u64,
}

impl KeptSets {
    /// The fields that `write` writes. They must depend on nothing but what `about` says and on what `mark` belongs to.
    pub fn fixed(&mut self, mark: &Mark, about: u64, write: impl FnOnce(&mut Fields)) -> Fixed {
        let kept = mark
            .get()
            .filter(|kept| kept.about == about && self.taken - kept.serial < PLACES as u64);
        if let (Some(kept), true) = (kept, self.same_turn) {
            return Fixed::Kept(kept.place);
        }
        if !self.same_turn {
            return Fixed::once(write);
        }
        self.taken += 1;
        let place = (self.taken % PLACES as u64) as u16;
        mark.set(Some(Place {
            place,
            serial: self.taken,
            about,
        }));
        Fixed::Keep(place, written(write))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(fields: &mut Fields) {
        fields.put("a", "1");
    }

    #[test]
    fn a_set_is_told_once_while_it_is_about_the_same() {
        let (mark, other) = (Mark::default(), Mark::default());
        let mut sets = KeptSets {
            same_turn: true,
            ..KeptSets::default()
        };
        let Fixed::Keep(place, fields) = sets.fixed(&mark, 7, write) else {
            panic!("not told");
        };
        assert_eq!(fields.get("a"), Some("1"));
        assert_eq!(sets.fixed(&mark, 7, write), Fixed::Kept(place));
        assert!(matches!(sets.fixed(&other, 7, write), Fixed::Keep(p, _) if p != place));
        assert!(matches!(sets.fixed(&mark, 8, write), Fixed::Keep(p, _) if p != place));
    }

    #[test]
    fn a_place_that_was_given_to_others_is_no_longer_named() {
        let mark = Mark::default();
        let mut sets = KeptSets {
            same_turn: true,
            ..KeptSets::default()
        };
        let Fixed::Keep(place, _) = sets.fixed(&mark, 0, write) else {
            panic!("not told");
        };
        for _ in 1..PLACES {
            sets.fixed(&Mark::default(), 0, write);
        }
        assert_eq!(sets.fixed(&mark, 0, write), Fixed::Kept(place));
        assert!(matches!(sets.fixed(&Mark::default(), 0, write), Fixed::Keep(p, _) if p == place));
        assert!(matches!(sets.fixed(&mark, 0, write), Fixed::Keep(..)));
    }

    #[test]
    fn an_answer_of_a_later_turn_neither_names_nor_takes_a_place() {
        let mark = Mark::default();
        let mut sets = KeptSets::default();
        assert!(matches!(sets.fixed(&mark, 0, write), Fixed::Once(_)));
        sets.same_turn = true;
        assert!(matches!(sets.fixed(&mark, 0, write), Fixed::Keep(..)));
        sets.same_turn = false;
        assert!(matches!(sets.fixed(&mark, 0, write), Fixed::Once(_)));
    }
}
