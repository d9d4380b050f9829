//! A gate and a guard around the real purse, reporter, ledger and answers: what the Worker does with them,
//! without a runtime. The oracle and the model both drive these.

pub mod gate;
pub mod guard;

use std::hash::{Hash, Hasher};

use shared::message::{KeyAnswer, KeyAsk, Report};
use shared::record::{Enforcement, KeyRecord, KeyState, RateLimits};
use shared::token::KeyHash;

/// The one key of these tests.
pub const KEY: &str = "key_1";

/// A deliberate fault, to show that the checks can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(dead_code, reason = "no test binary builds in all of them")]
pub enum Mutation {
    /// As designed.
    None,
    /// The guard's answer leaves before its debit is kept; a crash between the two loses the debit.
    AnswerBeforeDebit,
    /// The guard gives a lease's units back at its end, without a report.
    GiveBackAtExpiry,
    /// The gate measures a lease from the answer's arrival.
    LeaseFromArrival,
    /// The guard takes every report it gets, repeated or not.
    EveryReportTaken,
}

/// A gate's call, on its way to the guard.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Call {
    /// The gate.
    pub gate: u32,
    /// Which call of the gate's.
    pub id: u32,
    /// The question, if any.
    pub ask: Option<KeyAsk>,
    /// The report, if any.
    pub report: Option<Report>,
}

/// The guard's answer, on its way to the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The gate.
    pub gate: u32,
    /// The call that is answered.
    pub call: u32,
    /// The answer to the question.
    pub key: Option<KeyAnswer>,
    /// The number of the report that is kept.
    pub acknowledged: Option<u64>,
    /// The true time at which the guard decided, in whatever unit the test counts it.
    pub decided_at: u64,
}

impl Hash for Answer {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.gate, self.call, self.acknowledged, self.decided_at).hash(state);
        match &self.key {
            None => 0.hash(state),
            Some(KeyAnswer::Granted {
                lease, units, ttl, ..
            }) => (1, lease, units, ttl).hash(state),
            Some(KeyAnswer::Exhausted {
                retry_in,
                violated,
                ttl,
                ..
            }) => (2, retry_in, violated, ttl).hash(state),
            Some(KeyAnswer::Stale { record }) => (3, record.version).hash(state),
            Some(KeyAnswer::Current { ttl }) => (4, ttl).hash(state),
            Some(KeyAnswer::Unknown { ttl }) => (5, ttl).hash(state),
        }
    }
}

/// The hash of the one token.
pub fn hash() -> KeyHash {
    KeyHash::of("token")
}

/// The key's record.
pub fn record(version: u64, limits: RateLimits, strict: bool) -> KeyRecord {
    KeyRecord {
        id: KEY.into(),
        version,
        account: "acc_1".into(),
        ancestors: Vec::new(),
        owner: None,
        environment: "prod".into(),
        state: KeyState::Active,
        credentials: Vec::new(),
        expires_at: None,
        permissions: Vec::new(),
        role_permissions: None,
        resources: Vec::new(),
        allowed_origins: Vec::new(),
        allow_missing_origin: false,
        allowed_ips: Vec::new(),
        limits,
        enforcement: if strict {
            Enforcement::Strict
        } else {
            Enforcement::Leased
        },
        credits: None,
        identity: None,
    }
}
