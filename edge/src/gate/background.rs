//! What comes after the answer: leases ahead of need, fresh API records, and reports.
//!
//! Reports ride on lease calls. The flusher sends what no call has taken along: it wakes soon after leases
//! end, for as long as there is anything to settle. It belongs to the request that started it, and the
//! runtime ends a request's background work after 30 s; so a flusher stops by itself before, and requests
//! start a new one while the old still has time to drain.

use std::future::Future;
use std::rc::Rc;

use shared::Millis;

use super::GateCode;
use super::decision::Memo;
use super::isolate::{Isolate, Work};
use super::join::{self, Task};
use crate::boundary;

/// When a flusher is too old to be relied on.
const FLUSHER_YOUNG_MS: Millis = 10_000;
/// When a flusher stops.
const FLUSHER_LIFE_MS: Millis = 24_000;
/// How long after a lease's end the flusher looks.
const FLUSH_SLACK_MS: Millis = 50;
/// The longest pause between two looks.
const FLUSH_PAUSE_MS: Millis = 1_000;

impl GateCode {
    /// Whether there is something to do after an answer: rarely, for hot requests.
    pub fn work_follows(&self, now: Millis) -> bool {
        self.with(|isolate| !isolate.work.is_empty() || isolate.wants_flusher(now))
            .unwrap_or(false)
    }

    /// What is to be done after an answer.
    pub fn background(gate: &Rc<Self>, now: Millis) -> Option<impl Future<Output = ()> + use<>> {
        let (work, flush) = gate.with(|isolate| {
            let flush = isolate.wants_flusher(now);
            if flush {
                isolate.flusher = Some(now);
            }
            (std::mem::take(&mut isolate.work), flush)
        })?;
        if work.is_empty() && !flush {
            return None;
        }
        let gate = Rc::clone(gate);
        Some(async move {
            let mut tasks: Vec<Task<'_>> = Vec::with_capacity(work.len() + 1);
            for work in work {
                tasks.push(Box::pin(gate.work(work)));
            }
            if flush {
                tasks.push(Box::pin(gate.flush_for_a_while(now)));
            }
            join::all(tasks).await;
        })
    }

    async fn work(&self, work: Work) {
        match work {
            Work::Renew(hash) => self.renew(hash).await,
            Work::RefreshApi(host) => self.read_api(&host, &mut Memo::default()).await,
        }
    }

    async fn flush_for_a_while(&self, started: Millis) {
        let lease_ms = self.with(|i| i.config.lease_ms).unwrap_or(0);
        let pause = lease_ms
            .saturating_add(FLUSH_SLACK_MS)
            .min(FLUSH_PAUSE_MS.saturating_add(FLUSH_SLACK_MS));
        loop {
            self.host.sleep(pause).await;
            let accounts = self.with(|isolate| {
                isolate.settle_all(boundary::now());
                isolate.to_report()
            });
            let mut reports: Vec<Task<'_>> = Vec::new();
            for account in accounts.iter().flatten() {
                reports.push(Box::pin(self.report(account)));
            }
            join::all(reports).await;
            let settled = self.with(|i| i.is_settled()).unwrap_or(true);
            let old = boundary::now().abs_diff(started) >= FLUSHER_LIFE_MS;
            if settled || old {
                self.with(|isolate| {
                    if isolate.flusher == Some(started) {
                        isolate.flusher = None;
                    }
                });
                return;
            }
        }
    }
}

impl Isolate {
    /// Whether a flusher must be started.
    fn wants_flusher(&self, now: Millis) -> bool {
        let old = self
            .flusher
            .is_none_or(|started| now.abs_diff(started) >= FLUSHER_YOUNG_MS);
        old && !self.is_settled()
    }
}
