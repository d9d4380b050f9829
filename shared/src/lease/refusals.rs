//! The refusals that a gate may repeat by itself.

use super::QuotaRefusal;
use crate::Millis;
use crate::policy::Policy;

/// The most refusals remembered, each of a cost of its own; an API's routes have few costs.
const MOST: usize = 8;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Refusal {
    /// What was refused.
    pub need: u32,
    /// Until when it may be repeated.
    pub until: Millis,
    /// When there would be room.
    pub retry_at: Millis,
    /// What has no room.
    pub violated: Vec<Policy>,
}

/// Refusals, by what was refused: a promise made for one cost says nothing of a higher one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Refusals(Vec<Refusal>);

impl Refusals {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a caller is told whose request costs so much, if that was refused. What was refused since of a lower cost
    /// holds for this one, too.
    pub fn of(&self, cost: u32, now: Millis) -> Option<QuotaRefusal> {
        let place = self.0.iter().position(|r| r.need == cost)?;
        let binding = || self.0.iter().skip(place).filter(|r| r.need <= cost);
        let retry_at = binding().map(|r| r.retry_at).max()?;
        let is_violated = |policy: &Policy| binding().any(|r| r.violated.contains(policy));
        Some(QuotaRefusal {
            retry_in: retry_at.saturating_sub(now).max(1),
            violated: Policy::ALL.into_iter().filter(is_violated).collect(),
        })
    }

    /// Those that may be repeated at `now`.
    pub fn standing(&self, now: Millis) -> impl Iterator<Item = &Refusal> {
        self.0.iter().filter(move |r| r.until > now)
    }

    /// Remembers one, in place of an older one. The newest is the last.
    pub fn put(&mut self, refusal: Refusal) {
        self.0.retain(|r| r.need != refusal.need);
        if self.0.len() >= MOST {
            self.0.remove(0);
        }
        self.0.push(refusal);
    }

    /// Forgets those that may no longer be repeated.
    pub fn lapse(&mut self, now: Millis) {
        self.0.retain(|r| r.until > now);
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}
