//! The wire contract: between gate and guard, and between control plane and edge.
//!
//! JSON. Readers ignore fields they don't know.

use serde::Serialize;

use crate::Millis;
use crate::account::{AccountRecord, guard_name};
use crate::ledger::{PLAN_ROW, Standing, identity_row};
use crate::policy::Policy;
use crate::read::Members;
use crate::record::{KeyRecord, Record};
use crate::text;
use crate::token::KeyHash;
use crate::usage::UsageRow;
use crate::wire;
use crate::write::member;

/// The most records in one push.
pub const MAX_PUSH_RECORDS: usize = 500;
/// The largest body of a push, in bytes.
pub const MAX_PUSH_BYTES: usize = 4 * 1024 * 1024;
/// The most usage rows in one report or batch.
pub const MAX_USAGE_ROWS: usize = 2_000;

/// Gate → guard: one call. Either part may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
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

wire!(GuardCall {
    gate: "gate" or String::new(),
    ask: "ask",
    account: "account",
    report: "report",
});

/// A question about a key: is my record current, and may I have units?
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
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

wire!(KeyAsk {
    hash: "hash",
    version: "version",
    want: "want",
    need: "need"
});

/// What a gate has to say of leases and usage. Repeated with the same `seq` until it is acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Grows by one with each report of a gate to a guard.
    pub seq: u64,
    /// Leases that are over.
    pub settled: Vec<Settled>,
    /// Outcomes of requests.
    pub usage: Vec<UsageRow>,
}

wire!(Report {
    seq: "seq",
    settled: "settled",
    usage: "usage"
});

/// A lease that is over.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Settled {
    /// The key.
    pub key: String,
    /// The lease.
    pub lease: u64,
    /// Units that were spent of it.
    pub spent: u32,
}

wire!(Settled {
    key: "key",
    lease: "lease",
    spent: "spent"
});

/// Guard → gate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
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

wire!(GuardAnswer {
    key: "key",
    account: "account",
    acknowledged: "acknowledged"
});

/// What a guard says of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
        /// How all that is limited stands after the debit.
        standing: Vec<Standing>,
    },
    /// No room.
    Exhausted {
        /// After how many milliseconds there would be room: see [`crate::ledger::is_never`].
        retry_in: Millis,
        /// What lacks it.
        violated: Vec<Policy>,
        /// How long the gate may refuse by itself, in milliseconds from its sending.
        ttl: Millis,
        /// How all that is limited stands.
        standing: Vec<Standing>,
    },
}

impl KeyAnswer {
    fn from_members(members: &mut Members<'_, '_>) -> Self {
        match members.take_text("is") {
            "stale" => Self::Stale {
                record: members.take("record"),
            },
            "current" => Self::Current {
                ttl: members.take("ttl"),
            },
            "granted" => Self::Granted {
                lease: members.take("lease"),
                units: members.take("units"),
                ttl: members.take("ttl"),
                standing: members.take("standing"),
            },
            "exhausted" => Self::Exhausted {
                retry_in: members.take("retryIn"),
                violated: members.take("violated"),
                ttl: members.take("ttl"),
                standing: members.take("standing"),
            },
            "unknown" => Self::Unknown {
                ttl: members.take("ttl"),
            },
            _ => {
                members.wanted("an answer about a key");
                Self::Unknown { ttl: 0 }
            }
        }
    }

    fn put_members(&self, to: &mut String) {
        let mut is = |word: &str| member(to, "is", &word);
        match self {
            Self::Unknown { ttl } => {
                is("unknown");
                member(to, "ttl", ttl);
            }
            Self::Stale { record } => {
                is("stale");
                member(to, "record", record);
            }
            Self::Current { ttl } => {
                is("current");
                member(to, "ttl", ttl);
            }
            Self::Granted {
                lease,
                units,
                ttl,
                standing,
            } => {
                is("granted");
                member(to, "lease", lease);
                member(to, "units", units);
                member(to, "ttl", ttl);
                member(to, "standing", standing);
            }
            Self::Exhausted {
                retry_in,
                violated,
                ttl,
                standing,
            } => {
                is("exhausted");
                member(to, "retryIn", retry_in);
                member(to, "violated", violated);
                member(to, "ttl", ttl);
                member(to, "standing", standing);
            }
        }
    }
}

wire!(KeyAnswer: Self::from_members, Self::put_members);

/// Control plane → edge: records to apply. Signed (see [`crate::webhook`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PushBatch {
    /// In the order of their changes.
    pub records: Vec<Record>,
}

wire!(PushBatch { records: "records" });

/// Edge → control plane: the answer to a push. Sent only when every record is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PushReceipt {
    /// Records that were newer than what the edge had.
    pub applied: u64,
    /// Records that the edge had already, or newer ones of.
    pub known: u64,
}

wire!(PushReceipt {
    applied: "applied",
    known: "known"
});

/// Gate → guard: the part of a push that concerns the guard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GuardPush {
    /// The guard's name.
    pub guard: String,
    /// The push's webhook id and timestamp, and the part of it: the same again is a replay.
    pub delivery: String,
    /// The records.
    pub records: Vec<Record>,
}

wire!(GuardPush {
    guard: "guard",
    delivery: "delivery",
    records: "records"
});

impl GuardPush {
    /// The text of a push of records that stay where they are.
    pub fn text(guard: &str, delivery: &str, records: &[Record]) -> String {
        let mut text = String::with_capacity(512);
        text.push('{');
        member(&mut text, "guard", &guard);
        member(&mut text, "delivery", &delivery);
        member(&mut text, "records", &records);
        text.push('}');
        text
    }
}

/// Guard → gate: what became of a push's records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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

impl GuardPushAnswer {
    fn from_members(members: &mut Members<'_, '_>) -> Self {
        match members.take_text("is") {
            "applied" => Self::Applied {
                newer: members.take("newer"),
            },
            "replayed" => Self::Replayed,
            _ => {
                members.wanted("an answer to a push");
                Self::Replayed
            }
        }
    }

    fn put_members(&self, to: &mut String) {
        match self {
            Self::Applied { newer } => {
                member(to, "is", &"applied");
                member(to, "newer", newer);
            }
            Self::Replayed => member(to, "is", &"replayed"),
        }
    }
}

wire!(GuardPushAnswer: Self::from_members, Self::put_members);

/// Control plane → guard, through a gate: a question about what is held, so that it can be compared. Signed as a push is.
///
/// Lines, and so is the answer: few bytes of code at the edge, in `edge/js/state.mjs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateAsk<'a> {
    /// For each kind, and each beginning of `length` characters of the ids: the kind, the beginning, how many records there
    /// are, the sum of `version % 2147483629`, and the highest version. A version is hardly ever that of two records, so one
    /// that differs shows in the sum; that two differ and keep it has a chance of about 1 in 2³¹. With a `length` that no id
    /// has each record is told by itself.
    Records {
        /// The account whose guard is asked.
        account: &'a str,
        /// The kind of record; empty: all kinds.
        kind: &'a str,
        /// What the ids begin with.
        from: &'a str,
        /// See above.
        length: u32,
    },
    /// Of at most `limit` of the names in KV after `after`: the last name, its record's id and version, and then the same of
    /// those of which KV has an older version, or nothing.
    Names {
        /// The account whose guard is asked.
        account: &'a str,
        /// What KV's names begin with.
        prefix: &'a str,
        /// The kind of record.
        kind: &'a str,
        /// The name after which to begin, without the prefix.
        after: &'a str,
        /// How many at most.
        limit: u32,
    },
    /// The ledgers of a key, of its identity and of its account's plan, as far as they are there, as they are: name and
    /// ledger. Who asks reads them as the guard would.
    Ledgers {
        /// The account whose guard is asked.
        account: &'a str,
        /// The key.
        key: &'a str,
        /// Its identity.
        identity: Option<&'a str>,
    },
}

impl StateAsk<'_> {
    /// As it is sent; `None` when that is no account.
    pub fn to_lines(&self) -> Option<String> {
        // Behind every character that an id has.
        const LAST: &str = "~";
        Some(match *self {
            Self::Records {
                account,
                kind,
                from,
                length,
            } => {
                let last_kind = if kind.is_empty() { LAST } else { kind };
                let last = text::join(&[from, LAST], "");
                let guard = guard_name(account)?;
                let length = length.to_string();
                text::join(&[&guard, "", &length, kind, from, last_kind, &last], "\n")
            }
            Self::Names {
                account,
                prefix,
                kind,
                after,
                limit,
            } => {
                let (guard, limit) = (guard_name(account)?, limit.to_string());
                text::join(&[&guard, prefix, kind, after, &limit], "\n")
            }
            Self::Ledgers {
                account,
                key,
                identity,
            } => {
                // No prefix of names in KV.
                const LEDGERS: &str = "l";
                let identity = identity.map(identity_row).unwrap_or_default();
                text::join(
                    &[&guard_name(account)?, LEDGERS, key, &identity, PLAN_ROW],
                    "\n",
                )
            }
        })
    }
}

/// Guard → control plane: usage, in batches that count up. Applied once for each guard and `seq`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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

wire!(UsageBatch {
    guard: "guard",
    account: "account",
    seq: "seq",
    rows: "rows"
});

/// Control plane → guard: the batch is kept (or was before).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageReceipt {
    /// The highest `seq` of this guard that is kept.
    pub seq: u64,
}

wire!(UsageReceipt { seq: "seq" });
