//! The balance of a key's credits.

use serde::{Serialize, Serializer};

use super::{MOST_TOLD, NEVER_MS, Standing};
use crate::Millis;
use crate::columns;
use crate::policy::Policy;
use crate::read::Misfit;
use crate::record::{Credits, Interval, Refill};
use crate::wire;

/// What became of a key's credits. What is left is what was granted and topped up, less what was used.
///
/// Refills need no push and no timer: whoever looks at the balance makes up for the one that was due. Several that were
/// missed are one, since each tops up to the same amount.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Balance {
    /// As seen last; of one serial the most that was granted.
    terms: Credits,
    used: u64,
    topped: u64,
    /// Of that, what the last refill put in, and the first lease after it.
    last_top: u64,
    topped_from: u64,
    /// Until when refills are made up for.
    settled_at: Millis,
    /// The first lease that was debited to this serial.
    since: u64,
}

wire!(Balance: Balance::from_text, "a balance" or Balance::NONE);

impl Serialize for Balance {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.to_text())
    }
}

impl Balance {
    const NONE: Self = Self {
        terms: Credits {
            serial: 0,
            granted: 0,
            refill: None,
        },
        used: 0,
        topped: 0,
        last_top: 0,
        topped_from: 0,
        settled_at: 0,
        since: 0,
    };

    fn to_text(&self) -> String {
        let terms = &self.terms;
        let refill = terms.refill.map_or([0, 0], |refill| {
            [
                1 + u64::from(refill.interval == Interval::Monthly),
                refill.amount,
            ]
        });
        let rows = [
            [terms.serial, terms.granted],
            refill,
            [self.used, self.topped],
            [self.last_top, self.topped_from],
            [self.settled_at, self.since],
        ];
        columns::write(&mut rows.into_iter())
    }

    fn from_text(text: &str) -> Result<Self, Misfit> {
        let rows = columns::read(text)?;
        let [
            [serial, granted],
            [refills, amount],
            [used, topped],
            [last_top, topped_from],
            [settled_at, since],
        ] = *rows.as_slice()
        else {
            return Err(Misfit::wanted("a balance"));
        };
        let interval = match refills {
            0 => None,
            1 => Some(Interval::Daily),
            _ => Some(Interval::Monthly),
        };
        Ok(Self {
            terms: Credits {
                serial,
                granted,
                refill: interval.map(|interval| Refill { amount, interval }),
            },
            used,
            topped,
            last_top,
            topped_from,
            settled_at,
            since,
        })
    }

    /// A balance of which nothing is used. `lease` is the next lease's id.
    pub fn new(terms: &Credits, lease: u64, now: Millis) -> Self {
        Self {
            terms: terms.clone(),
            topped_from: lease,
            settled_at: now,
            since: lease,
            ..Self::NONE
        }
    }

    /// Makes up for refills under the terms until now, and takes the terms over: a higher serial starts over, of the
    /// same serial a larger grant adds, and refills are due from now on.
    pub fn adopt(&mut self, terms: &Credits, lease: u64, now: Millis) {
        self.refill(lease, now);
        if terms.serial > self.terms.serial {
            *self = Self::new(terms, lease, now);
            return;
        }
        if terms.serial == self.terms.serial {
            self.terms.granted = self.terms.granted.max(terms.granted);
        }
        self.terms.refill = terms.refill;
    }

    fn refill(&mut self, lease: u64, now: Millis) {
        if let Some(refill) = self.terms.refill {
            let window = refill.interval.window();
            if window.bucket(now) > window.bucket(self.settled_at) {
                self.last_top = refill.amount.saturating_sub(self.left());
                self.topped = self.topped.saturating_add(self.last_top);
                self.topped_from = lease;
            }
        }
        self.settled_at = now;
    }

    /// Units left.
    pub fn left(&self) -> u64 {
        let given = self.terms.granted.saturating_add(self.topped);
        given.saturating_sub(self.used)
    }

    /// Takes units, which are left.
    pub fn debit(&mut self, units: u32) {
        self.used = self.used.saturating_add(u64::from(units));
    }

    /// Units of a lease come back that was debited to the key's credits. If a refill came in between it put in as much
    /// more as was missing then, and so much less is needed of it now.
    pub fn take_back(&mut self, lease: u64, units: u32) {
        if lease < self.since {
            return;
        }
        let units = u64::from(units);
        if lease < self.topped_from {
            let needless = units.min(self.last_top);
            self.last_top -= needless;
            self.topped = self.topped.saturating_sub(needless);
        }
        self.used = self.used.saturating_sub(units);
    }

    /// How it stands, to somebody whose clock reads `asked_at`.
    pub fn standing(&self, asked_at: Millis, now: Millis) -> Standing {
        let (left, refill) = (self.left(), self.terms.refill);
        let amount = refill.map_or(0, |refill| refill.amount);
        let limit = self.terms.granted.max(amount).max(left);
        let comes_at = match limit == left {
            true => asked_at,
            false => self.reaches_at(now, left.saturating_add(1)),
        };
        Standing {
            policy: Policy::Credits,
            limit: limit.min(MOST_TOLD),
            left: left.min(MOST_TOLD),
            reset_in: comes_at.saturating_sub(asked_at),
        }
    }

    /// The next refill, if it makes that many units of less.
    pub fn reaches_at(&self, now: Millis, units: u64) -> Millis {
        match self.terms.refill {
            Some(refill) if refill.amount >= units => {
                let window = refill.interval.window();
                window.leaves_at(window.bucket(now))
            }
            _ => now.saturating_add(NEVER_MS),
        }
    }
}
