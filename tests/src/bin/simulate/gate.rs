//! The gate: what an isolate does with its desks and its reporter, in the order of the Worker's own code
//! (`edge/src/gate`). It does no I/O: what it wants done, it says.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use shared::Millis;
use shared::lease::{Asked, Desk, Effect, Needs, Pay, Turn, Wait};
use shared::message::{KeyAnswer, KeyAsk, Report};
use shared::record::KeyRecord;
use shared::report::Reporter;
use shared::token::KeyHash;
use shared::usage::{CellRef, Tally};

/// How often a request may need the guard.
const MAX_NEEDS: u32 = 12;

/// An isolate.
#[derive(Debug)]
pub struct Gate {
    /// Drawn when it starts.
    pub id: u64,
    desks: BTreeMap<usize, Desk>,
    /// Keys of which leases are held.
    holding: BTreeSet<usize>,
    /// What there is to report.
    pub reporter: Reporter,
    /// Whether a flusher runs.
    pub flushing: bool,
    /// The same for every key.
    record: Rc<KeyRecord>,
    lease_ms: Millis,
}

/// A request under way.
#[derive(Debug, Clone)]
pub struct Request {
    /// The key.
    pub key: usize,
    /// Its cost.
    pub cost: u32,
    wait: Wait,
    needs: u32,
}

impl Request {
    /// A request that has just arrived.
    pub fn new(key: usize, cost: u32) -> Self {
        Self {
            key,
            cost,
            wait: Wait::default(),
            needs: 0,
        }
    }
}

/// What a request comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It passes, paid from a lease; a renewal is due as well, or not.
    Paid {
        /// Whether to renew.
        renew: bool,
    },
    /// It passes, paid by the guard's answer.
    Granted,
    /// It is refused for quota.
    Refused,
    /// It is refused because the guard can't be asked.
    Unavailable,
    /// It asks the guard.
    Ask,
    /// It waits for another that asks, until this moment at the latest.
    Wait(Millis),
}

impl Gate {
    /// An isolate that has just started.
    pub fn new(id: u64, record: Rc<KeyRecord>, lease_ms: Millis) -> Self {
        Self {
            id,
            desks: BTreeMap::new(),
            holding: BTreeSet::new(),
            reporter: Reporter::default(),
            flushing: false,
            record,
            lease_ms,
        }
    }

    /// Takes a step with a request.
    pub fn step(&mut self, request: &mut Request, now: Millis) -> Step {
        let Request { key, cost, .. } = *request;
        let desk = self.desks.entry(key).or_default();
        match desk.pay(now, &request.wait, &self.record, cost) {
            Pay::Passed { renew } => Step::Paid { renew },
            Pay::PaidByAnswer => Step::Granted,
            Pay::Refused(_) => Step::Refused,
            Pay::Unavailable => Step::Unavailable,
            Pay::Ask if request.needs >= MAX_NEEDS => Step::Unavailable,
            Pay::Ask => {
                let needs = Needs::Units(cost);
                match desk.turn(now, &mut request.wait, needs, Some(&self.record)) {
                    Turn::Wait { until } => Step::Wait(until),
                    Turn::Ask => {
                        request.needs += 1;
                        Step::Ask
                    }
                }
            }
        }
    }

    /// Until when a request waits for another that asks; `None`: it takes its next step.
    pub fn awaited(&mut self, request: &mut Request, now: Millis) -> Option<Millis> {
        let desk = self.desks.entry(request.key).or_default();
        let needs = Needs::Units(request.cost);
        desk.awaited(now, &mut request.wait, needs, Some(&self.record))
    }

    /// The question of a request, or of a renewal.
    pub fn ask(
        &mut self,
        key: usize,
        need: u32,
        waits: bool,
        now: Millis,
    ) -> (Asked, Option<Report>) {
        self.settle(key, now);
        let ask = KeyAsk {
            hash: KeyHash::of("token"),
            version: self.record.version,
            want: need,
            need,
        };
        let desk = self.desks.entry(key).or_default();
        let asked = desk.question(now, self.lease_ms, ask, waits);
        (asked, self.reporter.take(now))
    }

    /// Counts what a request came to.
    pub fn count(&mut self, key: usize, step: Step, cost: u32, now: Millis) {
        let (code, cost) = match step {
            Step::Refused => ("rate_limited", 0),
            Step::Unavailable => ("guard_unavailable", 0),
            Step::Paid { .. } | Step::Granted | Step::Ask | Step::Wait(_) => ("ok", cost),
        };
        let cell = CellRef {
            key: &key.to_string(),
            api: "api",
            minute: now / 60_000,
            code,
            class: 2,
        };
        let tally = Tally {
            count: 1,
            cost: u64::from(cost),
            latency_ms: 0,
            last_at: now,
        };
        self.reporter.count(cell, &tally);
    }

    /// The report's fate.
    pub fn reported(&mut self, sent: bool, acknowledged: Option<u64>) {
        match acknowledged {
            Some(seq) => self.reporter.acknowledge(seq),
            None if sent => self.reporter.fail(),
            None => {}
        }
    }

    /// Takes in what the guard answered about a key, or that the call failed; `request` is the one that waits, if any.
    pub fn take_in(
        &mut self,
        key: usize,
        asked: &Asked,
        answer: Option<KeyAnswer>,
        request: Option<&mut Request>,
        now: Millis,
    ) {
        let desk = self.desks.entry(key).or_default();
        let mut nobody = Wait::default();
        let wait = request.map_or(&mut nobody, |request| &mut request.wait);
        match desk.take_in(now, self.lease_ms, asked, answer, wait) {
            Effect::None => {}
            Effect::Holds => {
                self.holding.insert(key);
            }
            effect @ (Effect::Install(_) | Effect::Gone) => unreachable!("{effect:?}"),
        }
        desk.end_asking(wait);
    }

    /// Hands over the ended leases of every key. Whether anything is left to settle or to report.
    pub fn settle_all(&mut self, now: Millis) -> bool {
        for key in self.holding.clone() {
            self.settle(key, now);
        }
        !self.is_settled()
    }

    /// Whether there is nothing to settle or to report.
    pub fn is_settled(&self) -> bool {
        self.reporter.is_empty() && self.holding.is_empty()
    }

    fn settle(&mut self, key: usize, now: Millis) {
        if let Some(desk) = self.desks.get_mut(&key) {
            let over = desk.take_over(now);
            if !desk.holds() {
                self.holding.remove(&key);
            }
            if !over.is_empty() {
                self.reporter.settle(&key.to_string(), over);
            }
        }
    }
}
