//! The guard: what the Durable Object does with its tables, one ledger for each key.

use std::collections::BTreeMap;

use shared::Millis;
use shared::guard::{Shares, answer, is_new_report};
use shared::ledger::Ledger;
use shared::message::{KeyAnswer, KeyAsk, Report};
use shared::record::KeyRecord;

/// What a guard keeps of a key.
#[derive(Debug, Default)]
struct Row {
    next_lease: u64,
    ledger: Ledger,
}

/// The guard.
#[derive(Debug)]
pub struct Guard {
    rows: Vec<Row>,
    reports: BTreeMap<u64, u64>,
    record: KeyRecord,
    lease_ms: Millis,
    /// The largest ledger as stored, in bytes.
    pub largest: usize,
}

impl Guard {
    /// A guard of so many keys that are alike.
    pub fn new(keys: usize, record: KeyRecord, lease_ms: Millis) -> Self {
        Self {
            rows: (0..keys).map(|_| Row::default()).collect(),
            reports: BTreeMap::new(),
            record,
            lease_ms,
            largest: 0,
        }
    }

    /// Handles a gate's call.
    pub fn call(
        &mut self,
        gate: u64,
        ask: Option<(usize, &KeyAsk)>,
        report: Option<&Report>,
        now: Millis,
    ) -> (Option<KeyAnswer>, Option<u64>) {
        if let Some(report) = report {
            self.take(gate, report, now);
        }
        let key = ask.and_then(|(key, ask)| {
            let row = self.rows.get_mut(key)?;
            let lease = row.next_lease;
            let reply = answer(
                Some(&self.record),
                &mut row.ledger,
                Shares::default(),
                ask,
                lease,
                now,
                self.lease_ms,
            );
            row.next_lease += u64::from(matches!(reply, KeyAnswer::Granted { .. }));
            Some(reply)
        });
        (key, report.map(|r| r.seq))
    }

    /// Takes a report in, once.
    fn take(&mut self, gate: u64, report: &Report, now: Millis) {
        if !is_new_report(self.reports.get(&gate).copied(), report.seq) {
            return;
        }
        self.reports.insert(gate, report.seq);
        for settled in &report.settled {
            let row = settled
                .key
                .parse()
                .ok()
                .and_then(|key: usize| self.rows.get_mut(key));
            if let Some(row) = row {
                row.ledger.close(settled.lease, now, settled.spent);
            }
        }
    }

    /// Starts anew from what is kept: the ledgers as text.
    pub fn restart(&mut self) {
        for row in &mut self.rows {
            let text = shared::write::to_string(&row.ledger);
            self.largest = self.largest.max(text.len());
            row.ledger = shared::read::from_str(&text).expect("a ledger can be read");
        }
    }
}
