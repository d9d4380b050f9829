//! What lies between gates and the guard: calls and answers that take their time, get lost or come twice.

use rand::RngExt;
use shared::Millis;
use shared::message::{KeyAnswer, KeyAsk, Report};
use shared::token::KeyHash;

use super::gate::{Asked, Request};
use super::world::{Event, World};

/// The share of messages that get lost, and of calls that come twice.
const FAULTS: f64 = 0.01;
/// When a gate is told that a message got lost, if it is.
const TOLD_AFTER: Millis = 1_000;

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
        let (asked, ask, report) = self.gates[place].ask(token, need, now);
        self.send(place, Some((asked, ask)), request, report);
    }

    /// A gate calls the guard.
    pub fn send(
        &mut self,
        place: usize,
        ask: Option<(Asked, KeyAsk)>,
        request: Option<u64>,
        report: Option<Report>,
    ) {
        let gate = self.gates[place].id;
        let id = self.next_id();
        self.under_way.insert(
            id,
            UnderWay {
                gate,
                asked: ask.as_ref().map(|(asked, _)| *asked),
                request,
                reports: report.is_some(),
                arrived: false,
            },
        );
        let ask = ask.map(|(_, ask)| ask);
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
                Some(self.logs[key].grant(limits, (self.now, now), *ttl))
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
        let acknowledged = report.map(|r| r.seq);
        self.put(
            at,
            Event::Answer {
                id,
                key,
                granted,
                acknowledged,
            },
        );
    }

    /// An answer reaches its gate. One to a call that is no longer under way is not looked at.
    pub fn answered(
        &mut self,
        id: u64,
        key: Option<&KeyAnswer>,
        granted: Option<usize>,
        acknowledged: Option<u64>,
    ) -> Result<(), String> {
        let Some(call) = self.under_way.remove(&id) else {
            return Ok(());
        };
        let Some(place) = self.place_of(call.gate) else {
            return Ok(());
        };
        let now = self.gate_clock(place);
        let gate = &mut self.gates[place];
        if let Some(seq) = acknowledged {
            gate.reporter.acknowledge(seq);
        }
        let (Some(asked), Some(key)) = (call.asked, key) else {
            return Ok(());
        };
        let waiting = call.request.and_then(|id| self.waiting.get_mut(&id));
        let request = waiting.map(|waiting| &mut waiting.request);
        gate.take_in(&asked, request, key, granted, now);
        self.go_on(place, &asked, call.request)
    }

    /// A gate is told that its call failed.
    pub fn failed(&mut self, id: u64) -> Result<(), String> {
        let Some(call) = self.under_way.remove(&id) else {
            return Ok(());
        };
        let Some(place) = self.place_of(call.gate) else {
            return Ok(());
        };
        if call.reports {
            self.gates[place].reporter.fail();
        }
        let waiting = call.request.and_then(|id| self.waiting.get_mut(&id));
        waiting.into_iter().for_each(|w| w.request.failed = true);
        match call.asked {
            Some(asked) => self.go_on(place, &asked, call.request),
            None => Ok(()),
        }
    }

    fn go_on(&mut self, place: usize, asked: &Asked, request: Option<u64>) -> Result<(), String> {
        match request {
            Some(id) => self.step(place, id),
            None => {
                self.gates[place].end_renewal(&asked.token);
                Ok(())
            }
        }
    }
}
