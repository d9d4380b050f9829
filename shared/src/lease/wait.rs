//! A request that waits, for the guard or for another request's question, and what it has heard.

use super::{FOLLOW_MS, QuotaRefusal};
use crate::Millis;

/// What one request has heard of the guard, and whom it waits for. It is the request's own: what others ask on its
/// key meanwhile is in the [`super::Desk`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wait {
    /// The version that the guard confirmed for this request; 0: that there is no key.
    pub(super) confirmed: Option<u64>,
    /// The guard paid for this request.
    pub(super) paid: Option<Paid>,
    /// The guard refused this request for quota.
    pub(super) refused: Option<QuotaRefusal>,
    /// The guard could not be asked.
    pub(super) failed: bool,
    /// An answer came too late to admit this request.
    pub(super) was_late: bool,
    /// Until when this request waits for others that ask what it needs.
    follow_until: Option<Millis>,
    /// The answer to another's question that this request waits for, or has waited for: one, at most.
    pub(super) followed: Option<u64>,
    /// Whether this request asks while others wait.
    pub(super) asking: bool,
}

/// What the guard paid for: nothing else passes on it. While it was asked, the key or the API may have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Paid {
    /// The version of the key's record.
    pub version: u64,
    /// The request's cost.
    pub cost: u32,
    /// Until when the request must have passed.
    pub until: Millis,
}

impl Wait {
    /// Notes that the guard could not be asked.
    pub fn fail(&mut self) {
        self.failed = true;
    }

    /// Whether the guard could not be asked.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Until when this request waits for others: so long after it first lacked something, whatever that was.
    pub fn patience(&mut self, now: Millis) -> Millis {
        *self
            .follow_until
            .get_or_insert(now.saturating_add(FOLLOW_MS))
    }

    /// What the guard paid for under this version of the record, if that may still pass.
    pub(super) fn paid_under(&self, version: u64, now: Millis) -> Option<Paid> {
        self.paid
            .filter(|paid| paid.version == version && now < paid.until)
    }
}
