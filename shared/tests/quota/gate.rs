//! A gate: what an isolate does with its purse and its reporter.

use std::collections::BTreeMap;

use shared::Millis;
use shared::guard::HOLD_MS;
use shared::lease::{Granted, Purse, QuotaRefusal, Spend};
use shared::ledger::Standing;
use shared::message::{KeyAnswer, KeyAsk, Report};
use shared::report::Reporter;

use super::{Answer, Call, KEY, Mutation, hash};

/// A gate and its outstanding calls. Times are readings of its own clock.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Gate {
    /// Drawn when the isolate starts.
    pub id: u32,
    /// What it holds of the key.
    pub purse: Purse,
    /// What it has to report.
    pub reporter: Reporter,
    version: u64,
    lease_ms: Millis,
    /// How many calls it has made.
    pub calls: u32,
    /// Calls that the runtime has neither answered nor given up.
    pub outstanding: BTreeMap<u32, Outstanding>,
    mutation: Mutation,
}

/// A call that is outstanding.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Outstanding {
    /// The waiting request's cost; `None`: nobody waits.
    pub waiting: Option<u32>,
    sent_at: Millis,
    renewal: bool,
    reports: bool,
}

/// What became of a request, or of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A request was admitted, paid from leases at hand.
    Paid {
        /// Its cost.
        cost: u32,
    },
    /// A grant arrived; the waiting request, if there is one, was admitted.
    Granted {
        /// The call.
        call: u32,
        /// Until when the gate may refuse a unit by itself, for that was the last.
        empty_until: Option<Millis>,
        /// The lease.
        lease: u64,
        /// Its units.
        units: u32,
        /// Its length.
        ttl: Millis,
        /// When it was asked for.
        sent_at: Millis,
        /// The waiting request's cost.
        paid: u32,
        /// When the guard decided.
        decided_at: u64,
    },
    /// A request was refused.
    Refused {
        /// Its cost.
        cost: u32,
        /// What its caller is told.
        retry_in: Millis,
        /// Whether the gate repeated an earlier refusal.
        repeated: bool,
    },
    /// A refusal arrived, which the gate may repeat.
    Noted {
        /// The call.
        call: u32,
        /// The units that were refused.
        need: u32,
        /// Until when it may be repeated.
        until: Millis,
    },
    /// The record changed: what was held has ended.
    Stale,
}

/// What a step of a gate leads to, in this order.
#[derive(Debug, Default)]
pub struct Step {
    /// What happened.
    pub events: Vec<Event>,
    /// A call to the guard.
    pub call: Option<Call>,
}

impl Gate {
    /// A gate that has just started. It knows the first version of the record.
    pub fn new(id: u32, lease_ms: Millis, mutation: Mutation) -> Self {
        Self {
            id,
            purse: Purse::default(),
            reporter: Reporter::default(),
            version: 1,
            lease_ms,
            calls: 0,
            outstanding: BTreeMap::new(),
            mutation,
        }
    }

    /// A request that costs `cost` arrives.
    pub fn request(&mut self, now: Millis, cost: u32) -> Step {
        match self.purse.spend(now, cost) {
            Spend::Paid { renew } => Step {
                events: vec![Event::Paid { cost }],
                call: (renew && self.purse.begin_renewal(now)).then(|| self.ask(now, None)),
            },
            Spend::Refused(refusal) => Step {
                events: vec![refused(cost, &refusal, true)],
                call: None,
            },
            Spend::Ask => Step {
                events: Vec::new(),
                call: Some(self.ask(now, Some(cost))),
            },
        }
    }

    /// The timer for reports fires.
    pub fn report(&mut self, now: Millis) -> Option<Call> {
        let report = self.take_report(now)?;
        self.outstanding.insert(
            self.calls,
            Outstanding {
                sent_at: now,
                waiting: None,
                renewal: false,
                reports: true,
            },
        );
        Some(self.number(None, Some(report)))
    }

    /// An answer arrives. One to a call that is no longer outstanding is not looked at.
    pub fn answer(&mut self, now: Millis, answer: &Answer) -> Step {
        let Some(outstanding) = self.outstanding.remove(&answer.call) else {
            return Step::default();
        };
        if let Some(seq) = answer.acknowledged {
            self.reporter.acknowledge(seq);
        }
        if outstanding.renewal {
            self.purse.end_renewal();
        }
        match &answer.key {
            Some(key) => self.key_answer(now, answer, key, &outstanding),
            None => Step::default(),
        }
    }

    /// The runtime says that a call failed. A waiting request is answered 503.
    pub fn fail(&mut self, call: u32) {
        if let Some(outstanding) = self.outstanding.remove(&call) {
            if outstanding.reports {
                self.reporter.fail();
            }
            if outstanding.renewal {
                self.purse.end_renewal();
            }
        }
    }

    fn key_answer(
        &mut self,
        now: Millis,
        answer: &Answer,
        key: &KeyAnswer,
        asked: &Outstanding,
    ) -> Step {
        let sent_at = match self.mutation {
            Mutation::LeaseFromArrival => now,
            _ => asked.sent_at,
        };
        match key {
            KeyAnswer::Granted {
                lease,
                units,
                ttl,
                standing,
            } => {
                let grant = Granted {
                    lease: *lease,
                    units: *units,
                    ttl: *ttl,
                    need: asked.waiting.unwrap_or(0),
                };
                self.purse.granted(sent_at, now, &grant, standing);
                granted(&grant, sent_at, answer, standing)
            }
            KeyAnswer::Exhausted { .. } => self.exhausted(now, sent_at, answer.call, key, asked),
            KeyAnswer::Stale { record } => {
                self.version = self.version.max(record.version);
                self.purse.clear();
                Step {
                    events: vec![Event::Stale],
                    call: asked.waiting.map(|cost| self.ask(now, Some(cost))),
                }
            }
            KeyAnswer::Current { .. } | KeyAnswer::Unknown { .. } => {
                unreachable!("an active key was asked for units")
            }
        }
    }

    fn exhausted(
        &mut self,
        now: Millis,
        sent_at: Millis,
        call: u32,
        key: &KeyAnswer,
        asked: &Outstanding,
    ) -> Step {
        let KeyAnswer::Exhausted {
            retry_in,
            violated,
            ttl,
            standing,
        } = key
        else {
            return Step::default();
        };
        let refusal = QuotaRefusal {
            retry_in: *retry_in,
            violated: violated.clone(),
        };
        let need = asked.waiting.unwrap_or(1);
        self.purse
            .exhausted(sent_at, now, need, &refusal, *ttl, standing);
        let noted = Event::Noted {
            call,
            need,
            until: sent_at + ttl,
        };
        let last = asked
            .waiting
            .map(|cost| self.after_refusal(now, cost, &refusal));
        Step {
            events: std::iter::once(noted).chain(last).collect(),
            call: None,
        }
    }

    /// Other requests' grants may have arrived meanwhile: the pool is tried before the caller is refused.
    fn after_refusal(&mut self, now: Millis, cost: u32, refusal: &QuotaRefusal) -> Event {
        match self.purse.spend(now, cost) {
            Spend::Paid { .. } => Event::Paid { cost },
            Spend::Refused(_) | Spend::Ask => refused(cost, refusal, false),
        }
    }

    fn ask(&mut self, now: Millis, waiting: Option<u32>) -> Call {
        let report = self.take_report(now);
        let ask = KeyAsk {
            hash: hash(),
            version: self.version,
            want: self.purse.want(self.lease_ms),
            need: waiting.unwrap_or(1),
        };
        self.outstanding.insert(
            self.calls,
            Outstanding {
                sent_at: now,
                waiting,
                renewal: waiting.is_none(),
                reports: report.is_some(),
            },
        );
        self.number(Some(ask), report)
    }

    fn take_report(&mut self, now: Millis) -> Option<Report> {
        self.reporter.settle(KEY, self.purse.take_over(now));
        self.reporter.take(now)
    }

    fn number(&mut self, ask: Option<KeyAsk>, report: Option<Report>) -> Call {
        let id = self.calls;
        self.calls += 1;
        Call {
            gate: self.id,
            id,
            ask,
            report,
        }
    }
}

fn refused(cost: u32, refusal: &QuotaRefusal, repeated: bool) -> Event {
    Event::Refused {
        cost,
        retry_in: refusal.retry_in,
        repeated,
    }
}

fn granted(grant: &Granted, sent_at: Millis, answer: &Answer, standing: &[Standing]) -> Step {
    let empty = standing.iter().filter(|s| s.left == 0);
    let retry_in = empty.map(|s| s.reset_in).max();
    Step {
        events: vec![Event::Granted {
            call: answer.call,
            empty_until: retry_in.map(|ms| sent_at + grant.ttl.min(ms.max(HOLD_MS))),
            lease: grant.lease,
            units: grant.units,
            ttl: grant.ttl,
            sent_at,
            paid: grant.need,
            decided_at: answer.decided_at,
        }],
        call: None,
    }
}
