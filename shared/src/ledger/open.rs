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

/// A lease that may still be reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OpenLease {
    /// Its id.
    pub id: u64,
    /// Its units.
    pub units: u32,
    /// Its end.
    pub end: Millis,
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
        columns::write(self.0.iter().map(|l| [l.id, u64::from(l.units), l.end]))
    }

    fn from_text(text: &str) -> Result<Self, Misfit> {
        let mut leases = Vec::new();
        for [id, units, end] in columns::read(text)? {
            let units = u32::try_from(units).map_err(|_| Misfit::wanted("leases"))?;
            leases.push(OpenLease { id, units, end });
        }
        Ok(Self(leases))
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
