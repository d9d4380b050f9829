//! What lies between gates and the guard: calls and answers that take their time, get lost or come twice.

use rand::RngExt;
use shared::Millis;
use shared::lease::Asked;
use shared::message::{KeyAnswer, KeyAsk, Report};
use shared::token::KeyHash;

use super::gate::Request;
use super::world::{Event, World};

/// The share of messages that get lost, and of calls that come twice.
const FAULTS: f64 = 0.01;
/// When a gate is told that a message got lost, if it is.
const TOLD_AFTER: Millis = 1_000;

/// How often a request looks that waits for another's question.
pub const LOOK_EVERY_MS: Millis = 5;

/// An answer on its way.
#[derive(Debug)]
pub struct Answer {
    /// What it says of the key.
    pub key: Option<KeyAnswer>,
    /// What the log calls the grant.
    pub granted: Option<usize>,
    /// The report that is kept.
    pub acknowledged: Option<u64>,
}

/// A call of which nothing was heard yet.
#[derive(Debug)]
pub struct UnderWay {
    /// Its gate.
    pub gate: u64,
    asked: Option<Asked>,
    request: Option<u64>,
    reports: bool,
    /// Whether the guard has it.
    pub arrived: bool,
}

/// A request that is not decided.
#[derive(Debug)]
pub struct Waiting {
    /// Its gate.
    pub gate: u64,
    /// The request.
    pub request: Request,
}

impl World {
    /// A gate asks; a renewal has no request that waits.
    pub fn ask(&mut self, place: usize, token: KeyHash, need: u32, request: Option<u64>) {
        let now = self.gate_clock(place);
        let (asked, report) = self.gates[place].ask(token, need, request.is_some(), now);
        self.send(place, Some(asked), request, report);
    }

    /// A gate calls the guard.
    pub fn send(
        &mut self,
        place: usize,
        asked: Option<Asked>,
        request: Option<u64>,
        report: Option<Report>,
    ) {
        let gate = self.gates[place].id;
        let id = self.next_id();
        let ask = asked.as_ref().map(|asked| asked.ask.clone());
        self.under_way.insert(
            id,
            UnderWay {
                gate,
                asked,
                request,
                reports: report.is_some(),
                arrived: false,
            },
        );
        if self.rng.random_bool(FAULTS) {
            return self.lose(id);
        }
        let times = if self.rng.random_bool(FAULTS) { 2 } else { 1 };
        for _ in 0..times {
            let at = self.now + self.way();
            let (ask, report) = (ask.clone(), report.clone());
            self.put(
                at,
                Event::Call {
                    id,
                    gate,
                    ask,
                    report,
                },
            );
        }
    }

    /// The way of a message: mostly short, now and then longer than a lease.
    fn way(&mut self) -> Millis {
        let longest = match self.rng.random_range(0..100) {
            0 => 2_000,
            1..20 => 300,
            _ => 60,
        };
        self.rng.random_range(1..=longest)
    }

    /// A message gets lost. The gate is told so, or what awaits it is cut off too.
    fn lose(&mut self, call: u64) {
        if self.rng.random_bool(0.8) {
            return self.put(self.now + TOLD_AFTER, Event::Fail(call));
        }
        let request = self.under_way.remove(&call).and_then(|call| call.request);
        request.and_then(|id| self.waiting.remove(&id));
    }

    /// A call reaches the guard.
    pub fn at_guard(&mut self, id: u64, gate: u64, ask: Option<&KeyAsk>, report: Option<&Report>) {
        let now = self.guard_clock();
        let key = self.guard.call(gate, ask, report, now);
        let granted = match (&key, ask) {
            (Some(KeyAnswer::Granted { ttl, .. }), Some(ask)) => {
                let key = self.guard.tokens[&ask.hash.to_hex()];
                let limits = self.guard.rows[key].record.limits;
                let decided = (self.now, now);
                let grant = self.logs[key].grant(limits, decided, *ttl);
                let terms = self.guard.terms(key);
                self.together.grant((key, grant), &terms, decided, *ttl);
                Some(grant)
            }
            _ => None,
        };
        if let Some(call) = self.under_way.get_mut(&id) {
            call.arrived = true;
        }
        if self.rng.random_bool(FAULTS) {
            return self.lose(id);
        }
        let at = self.now + self.way();
        let answer = Answer {
            key,
            granted,
            acknowledged: report.map(|r| r.seq),
        };
        self.put(at, Event::Answer { id, answer });
    }

    /// An answer reaches its gate; `None`: the gate is told that the call failed. One to a call that is no longer under
    /// way is not looked at.
    pub fn answered(&mut self, id: u64, answer: Option<Answer>) -> Result<(), String> {
        let Some(call) = self.under_way.remove(&id) else {
            return Ok(());
        };
        let Some(place) = self.place_of(call.gate) else {
            return Ok(());
        };
        let now = self.gate_clock(place);
        let gate = &mut self.gates[place];
        match answer.as_ref().map(|answer| answer.acknowledged) {
            Some(Some(seq)) => gate.reporter.acknowledge(seq),
            None if call.reports => gate.reporter.fail(),
            _ => {}
        }
        let Some(asked) = call.asked else {
            return Ok(());
        };
        let (key, granted) = answer.map_or((None, None), |answer| (answer.key, answer.granted));
        let waiting = call.request.and_then(|id| self.waiting.get_mut(&id));
        let request = waiting.map(|waiting| &mut waiting.request);
        gate.take_in(&asked, request, key, granted, now);
        match call.request {
            Some(id) => self.step(place, id),
            None => Ok(()),
        }
    }

    /// A request that waits for another's question looks whether that is over, and then goes on.
    pub fn look(&mut self, id: u64) -> Result<(), String> {
        let waiting = self.waiting.get(&id);
        let Some(place) = waiting.and_then(|waiting| self.place_of(waiting.gate)) else {
            return Ok(());
        };
        let now = self.gate_clock(place);
        let gate = &mut self.gates[place];
        if let Some(waiting) = self.waiting.get_mut(&id)
            && gate.waits(&mut waiting.request, now)
        {
            self.put(self.now + LOOK_EVERY_MS, Event::Look(id));
            return Ok(());
        }
        self.step(place, id)
    }
}
