//! The ledger: the exact counters of one key, kept by its guard.
//!
//! Rules (ARCHITECTURE.md, "Quotas: why they are exact"): a grant is debited whole before it is answered; a leased unit counts in the
//! bucket of the lease's end, since it may be spent up to then; a report closes a lease and gives back what
//! was not spent, once; a lease that is never reported stays spent; time never runs backward in a ledger.

mod balance;
mod books;
mod counters;
mod open;
mod shared;

use serde::Serialize;

use crate::Millis;
use crate::policy::{Holder, Policy};
use crate::read::Members;
use crate::record::{Credits, RateLimits};
use crate::wire;
use crate::write::member;
use balance::Balance;
use counters::{Counters, Limits, Line};
use open::OpenLeases;

pub use books::Books;
pub use shared::Shared;

/// How long after a lease's end its report still gives units back. Later reports change nothing.
pub const REPORT_GRACE_MS: Millis = 10_000;
/// The most units of one lease, unless a request needs more: no gate asks for as many.
pub const UNLIMITED_GRANT: u32 = 1_000_000;
/// A lease takes at most one part in so many of what remains: as many as there are gates that hold some, itself
/// included, up to this. One gate alone may take all; among many, each leaves most to the others.
const MOST_SHARES: u64 = 8;

/// What is told where no wait helps, in milliseconds: far longer than any.
pub const NEVER_MS: Millis = 1 << 50;
/// The largest number of units that callers are told: the largest integer of a structured field (RFC 9651, section 3.3.1).
const MOST_TOLD: u64 = 999_999_999_999_999;

/// Whether that is no time to wait: none helps. What is left of [`NEVER_MS`] later is as long.
pub fn is_never(wait: Millis) -> bool {
    wait >= NEVER_MS / 2
}

/// The exact counters of one key, its credits, and its open leases.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Ledger {
    #[serde(flatten)]
    counters: Counters,
    open: OpenLeases,
    /// The identities that open leases were debited to.
    identities: Vec<String>,
    #[serde(rename = "credits")]
    balance: Option<Balance>,
}

wire!(Ledger: Self::from_members, Self::put_members);

/// The name of a plan's ledger among those of keys: no key has such an id.
pub const PLAN_ROW: &str = ".plan";

/// The name of an identity's ledger.
pub fn identity_row(id: &str) -> String {
    crate::text::join(&[".", id], "")
}

/// What a gate asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// Units that the gate would like, at its observed rate.
    pub want: u32,
    /// Units without which the answer is a refusal: the cost of the waiting request.
    pub need: u32,
    /// For how long the units may be spent, in milliseconds; 0: they are spent at once (strict).
    pub ttl: Millis,
}

/// Units granted, already debited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// How many; at least what was needed.
    pub units: u32,
    /// How long they may be spent, in milliseconds, counted from when the gate sent its request.
    pub ttl: Millis,
}

/// No room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exhausted {
    /// After how many milliseconds the need would be met if nothing else is spent: see [`is_never`].
    pub retry_in: Millis,
    /// What has too little room, in the order of [`Policy::ALL`].
    pub violated: Vec<Policy>,
}

/// How one limit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// Which.
    #[serde(rename = "window")]
    pub policy: Policy,
    /// How many units.
    pub limit: u64,
    /// Units left for anybody: not counting those leased out.
    pub left: u64,
    /// In how many milliseconds some units come back; 0 when none are used. See [`is_never`].
    pub reset_in: Millis,
}

wire!(Standing {
    policy: "window",
    limit: "limit",
    left: "left",
    reset_in: "resetIn"
});

/// A lease that was reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// Its units.
    pub units: u32,
    /// Those that were spent.
    pub spent: u32,
    /// Its end.
    pub end: Millis,
    /// The identity that it was debited to.
    pub identity: Option<String>,
    /// Whether it was debited to the plan.
    pub plan: bool,
}

impl Closed {
    /// Units that come back.
    pub fn back(&self) -> u32 {
        self.units - self.spent
    }
}

impl Ledger {
    fn from_members(members: &mut Members<'_, '_>) -> Self {
        Self {
            counters: Counters::from_members(members),
            open: members.take_or("open", OpenLeases::default()),
            identities: members.take_or("identities", Vec::new()),
            balance: members.take("credits"),
        }
    }

    fn put_members(&self, to: &mut String) {
        self.counters.put_members(to);
        member(to, "open", &self.open);
        if !self.identities.is_empty() {
            member(to, "identities", &self.identities);
        }
        member(to, "credits", &self.balance);
    }

    /// Closes a lease: what was not spent is given back, what was spent counts from now at the latest. What the key shares
    /// with others is not at hand here: it is to be given back there, too.
    ///
    /// A repeated report, or one later than [`REPORT_GRACE_MS`] after the lease's end, changes nothing.
    pub fn close(&mut self, id: u64, now: Millis, spent: u32) -> Option<Closed> {
        let now = self.advance(now);
        let lease = self.open.close(id)?;
        let place = (lease.from.identity as usize).checked_sub(1);
        let closed = Closed {
            units: lease.units,
            spent: spent.min(lease.units),
            end: lease.end,
            identity: place.and_then(|place| self.identities.get(place).cloned()),
            plan: lease.from.plan,
        };
        self.counters.take_back(Holder::Key, &closed, now);
        if let Some(balance) = &mut self.balance
            && lease.from.credits
        {
            balance.take_back(id, closed.back());
        }
        Some(closed)
    }

    /// The key's credits are these from now on: see [`Balance::adopt`]. `lease` is the next lease's id.
    pub fn adopt(&mut self, credits: &Credits, lease: u64, now: Millis) {
        let now = self.advance(now);
        match &mut self.balance {
            Some(balance) => balance.adopt(credits, lease, now),
            None => self.balance = Some(Balance::new(credits, lease, now)),
        }
    }

    /// Units of leases that may still be reported at `now`, and so come back.
    pub fn leased_out(&self, now: Millis) -> u64 {
        self.open.units(now)
    }

    /// How the key's own limited windows stand at `now`.
    pub fn standing(&self, now: Millis, limits: &RateLimits) -> Vec<Standing> {
        let limits = Limits {
            rates: *limits,
            month: None,
        };
        // The clock may lie behind the ledger's time: then it has to catch up first.
        let at = self.counters.clock(now);
        let mut all = Vec::new();
        let see = &mut |line: &Line<'_>| all.push(line.standing(now, at));
        self.counters.each_line(Holder::Key, &limits, see);
        all
    }

    /// Moves the ledger's time on, never back, and forgets what no longer matters.
    fn advance(&mut self, now: Millis) -> Millis {
        let now = self.counters.advance(now);
        self.open.forget(now);
        now
    }

    /// The place of an identity's name, from 1 on. A place whose leases are all closed may be another's.
    fn place_of(&mut self, name: &str) -> u32 {
        let known = self.identities.iter().position(|known| known == name);
        let place = known.unwrap_or_else(|| {
            let free = (1..).zip(&self.identities);
            let free = free.take_while(|(place, _)| self.open.name(*place)).count();
            match self.identities.get_mut(free) {
                Some(place) => name.clone_into(place),
                None => self.identities.push(name.to_owned()),
            }
            free
        });
        place as u32 + 1
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
