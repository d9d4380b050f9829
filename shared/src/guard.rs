//! What a guard answers. The guard (a Durable Object) reads its storage, calls this, and writes what changed
//! before its answer leaves.

use crate::Millis;
use crate::ledger::{Ask, Books, Ledger, Shared};
use crate::message::{KeyAnswer, KeyAsk};
use crate::record::{KeyRecord, KeyState};

/// For how long a gate refuses by itself at least, in milliseconds, within the lease time: room that comes sooner waits
/// so long, and a flood costs two calls a second. Callers are told whole seconds, so it breaks no promise.
pub const HOLD_MS: Millis = 500;

/// What a key may share with others of its account, as far as it is there.
#[derive(Debug, Default)]
pub struct Shares<'a> {
    /// What the identity that its record names is limited to.
    pub identity: Option<&'a mut Shared>,
    /// The account's plan.
    pub plan: Option<&'a mut Shared>,
}

/// Answers a question about a key.
///
/// A key that names an identity which is not there gets nothing: a limit that can't be found is not no limit.
///
/// `lease` is an id that this guard has never used. `lease_ms` is the lease time; a strict key gets none.
/// What is kept changes only when units are granted, and then before the answer exists.
pub fn answer(
    record: Option<&KeyRecord>,
    ledger: &mut Ledger,
    shares: Shares<'_>,
    ask: &KeyAsk,
    lease: u64,
    now: Millis,
    lease_ms: Millis,
) -> KeyAnswer {
    let Some(record) = record else {
        return KeyAnswer::Unknown { ttl: lease_ms };
    };
    let ttl = if record.is_strict() { 0 } else { lease_ms };
    if record.version > ask.version {
        return KeyAnswer::Stale {
            record: Box::new(record.clone()),
        };
    }
    if ask.need == 0 || record.state != KeyState::Active {
        return KeyAnswer::Current { ttl };
    }
    let wish = Ask {
        want: ask.want,
        need: ask.need,
        ttl,
    };
    let mut nothing = Shared::nothing();
    let identity = record.identity.as_deref();
    let mut books = Books {
        key: ledger,
        limits: &record.limits,
        credits: record.credits.as_ref(),
        identity: identity.map(|name| (name, shares.identity.unwrap_or(&mut nothing))),
        plan: shares.plan.filter(|plan| plan.is_plan()),
    };
    match books.grant(lease, now, wish) {
        Ok(grant) => KeyAnswer::Granted {
            lease,
            units: grant.units,
            ttl: grant.ttl,
            standing: books.standing(now),
        },
        Err(refusal) => KeyAnswer::Exhausted {
            retry_in: refusal.retry_in,
            violated: refusal.violated,
            // A refusal must not outlive the moment at which a retry was promised to succeed.
            ttl: ttl.min(refusal.retry_in.max(HOLD_MS)),
            standing: books.standing(now),
        },
    }
}

/// Whether an incoming record replaces the one at hand: only a higher version does.
pub fn replaces(at_hand: Option<u64>, incoming: u64) -> bool {
    at_hand.is_none_or(|version| incoming > version)
}

/// Whether a report with number `seq` of a gate is new, `last` being the highest taken.
pub fn is_new_report(last: Option<u64>, seq: u64) -> bool {
    last.is_none_or(|last| seq > last)
}
