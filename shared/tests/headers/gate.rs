//! A gate with one request at a time, and renewals in the background.

use std::collections::VecDeque;

use shared::Millis;
use shared::lease::{Asked, Desk, Effect, Needs, Over, Pay, QuotaRefusal, Turn, Wait};
use shared::message::{KeyAnswer, KeyAsk, Report};
use shared::record::KeyRecord;
use shared::report::Reporter;
use shared::token::KeyHash;

use super::LEASE_MS;

/// A gate.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    /// Where it serves the key.
    pub desk: Desk,
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
#[derive(Debug, Clone, Default)]
pub struct Waiting {
    /// What it costs.
    pub cost: u32,
    /// What it has heard.
    pub wait: Wait,
    /// Whether it follows another's question, a renewal's.
    pub follows: bool,
}

/// A question or a report on its way to the guard.
#[derive(Debug, Clone)]
pub struct Call {
    /// Whose.
    pub gate: usize,
    /// The question.
    pub asked: Option<Asked>,
    /// What is reported.
    pub report: Option<Report>,
}

impl Call {
    /// What the request costs that waits for the answer; 0: none does.
    pub fn waiting(&self) -> u32 {
        let asked = self.asked.as_ref().filter(|asked| asked.waits);
        asked.map_or(0, |asked| asked.ask.need)
    }
}

/// What a request comes to.
#[derive(Debug, Clone)]
pub enum Step {
    /// It passes, paid from a lease; a renewal is due as well, or not.
    Paid { renew: bool },
    /// It passes, paid by the guard's answer.
    Granted,
    /// It is refused.
    Refused(QuotaRefusal),
    /// The guard must be asked.
    Ask,
    /// The answer to a renewal will do.
    Follow,
}

impl Gate {
    /// Takes a step with a request.
    pub fn step(&mut self, record: &KeyRecord, now: Millis, request: &mut Waiting) -> Step {
        let Waiting { cost, wait, .. } = request;
        match self.desk.pay(now, wait, record, *cost) {
            Pay::Passed { renew } => {
                self.pay(now, *cost);
                Step::Paid { renew }
            }
            Pay::PaidByAnswer => Step::Granted,
            Pay::Refused(refusal) => Step::Refused(refusal),
            Pay::Ask => match self.desk.turn(now, wait, Needs::Units(*cost), Some(record)) {
                Turn::Ask => Step::Ask,
                Turn::Wait { .. } => Step::Follow,
            },
            Pay::Unavailable => unreachable!("no call fails, and none is late"),
        }
    }

    /// Asks for `need` units at least.
    pub fn ask(&mut self, gate: usize, now: Millis, need: u32, waits: bool) -> Call {
        let ask = KeyAsk {
            hash: KeyHash::of("token"),
            version: 1,
            want: need,
            need,
        };
        Call {
            gate,
            asked: Some(self.desk.question(now, LEASE_MS, ask, waits)),
            report: None,
        }
    }

    /// Takes an answer in.
    pub fn take_in(&mut self, asked: &Asked, answer: KeyAnswer, now: Millis) {
        let (sent_at, need) = (asked.sent_at, asked.ask.need);
        match &answer {
            KeyAnswer::Granted {
                units,
                ttl,
                standing,
                ..
            } => {
                let paid = if asked.waits { need } else { 0 };
                self.held.push((sent_at + ttl, units - paid));
                self.held.sort_unstable();
                self.refused.clear();
                if standing.iter().any(|s| s.left == 0) {
                    self.refused.push((sent_at + ttl, 1));
                }
            }
            KeyAnswer::Exhausted { ttl, .. } => self.refused.push((sent_at + ttl, need)),
            other => panic!("{other:?}"),
        }
        let mut nobody = Wait::default();
        let wait = match &mut self.waiting {
            Some(waiting) if asked.waits => &mut waiting.wait,
            _ => &mut nobody,
        };
        let effect = self.desk.take_in(now, LEASE_MS, asked, Some(answer), wait);
        assert!(matches!(effect, Effect::None | Effect::Holds));
        self.desk.end_asking(wait);
    }

    /// Hands over what is over.
    pub fn settle(&mut self, now: Millis) -> Vec<Over> {
        self.held.retain(|(end, _)| *end > now);
        let over = self.desk.take_over(now);
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
