//! The leases of a ledger that may still be reported.

use serde::{Serialize, Serializer};

use super::REPORT_GRACE_MS;
use crate::Millis;
use crate::columns;
use crate::read::Misfit;
use crate::wire;

/// The most leases a ledger remembers; the oldest are forgotten (and so stay spent). Some for each of several hundred
/// gates that share a key.
const MAX_OPEN: usize = 2_048;
/// In a stored lease: above its units, what else it was debited to.
const PLAN: u64 = 1 << 32;
const CREDITS: u64 = 1 << 33;
const IDENTITY: u32 = 34;

/// A lease that may still be reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OpenLease {
    /// Its id.
    pub id: u64,
    /// Its units.
    pub units: u32,
    /// Its end.
    pub end: Millis,
    /// What it was debited to.
    pub from: From,
}

/// What a lease was debited to, beside its key's own windows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct From {
    /// The plan.
    pub plan: bool,
    /// The key's credits.
    pub credits: bool,
    /// The identity, by its place among those that the ledger names, from 1 on; 0: none.
    pub identity: u32,
}

impl OpenLease {
    /// Its units, and what it was debited to: nothing else, as a rule, and then it is its units.
    fn packed(&self) -> u64 {
        let From {
            plan,
            credits,
            identity,
        } = self.from;
        u64::from(self.units)
            | (u64::from(plan) * PLAN)
            | (u64::from(credits) * CREDITS)
            | (u64::from(identity) << IDENTITY)
    }

    fn unpacked([id, packed, end]: [u64; 3]) -> Self {
        Self {
            id,
            units: packed as u32,
            end,
            from: From {
                plan: packed & PLAN != 0,
                credits: packed & CREDITS != 0,
                identity: (packed >> IDENTITY) as u32,
            },
        }
    }
}

/// Those leases, in the order in which they were granted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct OpenLeases(Vec<OpenLease>);

wire!(OpenLeases: OpenLeases::from_text, "leases");

impl Serialize for OpenLeases {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.to_text())
    }
}

impl OpenLeases {
    fn to_text(&self) -> String {
        columns::write(&mut self.0.iter().map(|l| [l.id, l.packed(), l.end]))
    }

    fn from_text(text: &str) -> Result<Self, Misfit> {
        let rows = columns::read(text)?;
        Ok(Self(rows.into_iter().map(OpenLease::unpacked).collect()))
    }

    /// Adds the newest.
    pub fn push(&mut self, lease: OpenLease) {
        self.0.push(lease);
    }

    /// Takes a lease out, if it is open.
    pub fn close(&mut self, id: u64) -> Option<OpenLease> {
        let place = self.0.iter().position(|l| l.id == id)?;
        // In order: what is forgotten first is the oldest.
        Some(self.0.remove(place))
    }

    /// Forgets those whose reports would come too late, and the oldest where there are too many to take one more.
    pub fn forget(&mut self, now: Millis) {
        self.0
            .retain(|lease| lease.end.saturating_add(REPORT_GRACE_MS) > now);
        let surplus = self.0.len().saturating_sub(MAX_OPEN - 1);
        self.0.drain(..surplus);
    }

    /// Whether any was debited to the identity at this place.
    pub fn name(&self, identity: u32) -> bool {
        self.0.iter().any(|lease| lease.from.identity == identity)
    }

    /// How many gates hold some, about: a gate has one lease or two that run.
    pub fn held(&self, now: Millis) -> u64 {
        self.0.iter().filter(|lease| lease.end > now).count() as u64
    }

    /// Units of those that may still be reported.
    pub fn units(&self, now: Millis) -> u64 {
        let open = self.0.iter();
        open.filter(|lease| lease.end.saturating_add(REPORT_GRACE_MS) > now)
            .map(|lease| u64::from(lease.units))
            .sum()
    }
}
