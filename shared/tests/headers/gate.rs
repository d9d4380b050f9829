//! A gate with one request at a time, and renewals in the background.

use std::collections::VecDeque;

use shared::Millis;
use shared::lease::{Granted, Over, Purse, QuotaRefusal, Spend};
use shared::message::{KeyAnswer, KeyAsk, Report};
use shared::report::Reporter;
use shared::token::KeyHash;

use super::LEASE_MS;

/// A gate.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    /// What it holds.
    pub purse: Purse,
    /// What it has to report.
    pub reporter: Reporter,
    /// Whether its flusher runs.
    pub flushing: bool,
    /// Requests to come: how long after the answer to the one before, and what they cost.
    pub to_come: VecDeque<(Millis, u32)>,
    /// The request that waits for the guard.
    pub waiting: Option<Waiting>,
    /// What it holds or held and has not handed over, by a plain list: when it ends, and how much.
    held: Vec<(Millis, u32)>,
    /// What it may refuse by itself, and until when.
    refused: Vec<(Millis, u32)>,
}

/// A request that waits for an answer of the guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// What it costs.
    pub cost: u32,
    /// Whether it follows another's question, a renewal's.
    pub follows: bool,
}

/// A question or a report on its way to the guard.
#[derive(Debug, Clone)]
pub struct Call {
    /// Whose.
    pub gate: usize,
    /// When it was sent.
    pub sent_at: Millis,
    /// The question.
    pub ask: Option<KeyAsk>,
    /// Whether a request waits for the answer.
    pub waits: bool,
    /// What is reported.
    pub report: Option<Report>,
}

/// What a request comes to.
#[derive(Debug, Clone)]
pub enum Step {
    /// It passes; a renewal is due as well, or not.
    Paid { renew: bool },
    /// It is refused.
    Refused(QuotaRefusal),
    /// The guard must be asked.
    Ask,
    /// The answer to a renewal will do.
    Follow,
}

impl Gate {
    /// A request; it follows a renewal if it `may`.
    pub fn step(&mut self, strict: bool, now: Millis, cost: u32, may: bool) -> Step {
        let spend = match strict {
            true => Spend::Ask,
            false => self.purse.spend(now, cost),
        };
        match spend {
            Spend::Paid { renew } => {
                self.pay(now, cost);
                let renew = renew && self.purse.begin_renewal(now);
                Step::Paid { renew }
            }
            Spend::Refused(refusal) => Step::Refused(refusal),
            Spend::Ask if may && !strict && self.purse.follow(now, cost).is_some() => Step::Follow,
            Spend::Ask => Step::Ask,
        }
    }

    /// Asks for `need` units at least.
    pub fn ask(&mut self, gate: usize, now: Millis, need: u32, waits: bool) -> Call {
        let want = self.purse.want(LEASE_MS).max(need);
        self.purse.asking(now, want, if waits { need } else { 0 });
        let ask = KeyAsk {
            hash: KeyHash::of("token"),
            version: 1,
            want,
            need,
        };
        Call {
            gate,
            sent_at: now,
            ask: Some(ask),
            waits,
            report: None,
        }
    }

    /// Takes an answer in. A request that waits for it and is refused by it gets the refusal.
    pub fn take_in(&mut self, call: &Call, answer: KeyAnswer, now: Millis) -> Option<QuotaRefusal> {
        let need = call.ask.as_ref().map_or(0, |ask| ask.need);
        let sent_at = call.sent_at;
        self.purse.answered();
        if !call.waits {
            self.purse.end_renewal();
        }
        match answer {
            KeyAnswer::Granted {
                lease,
                units,
                ttl,
                standing,
            } => {
                let need = if call.waits { need } else { 0 };
                let grant = Granted {
                    lease,
                    units,
                    ttl,
                    need,
                };
                self.purse.granted(sent_at, now, &grant, &standing);
                self.held.push((sent_at + ttl, units - need));
                self.held.sort_unstable();
                self.refused.clear();
                if standing.iter().any(|s| s.left == 0) {
                    self.refused.push((sent_at + ttl, 1));
                }
                None
            }
            KeyAnswer::Exhausted {
                retry_in,
                violated,
                ttl,
                standing,
            } => {
                let refusal = QuotaRefusal { retry_in, violated };
                self.purse
                    .exhausted(sent_at, now, need, &refusal, ttl, &standing);
                self.refused.push((sent_at + ttl, need));
                Some(refusal)
            }
            other => panic!("{other:?}"),
        }
    }

    /// Hands over what is over.
    pub fn settle(&mut self, now: Millis) -> Vec<Over> {
        self.held.retain(|(end, _)| *end > now);
        let over = self.purse.take_over(now);
        self.reporter.settle("key_1", over.clone());
        over
    }

    /// Units that it can spend.
    pub fn available(&self, now: Millis) -> u32 {
        let held = self.held.iter().filter(|(end, _)| *end > now);
        held.map(|(_, left)| left).sum()
    }

    /// Units that it could have spent and has not handed over.
    pub fn ended(&self, now: Millis) -> u32 {
        let held = self.held.iter().filter(|(end, _)| *end <= now);
        held.map(|(_, left)| left).sum()
    }

    /// The least cost that it refuses by itself.
    pub fn refuses(&self, now: Millis) -> Option<u32> {
        let refused = self.refused.iter().filter(|(until, _)| *until > now);
        refused.map(|(_, need)| *need).min()
    }

    fn pay(&mut self, now: Millis, cost: u32) {
        assert!(self.available(now) >= cost, "spends what it has not");
        let mut due = cost;
        for (_, left) in self.held.iter_mut().filter(|(end, _)| *end > now) {
            let part = due.min(*left);
            *left -= part;
            due -= part;
        }
    }
}
