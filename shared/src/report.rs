//! Reports of a gate to a guard: settled leases and usage, delivered once.
//!
//! One report is under way at a time. It is repeated, the same, with the same number, until the guard has
//! acknowledged it; the guard takes a number from a gate once. So nothing is counted twice, and nothing is
//! lost while the isolate lives.

use crate::Millis;
use crate::lease::Over;
use crate::message::{MAX_USAGE_ROWS, Report, Settled};
use crate::usage::{CellRef, Tally, UsageSheet};

/// After how many milliseconds a call that was neither answered nor failed is taken for cut off: the runtime
/// may end a request, and all that it awaits, at any moment. Longer than any call to a guard may take.
pub const PATIENCE_MS: Millis = 15_000;
/// The most usage cells kept while a guard can't be reached.
const MAX_CELLS: usize = 20_000;
/// The most settled leases kept likewise; the rest stay spent.
const MAX_SETTLED: usize = 20_000;

/// What a gate has to report to one guard.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Reporter {
    seq: u64,
    settled: Vec<Settled>,
    usage: UsageSheet,
    unacknowledged: Option<Report>,
    /// Since when the report is under way.
    under_way: Option<Millis>,
    dropped: u64,
}

impl Reporter {
    /// A reporter whose numbers go on after `seq`: for a gate that reported to this guard before.
    pub fn resume(seq: u64) -> Self {
        Self {
            seq,
            ..Self::default()
        }
    }

    /// The number of the last report.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Notes leases of a key that are over.
    pub fn settle(&mut self, key: &str, over: Vec<Over>) {
        let room = MAX_SETTLED.saturating_sub(self.settled.len());
        self.settled
            .extend(over.into_iter().take(room).map(|o| Settled {
                key: key.to_owned(),
                lease: o.lease,
                spent: o.spent,
            }));
    }

    /// Counts an outcome.
    pub fn count(&mut self, cell: CellRef<'_>, tally: &Tally) {
        if !self.usage.add(cell, tally, MAX_CELLS) {
            self.dropped = self.dropped.saturating_add(tally.count);
        }
    }

    /// Requests that could not be counted because the guard was out of reach for too long.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.settled.is_empty() && self.usage.is_empty() && self.unacknowledged.is_none()
    }

    /// The report to send now, if there is one and none is under way. The call is followed by
    /// [`Self::acknowledge`] or [`Self::fail`]; should it be cut off without either, the report is given out
    /// again after [`PATIENCE_MS`].
    pub fn take(&mut self, now: Millis) -> Option<Report> {
        let waits = self
            .under_way
            .is_some_and(|since| now.abs_diff(since) < PATIENCE_MS);
        if waits || self.is_empty() {
            return None;
        }
        self.under_way = Some(now);
        if self.unacknowledged.is_none() {
            self.seq += 1;
            self.unacknowledged = Some(Report {
                seq: self.seq,
                settled: std::mem::take(&mut self.settled),
                usage: self.usage.take(MAX_USAGE_ROWS),
            });
        }
        self.unacknowledged.clone()
    }

    /// The guard keeps the report with this number durably.
    pub fn acknowledge(&mut self, seq: u64) {
        if self.unacknowledged.as_ref().is_some_and(|r| r.seq == seq) {
            self.unacknowledged = None;
            self.under_way = None;
        }
    }

    /// The report under way got no answer; it will be repeated.
    pub fn fail(&mut self) {
        self.under_way = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(minute: u64) -> CellRef<'static> {
        CellRef {
            key: "key_1",
            api: "api_1",
            minute,
            code: "ok",
            class: 2,
        }
    }

    const ONE: Tally = Tally {
        count: 1,
        cost: 1,
        latency_ms: 0,
        last_at: 0,
    };

    #[test]
    fn a_report_is_repeated_unchanged_until_acknowledged() {
        let mut reporter = Reporter::default();
        reporter.count(cell(1), &ONE);
        let first = reporter.take(0).unwrap();
        reporter.count(cell(2), &ONE);
        assert_eq!(reporter.take(0), None);
        reporter.fail();
        assert_eq!(reporter.take(0).unwrap(), first);
        reporter.acknowledge(first.seq);
        let second = reporter.take(0).unwrap();
        assert_eq!(second.seq, first.seq + 1);
        assert_eq!(second.usage[0].cell.minute, 2);
        reporter.acknowledge(first.seq);
        assert!(!reporter.is_empty());
        reporter.acknowledge(second.seq);
        assert!(reporter.is_empty());
    }

    #[test]
    fn a_report_whose_call_was_cut_off_is_given_out_again() {
        let mut reporter = Reporter::default();
        reporter.count(cell(1), &ONE);
        let first = reporter.take(0).unwrap();
        assert_eq!(reporter.take(PATIENCE_MS - 1), None);
        assert_eq!(reporter.take(PATIENCE_MS).unwrap(), first);
    }

    #[test]
    fn memory_is_bounded_while_the_guard_is_away_and_the_loss_is_known() {
        let mut reporter = Reporter::default();
        for minute in 0..=MAX_CELLS as u64 {
            reporter.count(cell(minute), &ONE);
        }
        assert_eq!(reporter.dropped(), 1);
        reporter.count(cell(0), &ONE);
        assert_eq!(reporter.dropped(), 1);
    }
}
