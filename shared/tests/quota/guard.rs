//! A guard: what a Durable Object does with its ledger. What it keeps outlives a crash; what is in memory
//! does not, nor do answers that wait for it to be kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shared::Millis;
use shared::guard::{Shares, answer, is_new_report};
use shared::ledger::Ledger;
use shared::message::{KeyAnswer, Report, Settled};
use shared::record::KeyRecord;

use super::{Answer, Call, Mutation};

/// What a guard keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Kept {
    /// The key's ledger.
    pub ledger: Ledger,
    /// The number of the last report taken, by gate.
    pub reports: BTreeMap<u32, u64>,
    /// Requests and cost counted, by gate.
    pub usage: BTreeMap<u32, (u64, u64)>,
    /// Leases whose report was not taken, with their ends.
    pub open: BTreeMap<u64, Millis>,
    /// The latest moment that the ledger was told.
    pub latest: Millis,
}

/// A guard.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Guard {
    /// What a crash leaves.
    pub kept: Kept,
    /// What it works on.
    pub memory: Kept,
    leases: u64,
    /// Answers that wait until what they say is kept.
    held: Vec<Answer>,
    mutation: Mutation,
}

/// What a call did to the guard.
#[derive(Debug, Clone)]
pub struct Handled {
    /// Leases that were reported: id, units spent, units given back.
    pub settled: Vec<(u64, u32, u32)>,
    /// The answer, which has not left.
    pub answer: Answer,
}

impl Guard {
    /// A guard that has granted nothing.
    pub fn new(mutation: Mutation) -> Self {
        Self {
            kept: Kept::default(),
            memory: Kept::default(),
            leases: 0,
            held: Vec::new(),
            mutation,
        }
    }

    /// Handles a call at `now` on the guard's clock; `decided_at` is the true time.
    pub fn handle(
        &mut self,
        call: &Call,
        now: Millis,
        decided_at: u64,
        record: &KeyRecord,
        lease_ms: Millis,
    ) -> Handled {
        if self.mutation == Mutation::GiveBackAtExpiry {
            self.give_back_expired(now);
        }
        let settled = call
            .report
            .as_ref()
            .map_or_else(Vec::new, |report| self.take(call.gate, report, now));
        let key = call.ask.as_ref().map(|ask| {
            let lease = self.leases + 1;
            let ledger = &mut self.memory.ledger;
            answer(
                Some(record),
                ledger,
                Shares::default(),
                ask,
                lease,
                now,
                lease_ms,
            )
        });
        let metered = matches!(
            key,
            Some(KeyAnswer::Granted { .. } | KeyAnswer::Exhausted { .. })
        );
        if metered || !settled.is_empty() {
            self.memory.latest = self.memory.latest.max(now);
        }
        if let Some(KeyAnswer::Granted { lease, ttl, .. }) = &key {
            self.leases = *lease;
            if *ttl > 0 {
                let end = self.memory.latest + ttl;
                self.memory.open.insert(*lease, end);
            }
        }
        let answer = Answer {
            gate: call.gate,
            call: call.id,
            key,
            acknowledged: call.report.as_ref().map(|report| report.seq),
            decided_at,
        };
        self.held.push(answer.clone());
        Handled { settled, answer }
    }

    /// Answers that leave although nothing is kept yet: none, as designed.
    pub fn early(&mut self) -> Vec<Answer> {
        match self.mutation {
            Mutation::AnswerBeforeDebit => std::mem::take(&mut self.held),
            _ => Vec::new(),
        }
    }

    /// Keeps what is in memory, and lets the answers go that waited for it.
    pub fn keep(&mut self) -> Vec<Answer> {
        self.kept = self.memory.clone();
        std::mem::take(&mut self.held)
    }

    /// Crashes and starts again from what was kept. Returns the answers that are lost.
    pub fn restart(&mut self) -> Vec<Answer> {
        self.memory = self.kept.clone();
        std::mem::take(&mut self.held)
    }

    fn take(&mut self, gate: u32, report: &Report, now: Millis) -> Vec<(u64, u32, u32)> {
        let last = self.memory.reports.get(&gate).copied();
        if !is_new_report(last, report.seq) && self.mutation != Mutation::EveryReportTaken {
            return Vec::new();
        }
        self.memory.reports.insert(gate, report.seq);
        let sums = self.memory.usage.entry(gate).or_default();
        for row in &report.usage {
            sums.0 += row.tally.count;
            sums.1 += row.tally.cost;
        }
        let Kept { open, ledger, .. } = &mut self.memory;
        let close = |settled: &Settled| {
            open.remove(&settled.lease);
            let closed = ledger.close(settled.lease, now, settled.spent);
            let back = closed.map_or(0, |lease| lease.back());
            (settled.lease, settled.spent, back)
        };
        report.settled.iter().map(close).collect()
    }

    fn give_back_expired(&mut self, now: Millis) {
        let Kept { open, ledger, .. } = &mut self.memory;
        open.retain(|lease, end| {
            let over = *end <= now;
            if over {
                ledger.close(*lease, now, 0);
            }
            !over
        });
    }
}
