//! The desk: where a gate serves one key. In it the purse: what the gate holds of the key's quota, and what it knows of
//! the key's standing.
//!
//! A gate measures a lease from when it sent the request for it, on its own clock, and spends only within
//! it. Concurrent requests pool what they are granted: one that finds a question under way which asks for enough waits
//! for that answer, on a timer of its own, and else asks for itself.

mod desk;
mod pace;
mod pool;
mod purse;
mod questions;
mod refusals;
mod views;
mod wait;

use crate::Millis;
use crate::ledger::is_never;
use crate::policy::Policy;

pub use desk::{Asked, Desk, Effect, Known, Needs, Pay, Turn};
pub use purse::Purse;
pub use questions::FOLLOW_MS;
pub use views::{PolicyView, Views};
pub use wait::Wait;

/// How old an answer may be that admits a request where no lease time bounds it, in milliseconds.
const LONGEST_WAIT_MS: Millis = 1_000;

/// A lease that is over: to be reported to the guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Over {
    /// The lease.
    pub lease: u64,
    /// Units spent of it.
    pub spent: u32,
}

/// What became of an attempt to spend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spend {
    /// Paid from a lease.
    Paid {
        /// Whether the gate should ask for the next lease in the background now.
        renew: bool,
    },
    /// The guard refused within the lease time, so the gate refuses by itself.
    Refused(QuotaRefusal),
    /// The guard must be asked.
    Ask,
}

/// A refusal for quota, as callers are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaRefusal {
    /// In how many milliseconds a retry would succeed if nothing else spends.
    pub retry_in: Millis,
    /// What has no room, in the order of [`Policy::ALL`].
    pub violated: Vec<Policy>,
}

impl QuotaRefusal {
    /// Whether no wait helps.
    pub fn is_final(&self) -> bool {
        is_never(self.retry_in)
    }
}

/// A grant as it reached the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// The lease.
    pub lease: u64,
    /// Its units, the waiting request's included.
    pub units: u32,
    /// Its length in milliseconds from `sent_at`.
    pub ttl: Millis,
    /// What the waiting request costs: it is admitted by the guard's decision, not by the answer's arrival. 0 when
    /// none waits, or when the answer is too late to admit it: see [`longest_wait`].
    pub need: u32,
}

/// For how long after a question was sent its answer may admit the waiting request, in milliseconds. Later, the
/// state that it rests on may have been changed, and that change confirmed, for longer than the lease time. A strict
/// key's answer (`ttl` 0) is bounded by the default lease time at most.
pub fn longest_wait(lease_ms: Millis, ttl: Millis) -> Millis {
    match lease_ms {
        0 => LONGEST_WAIT_MS,
        _ if ttl == 0 => lease_ms.min(LONGEST_WAIT_MS),
        _ => lease_ms,
    }
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
