//! The leases of a purse: those that run, and those that are over and not yet reported.

use super::Over;
use crate::Millis;

/// A lease that runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Held {
    /// Its id.
    pub id: u64,
    /// Its units.
    pub units: u32,
    /// How many of them are spent.
    pub spent: u32,
    /// When it was asked for.
    pub start: Millis,
    /// From when on nothing may be spent of it.
    pub end: Millis,
}

impl Held {
    /// Whether nothing can be spent of it at `now`.
    pub fn is_over(&self, now: Millis) -> bool {
        self.end <= now || self.left() == 0
    }

    fn left(&self) -> u32 {
        self.units.saturating_sub(self.spent)
    }
}

/// Leases.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Pool {
    /// In the order of their ends.
    leases: Vec<Held>,
    over: Vec<Over>,
    /// Unspent units of leases that are over but not yet reported: they will come back.
    returning: u64,
}

impl Pool {
    /// Units that can be spent.
    pub fn available(&self) -> u64 {
        self.leases.iter().map(|l| u64::from(l.left())).sum()
    }

    /// Units that can be spent, and those that will come back.
    pub fn own(&self) -> u64 {
        self.available().saturating_add(self.returning)
    }

    /// The lease that ends last.
    pub fn newest(&self) -> Option<&Held> {
        self.leases.last()
    }

    /// Takes in a lease that runs.
    pub fn insert(&mut self, lease: Held) {
        let place = self.leases.partition_point(|l| l.end <= lease.end);
        self.leases.insert(place, lease);
    }

    /// Takes `cost` units, which are available, from the leases that end first.
    pub fn take(&mut self, cost: u32) {
        let mut due = cost;
        for lease in &mut self.leases {
            let part = lease.left().min(due);
            lease.spent += part;
            due -= part;
        }
    }

    /// Ends the leases of which nothing can be spent at `now`.
    pub fn end(&mut self, now: Millis) {
        // Mostly there are none, and then nothing moves.
        while let Some(place) = self.leases.iter().position(|l| l.is_over(now)) {
            let lease = self.leases.remove(place);
            self.finish(&lease);
        }
    }

    /// Ends every lease.
    pub fn end_all(&mut self) {
        for lease in std::mem::take(&mut self.leases) {
            self.finish(&lease);
        }
    }

    /// A lease is over: it is to be reported.
    pub fn finish(&mut self, lease: &Held) {
        self.returning = self.returning.saturating_add(u64::from(lease.left()));
        self.over.push(Over {
            lease: lease.id,
            spent: lease.spent,
        });
    }

    /// Leases that are over, each given out once.
    pub fn take_over(&mut self) -> Vec<Over> {
        self.returning = 0;
        std::mem::take(&mut self.over)
    }
}
