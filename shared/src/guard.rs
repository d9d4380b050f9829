//! What a guard answers. The guard (a Durable Object) reads its storage, calls this, and writes what changed
//! before its answer leaves.

use crate::Millis;
use crate::ledger::{Ask, Books, Ledger, Shared};
use crate::message::{KeyAnswer, KeyAsk};
use crate::record::{
    KeyRecord, KeyState, MAX_VERSION, MemberRecord, Record, RoleRecord, built_in_role,
};

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

/// What a guard has of a record of which a newer version comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AtHand {
    /// The version; 0: none.
    pub version: u64,
    /// Whether it is a key with an owner.
    pub is_owned: bool,
    /// Whether its place is not its version.
    pub is_late: bool,
}

/// The place of a record that a guard takes, among all by which keys are bound; `None` if none is by this one. `latest`
/// is the highest so far.
///
/// It is the record's version, since changes come in the order of their versions. One that was overtaken, by a revocation
/// say, or was lost and is repaired, gets a higher place: it is a change now. The first record with its id replaces
/// nothing that a gate might know.
pub fn place(record: &Record, at_hand: AtHand, latest: u64) -> Option<u64> {
    let binds = match record {
        Record::Key(key) => key.owner.is_some() || at_hand.is_owned || at_hand.is_late,
        Record::Member(_) | Record::Role(_) => true,
        Record::Api(_) | Record::Account(_) | Record::Identity(_) => false,
    };
    let version = record.version();
    let place = if at_hand.version == 0 || version > latest {
        version
    } else {
        (latest + 1).min(MAX_VERSION)
    };
    binds.then_some(place)
}

/// Binds an active key by its owner as that is now: it has the permissions of the owner's role at most, and is refused
/// if the owner was removed. `role` is looked at where it is not a built-in one.
///
/// The version of each record is its [`place`] here. The key's becomes the highest of those that it is made of, so that
/// a gate's record is old as soon as one of them has changed.
///
/// `false` if the owner or its role is not known here. Then the key is not for gates to keep, since what comes may come
/// in any order: they are told that there is none.
pub fn bind(key: &mut KeyRecord, owner: Option<MemberRecord>, role: Option<RoleRecord>) -> bool {
    // A change of the state has a place after all that bound the key before.
    if key.owner.is_none() || key.state != KeyState::Active {
        return true;
    }
    let Some(owner) = owner else {
        return false;
    };
    key.version = key.version.max(owner.version);
    if owner.removed {
        key.state = KeyState::OwnerRemoved;
        return true;
    }
    key.role_permissions = built_in_role(&owner.role).or_else(|| {
        let role = role?;
        key.version = key.version.max(role.version);
        Some(role.permissions)
            .filter(|_| !role.deleted)
            .or(Some(Vec::new()))
    });
    key.role_permissions.is_some()
}

/// Whether a report with number `seq` of a gate is new, `last` being the highest taken.
pub fn is_new_report(last: Option<u64>, seq: u64) -> bool {
    last.is_none_or(|last| seq > last)
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
