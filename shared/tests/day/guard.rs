//! The guard: what it keeps, and nothing else, outlives a restart.

use std::collections::BTreeMap;

use shared::Millis;
use shared::guard::{Shares, answer, is_new_report};
use shared::ledger::{Ledger, Shared};
use shared::message::{KeyAnswer, KeyAsk, Report};
use shared::policy::Holder;
use shared::record::{KeyRecord, RateLimits};
use shared::token::KeyHash;

use super::Mutation;
use super::record::{LEASE_MS, identity_of};
use super::together::Terms;

/// What is kept of a key.
#[derive(Debug, Clone)]
pub struct Row {
    /// The newest record.
    pub record: KeyRecord,
    /// Its counters.
    pub ledger: Ledger,
    pub next_lease: u64,
}

/// What keys share.
#[derive(Debug, Clone, Default)]
pub struct Common {
    /// By identity.
    pub identities: Vec<Shared>,
    /// The plan.
    pub plan: Shared,
}

/// A guard.
#[derive(Debug)]
pub struct Guard {
    /// By key.
    pub rows: Vec<Row>,
    /// What they share.
    pub common: Common,
    /// The limits of the identities.
    pub identity_limits: Vec<RateLimits>,
    /// The plan's limit.
    pub plan_limit: Option<u64>,
    /// The tokens that a key has or had.
    pub tokens: BTreeMap<String, usize>,
    reports: BTreeMap<u64, u64>,
    /// Requests and cost counted, by gate.
    pub usage: BTreeMap<u64, (u64, u64)>,
    /// Ledgers of some time ago, for a guard that is to forget.
    old: Vec<Ledger>,
    old_common: Common,
    mutation: Mutation,
}

impl Guard {
    /// A guard of these keys.
    pub fn new(records: Vec<KeyRecord>, identities: usize, mutation: Mutation) -> Self {
        let common = Common {
            identities: vec![Shared::default(); identities],
            plan: Shared::default(),
        };
        let row = |record| Row {
            record,
            ledger: Ledger::default(),
            next_lease: 0,
        };
        Self {
            rows: records.into_iter().map(row).collect(),
            old_common: common.clone(),
            common,
            identity_limits: vec![RateLimits::default(); identities],
            plan_limit: None,
            tokens: BTreeMap::new(),
            reports: BTreeMap::new(),
            usage: BTreeMap::new(),
            old: Vec::new(),
            mutation,
        }
    }

    /// Notes a token of a key's.
    pub fn add_token(&mut self, hash: &KeyHash, key: usize) {
        self.tokens.insert(hash.to_hex(), key);
    }

    /// Answers a gate.
    pub fn call(
        &mut self,
        gate: u64,
        ask: Option<&KeyAsk>,
        report: Option<&Report>,
        now: Millis,
    ) -> Option<KeyAnswer> {
        if let Some(report) = report {
            self.take(gate, report, now);
        }
        let ask = ask?;
        let key = self.tokens.get(&ask.hash.to_hex());
        let Some(row) = key.and_then(|key| self.rows.get_mut(*key)) else {
            return Some(KeyAnswer::Unknown { ttl: LEASE_MS });
        };
        let version = match self.mutation {
            Mutation::SilentGuard if ask.version > 0 => row.record.version,
            _ => ask.version,
        };
        let ask = KeyAsk {
            version,
            ..ask.clone()
        };
        let lease = row.next_lease;
        let record = &row.record;
        let Common { identities, plan } = &mut self.common;
        let shares = Shares {
            identity: identity_of(record).and_then(|n| identities.get_mut(n)),
            plan: Some(plan),
        };
        let (ledger, record) = (&mut row.ledger, Some(record));
        let reply = answer(record, ledger, shares, &ask, lease, now, LEASE_MS);
        row.next_lease += u64::from(matches!(reply, KeyAnswer::Granted { .. }));
        Some(reply)
    }

    fn take(&mut self, gate: u64, report: &Report, now: Millis) {
        if !is_new_report(self.reports.get(&gate).copied(), report.seq) {
            return;
        }
        self.reports.insert(gate, report.seq);
        for settled in &report.settled {
            let key: usize = settled.key.parse().unwrap();
            let ledger = &mut self.rows[key].ledger;
            let Some(lease) = ledger.close(settled.lease, now, settled.spent) else {
                continue;
            };
            if let Some(name) = &lease.identity {
                let n: usize = name.parse().unwrap();
                self.common.identities[n].take_back(Holder::Identity, &lease, now);
            }
            if lease.plan {
                self.common.plan.take_back(Holder::Plan, &lease, now);
            }
        }
        let sums = self.usage.entry(gate).or_default();
        for row in &report.usage {
            sums.0 += row.tally.count;
            sums.1 += row.tally.cost;
        }
    }

    /// What is in force for a key's grants.
    pub fn terms(&self, key: usize) -> Terms {
        let record = &self.rows[key].record;
        Terms {
            identity: identity_of(record).map(|n| (n, self.identity_limits[n])),
            plan: self.plan_limit,
            has_credits: record.credits.is_some(),
        }
    }

    /// Starts again from what is kept.
    pub fn restart(&mut self) -> Result<(), String> {
        for row in &mut self.rows {
            let text = shared::write::to_string(&row.ledger);
            let read: Ledger = shared::read::from_str(&text).map_err(|e| e.to_string())?;
            if read != row.ledger {
                return Err(format!("kept as {text}, read as {read:?}"));
            }
            row.ledger = read;
        }
        for shared in &mut self.common.identities {
            let text = shared::write::to_string(shared);
            *shared = shared::read::from_str(&text).map_err(|e| e.to_string())?;
        }
        if self.mutation == Mutation::HalfKept {
            let mut old = std::mem::replace(&mut self.old_common, self.common.clone());
            for (shared, limits) in old.identities.iter_mut().zip(&self.identity_limits) {
                shared.limit_identity(&super::record::identity(*limits));
            }
            old.plan.limit_plan(self.plan_limit);
            self.common = old;
        }
        if self.mutation == Mutation::ForgetfulGuard {
            let now = self.rows.iter().map(|row| row.ledger.clone()).collect();
            let old = std::mem::replace(&mut self.old, now);
            for (row, old) in self.rows.iter_mut().zip(old) {
                row.ledger = old;
            }
        }
        Ok(())
    }
}
