//! Where a gate serves one key: what it decides by itself, who asks the guard and who waits meanwhile, and what an
//! answer changes.

mod answer;
mod turn;

use super::{Over, Purse, QuotaRefusal, Spend, Views, Wait};
use crate::Millis;
use crate::record::KeyRecord;

pub use answer::{Asked, Effect};
pub use turn::{Needs, Turn};

/// What a gate has of one key, but for its record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Desk {
    purse: Purse,
    /// Whether the guard's last answer left nothing for another request.
    scarce: bool,
    /// Since when a request asks while others wait.
    asked_at: Option<Millis>,
    /// Until when it may be relied on that there is no key.
    absent_until: Millis,
}

/// What becomes of a request that may pass if it is paid for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pay {
    /// It passes, paid from a lease.
    Passed {
        /// Whether the caller must ask for the next lease in the background. It is told once.
        renew: bool,
    },
    /// It passes, paid by the guard's answer.
    PaidByAnswer,
    /// It is refused for quota.
    Refused(QuotaRefusal),
    /// The guard must be asked for units.
    Ask,
    /// The guard must be asked, but can't be.
    Unavailable,
}

/// Whether a refusal for the key's state rests on the newest record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// The guard has said so within the lease time.
    Yes,
    /// The guard must be asked for the state.
    Ask,
    /// The guard must be asked, but can't be.
    Unavailable,
}

impl Desk {
    /// Pays a request of `cost` that passes if it is paid for: from the purse, or by what the guard has answered it.
    pub fn pay(&mut self, now: Millis, wait: &Wait, record: &KeyRecord, cost: u32) -> Pay {
        let paid = wait.paid_under(record.version, now);
        if paid.is_some_and(|paid| paid.cost == cost) {
            return Pay::PaidByAnswer;
        }
        let spend = if record.is_strict() {
            Spend::Ask
        } else {
            self.purse.spend(now, cost)
        };
        match (spend, &wait.refused) {
            (Spend::Paid { renew }, _) => Pay::Passed {
                renew: renew && self.purse.begin_renewal(now),
            },
            (Spend::Refused(refusal), _) => Pay::Refused(refusal),
            (Spend::Ask, Some(refusal)) => Pay::Refused(refusal.clone()),
            (Spend::Ask, None) if wait.failed => Pay::Unavailable,
            (Spend::Ask, None) => Pay::Ask,
        }
    }

    /// Whether a request may be refused for what this version of the record says.
    pub fn knows(&mut self, now: Millis, wait: &Wait, version: u64) -> Known {
        let known = wait.confirmed == Some(version)
            || wait.paid_under(version, now).is_some()
            || self.purse.is_current(now);
        match (known, wait.failed) {
            (true, _) => Known::Yes,
            (false, false) => Known::Ask,
            (false, true) => Known::Unavailable,
        }
    }

    /// Whether the guard has said within the lease time, or to this request, that there is no key.
    pub fn is_absent(&self, now: Millis, wait: &Wait) -> bool {
        now < self.absent_until || wait.confirmed == Some(0)
    }

    /// Notes until when it may be relied on that there is no key.
    pub fn absent(&mut self, until: Millis) {
        self.absent_until = until;
    }

    /// Notes that a renewal is over for which there was nothing to ask; else its answer says so.
    pub fn end_renewal(&mut self) {
        self.purse.end_renewal();
    }

    /// Ends everything held: the record has changed, or the desk goes.
    pub fn clear(&mut self) {
        self.purse.clear();
    }

    /// Leases that are over at `now`, to be reported; each is given out once.
    pub fn take_over(&mut self, now: Millis) -> Vec<Over> {
        self.purse.take_over(now)
    }

    /// Whether a lease is held that is not over.
    pub fn holds(&self) -> bool {
        self.purse.last_end().is_some()
    }

    /// How the limited windows stand for a caller at `now`.
    pub fn view(&self, now: Millis) -> Views {
        self.purse.view(now)
    }
}

#[cfg(test)]
#[path = "desk_tests.rs"]
mod tests;
