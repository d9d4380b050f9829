//! The calendar counted out day by day, and credits added up by it.

use shared::Millis;
use shared::record::{Credits, Interval, Refill};

const DAY_MS: Millis = 86_400_000;

/// Months since January 1970.
pub fn month(at: Millis) -> u64 {
    let (mut days, mut months) = (at / DAY_MS, 0);
    loop {
        let year: u64 = 1970 + months / 12;
        let leap =
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let length = match months % 12 + 1 {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        if days < length {
            return months;
        }
        days -= length;
        months += 1;
    }
}

/// Which day or month it is.
pub fn period(interval: Interval, at: Millis) -> u64 {
    match interval {
        Interval::Daily => at / DAY_MS,
        Interval::Monthly => month(at),
    }
}

/// Credits, added up from the beginning: what happened goes in in its order, with what is known of it by now.
#[derive(Debug, Clone, Default)]
pub struct NaiveCredits {
    seen: Option<(u64, u64)>,
    refill: Option<Refill>,
    at: Millis,
    /// What is left; below zero if more was spent than there was.
    pub left: i128,
}

impl NaiveCredits {
    /// Time passes; a refill may be due.
    pub fn pass_to(&mut self, now: Millis) {
        if let Some(refill) = self.refill
            && period(refill.interval, now) > period(refill.interval, self.at)
        {
            self.left = self.left.max(i128::from(refill.amount));
        }
        self.at = now;
    }

    /// An admin's terms are in force from now on.
    pub fn adopt(&mut self, terms: &Credits, now: Millis) {
        self.pass_to(now);
        let (serial, granted) = self.seen.unwrap_or((0, 0));
        if self.seen.is_none() || terms.serial > serial {
            self.left = i128::from(terms.granted);
            self.seen = Some((terms.serial, terms.granted));
        } else if terms.serial == serial && terms.granted > granted {
            self.left += i128::from(terms.granted - granted);
            self.seen = Some((serial, terms.granted));
        }
        self.refill = terms.refill;
    }

    /// Units are spent.
    pub fn spend(&mut self, now: Millis, units: u32) {
        self.pass_to(now);
        self.left -= i128::from(units);
    }
}
