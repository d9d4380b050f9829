//! How much is asked of a key.

use crate::Millis;

/// How many units were asked for in the last second or so, those refused included: a lease could have paid for them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Pace {
    since: Millis,
    units: u64,
    per_second: u64,
}

impl Pace {
    /// Nothing is known yet at `now`.
    pub fn from(now: Millis) -> Self {
        Self {
            since: now,
            ..Self::default()
        }
    }

    /// Counts a request, once: when it is decided.
    pub fn note(&mut self, now: Millis, cost: u32) {
        let elapsed = now.saturating_sub(self.since);
        if elapsed >= 1_000 {
            self.per_second = self.units.saturating_mul(1_000) / elapsed;
            self.since = now;
            self.units = 0;
        }
        self.units = self.units.saturating_add(u64::from(cost));
    }

    /// Units a second. What came within the second that runs may be more than the last second's.
    pub fn per_second(&self) -> u64 {
        self.per_second.max(self.units)
    }
}
