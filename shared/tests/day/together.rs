//! The log of what keys spend of beside their own windows: identities, the plan, credits.

use std::collections::BTreeMap;

use shared::Millis;
use shared::record::{Credits, RateLimits};

use super::log::Log;
use crate::calendar::{NaiveCredits, month};

/// What a grant was debited to beside the key's own windows.
#[derive(Debug, Clone)]
struct Grant {
    key: usize,
    /// The identity, and what its log calls the grant.
    identity: Option<(usize, usize)>,
    plan: Option<u64>,
    has_credits: bool,
    ledger_now: Millis,
    admitted: u32,
}

#[derive(Debug)]
enum Event {
    Terms(usize, Credits, Millis),
    Grant(usize),
}

/// All that happened to what is shared.
#[derive(Debug)]
pub struct Together {
    identities: Vec<Log>,
    grants: Vec<Grant>,
    by_key: BTreeMap<(usize, usize), usize>,
    events: Vec<Event>,
}

/// What was in force for a grant.
#[derive(Debug)]
pub struct Terms {
    /// The identity and its limits.
    pub identity: Option<(usize, RateLimits)>,
    /// The plan's limit.
    pub plan: Option<u64>,
    /// Whether the key had credits.
    pub has_credits: bool,
}

impl Together {
    /// Nothing has happened to so many identities.
    pub fn new(identities: usize) -> Self {
        Self {
            identities: (0..identities).map(|_| Log::default()).collect(),
            grants: Vec::new(),
            by_key: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    /// An admin sets a key's credits.
    pub fn set_credits(&mut self, key: usize, credits: &Credits, ledger_now: Millis) {
        self.events
            .push(Event::Terms(key, credits.clone(), ledger_now));
    }

    /// The guard granted units to a key, `grant` in the key's log.
    pub fn grant(
        &mut self,
        (key, grant): (usize, usize),
        terms: &Terms,
        decided: (Millis, Millis),
        ttl: Millis,
    ) {
        let identity = terms
            .identity
            .map(|(n, limits)| (n, self.identities[n].grant(limits, decided, ttl)));
        self.by_key.insert((key, grant), self.grants.len());
        self.events.push(Event::Grant(self.grants.len()));
        self.grants.push(Grant {
            key,
            identity,
            plan: terms.plan,
            has_credits: terms.has_credits,
            ledger_now: decided.1,
            admitted: 0,
        });
    }

    /// Units of a grant were admitted; `at`: in true time and on the ledger's clock, or by the guard's decision.
    pub fn admit(&mut self, of: (usize, usize), at: Option<(Millis, Millis)>, cost: u32) {
        let grant = &mut self.grants[self.by_key[&of]];
        grant.admitted += cost;
        if let Some((identity, grant)) = grant.identity {
            let log = &mut self.identities[identity];
            match at {
                Some((at, ledger_now)) => log.admit(at, ledger_now, cost, grant),
                None => log.admit_decided(cost, grant),
            }
        }
    }

    /// No identity, no plan and no credits were ever overspent. No lease outlives a day, so all that was admitted of a
    /// grant counts when it was decided.
    pub fn check(&self, guard_steps: &[Millis]) -> Result<(), String> {
        for log in &self.identities {
            log.check_limits(guard_steps)
                .map_err(|why| format!("identity: {why}"))?;
        }
        let mut months: BTreeMap<u64, u64> = BTreeMap::new();
        for grant in &self.grants {
            let Some(limit) = grant.plan else { continue };
            let sum = months.entry(month(grant.ledger_now)).or_default();
            *sum += u64::from(grant.admitted);
            if grant.admitted > 0 && *sum > limit {
                return Err(format!("over the limit: {sum} of {limit} in a month"));
            }
        }
        self.check_credits()
    }

    fn check_credits(&self) -> Result<(), String> {
        let mut credits: BTreeMap<usize, NaiveCredits> = BTreeMap::new();
        for event in &self.events {
            match event {
                Event::Terms(key, terms, at) => credits.entry(*key).or_default().adopt(terms, *at),
                Event::Grant(place) => {
                    let grant = &self.grants[*place];
                    if !grant.has_credits {
                        continue;
                    }
                    let of_key = credits.entry(grant.key).or_default();
                    of_key.spend(grant.ledger_now, grant.admitted);
                    if of_key.left < 0 {
                        return Err(format!("over the limit: {of_key:?} after {grant:?}"));
                    }
                }
            }
        }
        Ok(())
    }
}
