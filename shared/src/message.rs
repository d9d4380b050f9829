//! The wire contract: between gate and guard, and between control plane and edge.
//!
//! JSON. Readers ignore fields they don't know.

use serde::{Deserialize, Serialize};

use crate::Millis;
use crate::account::AccountRecord;
use crate::ledger::Standing;
use crate::record::{KeyRecord, Record};
use crate::token::KeyHash;
use crate::usage::UsageRow;
use crate::window::Window;

/// The most records in one push.
pub const MAX_PUSH_RECORDS: usize = 500;
/// The largest body of a push, in bytes.
pub const MAX_PUSH_BYTES: usize = 4 * 1024 * 1024;
/// The most usage rows in one report or batch.
pub const MAX_USAGE_ROWS: usize = 2_000;

/// Gate → guard: one call. Either part may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GuardCall {
    /// The asking gate: an id that an isolate draws when it starts.
    pub gate: String,
    /// A question about a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask: Option<KeyAsk>,
    /// The account whose place in the tree is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// What the gate has to report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
}

/// A question about a key: is my record current, and may I have units?
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyAsk {
    /// The presented token's hash.
    pub hash: KeyHash,
    /// The version of the record the gate has; 0: none.
    pub version: u64,
    /// Units the gate would like.
    pub want: u32,
    /// Units the waiting request costs; 0: only the state is asked for.
    pub need: u32,
}

/// What a gate has to say of leases and usage. Repeated with the same `seq` until it is acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Grows by one with each report of a gate to a guard.
    pub seq: u64,
    /// Leases that are over.
    pub settled: Vec<Settled>,
    /// Outcomes of requests.
    pub usage: Vec<UsageRow>,
}

/// A lease that is over.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settled {
    /// The key.
    pub key: String,
    /// The lease.
    pub lease: u64,
    /// Units that were spent of it.
    pub spent: u32,
}

/// Guard → gate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GuardAnswer {
    /// The answer to the question about a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyAnswer>,
    /// The account asked for, if the guard knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountRecord>,
    /// The `seq` of the report that is now kept durably.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<u64>,
}

/// What a guard says of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum KeyAnswer {
    /// No key has or had this hash. May be remembered for `ttl` milliseconds.
    Unknown {
        /// Milliseconds from the gate's sending.
        ttl: Millis,
    },
    /// The gate's record is old; nothing was granted.
    Stale {
        /// The newest record.
        record: Box<KeyRecord>,
    },
    /// The gate's record is the newest, and only that was asked.
    Current {
        /// How long that may be relied on, in milliseconds from the gate's sending.
        ttl: Millis,
    },
    /// Units, debited.
    Granted {
        /// The lease's id; grows with each lease of a guard.
        lease: u64,
        /// How many.
        units: u32,
        /// Milliseconds from the gate's sending; 0: for the waiting request only.
        ttl: Millis,
        /// The limited windows after the debit.
        standing: Vec<Standing>,
    },
    /// No room.
    Exhausted {
        /// After how many milliseconds there would be room.
        retry_in: Millis,
        /// The windows that lack it.
        violated: Vec<Window>,
        /// How long the gate may refuse by itself, in milliseconds from its sending.
        ttl: Millis,
        /// The limited windows.
        standing: Vec<Standing>,
    },
}

/// Control plane → edge: records to apply. Signed (see [`crate::webhook`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PushBatch {
    /// In the order of their changes.
    pub records: Vec<Record>,
}

/// Edge → control plane: the answer to a push. Sent only when every record is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PushReceipt {
    /// Records that were newer than what the edge had.
    pub applied: usize,
    /// Records that the edge had already, or newer ones of.
    pub known: usize,
}

/// Gate → guard: the part of a push that concerns the guard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GuardPush {
    /// The guard's name.
    pub guard: String,
    /// The push's webhook id and timestamp, and the part of it: the same again is a replay.
    pub delivery: String,
    /// The records.
    pub records: Vec<Record>,
}

/// Guard → gate: what became of a push's records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum GuardPushAnswer {
    /// They are kept durably, and KV has those that are the guard's own.
    Applied {
        /// For each record, in order, whether it was newer than what the guard had.
        newer: Vec<bool>,
    },
    /// This delivery was applied before: it is a replay.
    Replayed,
}

/// Guard → control plane: usage, in batches that count up. Applied once for each guard and `seq`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageBatch {
    /// The guard's own id, drawn when its storage was first used.
    pub guard: String,
    /// The account whose guard it is.
    pub account: String,
    /// 1, 2, 3 …: the next is sent only when this one is acknowledged.
    pub seq: u64,
    /// The rows.
    pub rows: Vec<UsageRow>,
}

/// Control plane → guard: the batch is kept (or was before).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageReceipt {
    /// The highest `seq` of this guard that is kept.
    pub seq: u64,
}
