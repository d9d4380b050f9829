//! The gate: what an isolate does with its purses and its reporter, in the order of the Worker's own code
//! (`edge/src/gate`: `step`, `resolve`, `follow`, `background`). It does no I/O: what it wants done, it says.

use std::collections::{BTreeMap, BTreeSet};

use shared::Millis;
use shared::lease::{FOLLOW_MS, Granted, Purse, QuotaRefusal, Spend, longest_wait};
use shared::message::{KeyAnswer, Report};
use shared::report::Reporter;
use shared::usage::{CellRef, Tally};

/// How often a request may need the guard.
const MAX_NEEDS: u32 = 12;

/// An isolate.
#[derive(Debug)]
pub struct Gate {
    /// Drawn when it starts.
    pub id: u64,
    slots: BTreeMap<usize, Slot>,
    /// Keys of which leases are held.
    holding: BTreeSet<usize>,
    /// What there is to report.
    pub reporter: Reporter,
    /// Whether a flusher runs.
    pub flushing: bool,
    strict: bool,
    lease_ms: Millis,
}

#[derive(Debug, Default)]
struct Slot {
    purse: Purse,
    scarce: bool,
    asked_at: Option<Millis>,
}

/// A request under way.
#[derive(Debug, Clone)]
pub struct Request {
    /// The key.
    pub key: usize,
    /// Its cost.
    pub cost: u32,
    paid_until: Option<Millis>,
    refused: Option<QuotaRefusal>,
    /// The guard could not be asked.
    pub guard_failed: bool,
    was_late: bool,
    follow_until: Option<Millis>,
    asking: bool,
    /// It has waited for an answer that was large enough.
    followed: bool,
    needs: u32,
}

impl Request {
    /// A request that has just arrived.
    pub fn new(key: usize, cost: u32) -> Self {
        Self {
            key,
            cost,
            paid_until: None,
            refused: None,
            guard_failed: false,
            was_late: false,
            follow_until: None,
            asking: false,
            followed: false,
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

/// A question as sent.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// The key.
    pub key: usize,
    /// What was asked for at least.
    pub need: u32,
    /// What would be liked.
    pub want: u32,
    /// When, on the gate's clock.
    pub sent_at: Millis,
}

impl Gate {
    /// An isolate that has just started.
    pub fn new(id: u64, strict: bool, lease_ms: Millis) -> Self {
        Self {
            id,
            slots: BTreeMap::new(),
            holding: BTreeSet::new(),
            reporter: Reporter::default(),
            flushing: false,
            strict,
            lease_ms,
        }
    }

    /// Takes a step with a request.
    pub fn step(&mut self, request: &mut Request, now: Millis) -> Step {
        if request.paid_until.is_some_and(|until| now < until) {
            return Step::Granted;
        }
        let slot = self.slots.entry(request.key).or_default();
        let spend = if self.strict {
            Spend::Ask
        } else {
            slot.purse.spend(now, request.cost)
        };
        match spend {
            Spend::Paid { renew } => Step::Paid {
                renew: renew && slot.purse.begin_renewal(now),
            },
            Spend::Refused(_) => Step::Refused,
            Spend::Ask if request.refused.is_some() => Step::Refused,
            Spend::Ask if request.guard_failed || request.needs >= MAX_NEEDS => Step::Unavailable,
            Spend::Ask => self.need(request, now),
        }
    }

    /// Whether the request asks itself or waits for another that does.
    fn need(&mut self, request: &mut Request, now: Millis) -> Step {
        let slot = self.slots.entry(request.key).or_default();
        let until = *request.follow_until.get_or_insert(now + FOLLOW_MS);
        if !self.strict && !request.followed {
            request.followed = slot.purse.follow(now, request.cost).is_some();
            if request.followed {
                return Step::Wait(until);
            }
        }
        let common = slot.scarce && !self.strict;
        let asked_at = slot.asked_at.filter(|at| now.abs_diff(*at) < FOLLOW_MS);
        if let Some(at) = asked_at.filter(|_| common && now < until) {
            return Step::Wait(until.min(at + FOLLOW_MS));
        }
        if common {
            slot.asked_at = Some(now);
            request.asking = true;
        }
        request.needs += 1;
        Step::Ask
    }

    /// The question of a request, or of a renewal.
    pub fn ask(
        &mut self,
        key: usize,
        need: u32,
        renewal: bool,
        now: Millis,
    ) -> (Asked, Option<Report>) {
        self.settle(key, now);
        let slot = self.slots.entry(key).or_default();
        let want = slot.purse.want(self.lease_ms).max(need);
        slot.purse.asking(now, want, if renewal { 0 } else { need });
        let asked = Asked {
            key,
            need,
            want,
            sent_at: now,
        };
        (asked, self.reporter.take(now))
    }

    /// A question about a key is answered, or failed: of a request, or else of a renewal.
    pub fn end_asking(&mut self, key: usize, request: Option<&mut Request>) {
        let Some(slot) = self.slots.get_mut(&key) else {
            return;
        };
        slot.purse.answered();
        match request {
            None => slot.purse.end_renewal(),
            Some(request) => {
                if std::mem::take(&mut request.asking) {
                    slot.asked_at = None;
                }
            }
        }
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

    /// Takes the guard's answer in; `request` is the one that waits for it, if any.
    pub fn take_in(
        &mut self,
        asked: Asked,
        request: Option<&mut Request>,
        answer: &KeyAnswer,
        now: Millis,
    ) {
        let slot = self.slots.entry(asked.key).or_default();
        match answer {
            KeyAnswer::Granted {
                lease,
                units,
                ttl,
                standing,
            } => {
                let need = if request.is_some() { asked.need } else { 0 };
                let bound = longest_wait(self.lease_ms, *ttl);
                let late = need > 0 && now.saturating_sub(asked.sent_at) >= bound;
                if let Some(request) = request {
                    request.guard_failed |= late && request.was_late;
                    request.was_late |= late;
                    request.paid_until = (!late).then(|| asked.sent_at + bound);
                }
                let grant = Granted {
                    lease: *lease,
                    units: *units,
                    ttl: *ttl,
                    need: if late { 0 } else { need },
                };
                slot.scarce = standing.iter().any(|s| s.left == 0);
                slot.purse.granted(asked.sent_at, now, &grant, standing);
                if *ttl > 0 {
                    self.holding.insert(asked.key);
                }
            }
            KeyAnswer::Exhausted {
                retry_in,
                violated,
                ttl,
                standing,
            } => {
                let refusal = QuotaRefusal {
                    retry_in: *retry_in,
                    violated: violated.clone(),
                };
                slot.scarce = true;
                let (sent, need) = (asked.sent_at, asked.need);
                slot.purse
                    .exhausted(sent, now, need, &refusal, *ttl, standing);
                if let Some(request) = request {
                    request.refused = Some(refusal);
                }
            }
            KeyAnswer::Unknown { .. } | KeyAnswer::Stale { .. } | KeyAnswer::Current { .. } => {}
        }
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
        if let Some(slot) = self.slots.get_mut(&key) {
            let over = slot.purse.take_over(now);
            if slot.purse.last_end().is_none() {
                self.holding.remove(&key);
            }
            if !over.is_empty() {
                self.reporter.settle(&key.to_string(), over);
            }
        }
    }
}
