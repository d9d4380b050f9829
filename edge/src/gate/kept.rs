//! Sets of header fields that JavaScript keeps ready.
//!
//! Most fields of a hot answer are the same each time. To make them anew costs more than the whole decision, so
//! JavaScript keeps answers that have them, by place, and is told the place and the few fields that change.
//!
//! Places are given out in turn. A set that is used again is told once, in an answer that is carried out in the same turn
//! of the event loop: so no answer can name a place that JavaScript does not have yet.

use std::cell::Cell;

use shared::fields::Fields;

/// How many sets are kept: an isolate's hot keys. About 4 KB each.
const PLACES: usize = 4_096;

/// What is remembered of a set. `about` tells what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marked {
    /// It was used once. Most keys of a large crowd do not come again soon, and to keep a set costs more than to tell it.
    Used {
        /// See above.
        about: u64,
    },
    /// It is kept at a place.
    Kept {
        /// Where.
        place: u16,
        /// How many places had been given out by then.
        serial: u64,
        /// See above.
        about: u64,
    },
}

/// Who remembers a set.
pub type Mark = Cell<Option<Marked>>;

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
        if !self.same_turn {
            return Fixed::once(write);
        }
        match mark.get() {
            Some(Marked::Kept {
                place,
                serial,
                about: kept,
            }) if kept == about && self.taken - serial < PLACES as u64 => Fixed::Kept(place),
            Some(Marked::Kept { about: used, .. } | Marked::Used { about: used })
                if used == about =>
            {
                self.taken += 1;
                let place = (self.taken % PLACES as u64) as u16;
                mark.set(Some(Marked::Kept {
                    place,
                    serial: self.taken,
                    about,
                }));
                Fixed::Keep(place, written(write))
            }
            _ => {
                mark.set(Some(Marked::Used { about }));
                Fixed::once(write)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(fields: &mut Fields) {
        fields.put("a", "1");
    }

    fn sets() -> KeptSets {
        KeptSets {
            same_turn: true,
            ..KeptSets::default()
        }
    }

    fn keep(sets: &mut KeptSets, mark: &Mark, about: u64) -> u16 {
        match sets.fixed(mark, about, write) {
            Fixed::Keep(place, fields) => {
                assert_eq!(fields.get("a"), Some("1"));
                place
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_set_that_comes_again_is_kept_while_it_is_about_the_same() {
        let (mark, other) = (Mark::default(), Mark::default());
        let mut sets = sets();
        for mark in [&mark, &other] {
            assert!(matches!(sets.fixed(mark, 7, write), Fixed::Once(_)));
        }
        let place = keep(&mut sets, &mark, 7);
        assert_eq!(sets.fixed(&mark, 7, write), Fixed::Kept(place));
        assert_ne!(keep(&mut sets, &other, 7), place);
        assert!(matches!(sets.fixed(&mark, 8, write), Fixed::Once(_)));
        assert_ne!(keep(&mut sets, &mark, 8), place);
    }

    #[test]
    fn a_place_that_was_given_to_others_is_no_longer_named() {
        let mark = Mark::default();
        let mut sets = sets();
        sets.fixed(&mark, 0, write);
        let place = keep(&mut sets, &mark, 0);
        for _ in 1..PLACES {
            let other = Mark::default();
            sets.fixed(&other, 0, write);
            keep(&mut sets, &other, 0);
        }
        assert_eq!(sets.fixed(&mark, 0, write), Fixed::Kept(place));
        let other = Mark::default();
        sets.fixed(&other, 0, write);
        assert_eq!(keep(&mut sets, &other, 0), place);
        assert_ne!(keep(&mut sets, &mark, 0), place);
    }

    #[test]
    fn an_answer_of_a_later_turn_neither_names_nor_takes_a_place() {
        let mark = Mark::default();
        let mut sets = KeptSets::default();
        for _ in 0..2 {
            assert!(matches!(sets.fixed(&mark, 0, write), Fixed::Once(_)));
        }
        sets.same_turn = true;
        sets.fixed(&mark, 0, write);
        keep(&mut sets, &mark, 0);
        sets.same_turn = false;
        assert!(matches!(sets.fixed(&mark, 0, write), Fixed::Once(_)));
    }
}
