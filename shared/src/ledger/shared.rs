//! What several keys spend of together.

use serde::Serialize;

use super::Closed;
use super::counters::{Counters, Limits};
use crate::Millis;
use crate::policy::Holder;
use crate::read::Members;
use crate::record::{IdentityRecord, RateLimits};
use crate::wire;
use crate::write::member;

/// An identity's limits or an account's plan, and what is used of them. Only sums: each key's ledger remembers its own
/// leases and what they were debited to, so this stays as small with 10,000 keys as with one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Shared {
    #[serde(flatten)]
    pub(super) limits: Limits,
    #[serde(flatten)]
    pub(super) counters: Counters,
}

wire!(Shared: Self::from_members, Self::put_members);

impl Shared {
    fn from_members(members: &mut Members<'_, '_>) -> Self {
        Self {
            limits: Limits {
                rates: members.take_or("limits", RateLimits::default()),
                month: members.take("requestsPerMonth"),
            },
            counters: Counters::from_members(members),
        }
    }

    fn put_members(&self, to: &mut String) {
        member(to, "limits", &self.limits.rates);
        member(to, "requestsPerMonth", &self.limits.month);
        self.counters.put_members(to);
    }

    /// The limits of an identity that is not there: of nothing.
    pub fn nothing() -> Self {
        let mut shared = Self::default();
        shared.limits.rates = RateLimits {
            requests_per_minute: Some(0),
            requests_per_hour: Some(0),
            requests_per_day: Some(0),
        };
        shared
    }

    /// From now on this identity's limits hold, or none of its keys passes if it is gone.
    pub fn limit_identity(&mut self, record: &IdentityRecord) {
        self.limits.rates = match record.deleted {
            true => Self::nothing().limits.rates,
            false => record.limits,
        };
    }

    /// From now on this plan holds; `None`: no plan.
    pub fn limit_plan(&mut self, requests_per_month: Option<u64>) {
        self.limits.month = requests_per_month;
    }

    /// Whether it is a plan that limits.
    pub fn is_plan(&self) -> bool {
        self.limits.month.is_some()
    }

    /// Gives back what was not spent of a lease that was debited here.
    pub fn take_back(&mut self, holder: Holder, lease: &Closed, now: Millis) {
        self.counters.take_back(holder, lease, now);
    }
}
