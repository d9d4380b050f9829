//! The guard, the gates, and the messages between them: each arrives at its time, and may overtake others.

use std::collections::BTreeMap;

use shared::Millis;
use shared::guard::{Shares, answer};
use shared::lease::QuotaRefusal;
use shared::ledger::{Ledger, Standing};
use shared::message::{KeyAnswer, KeyAsk};
use shared::read;
use shared::record::{KeyRecord, RateLimits};

use super::gate::{Call, Gate, Step, Waiting};
use super::log::Log;
use super::told::Told;
use super::{Fault, LEASE_MS};

const FLUSH_MS: Millis = 1_050;

/// What is used, from when on and by whom.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The key's limits.
    pub limits: RateLimits,
    /// Whether each request asks the guard.
    pub strict: bool,
    /// When it begins.
    pub start: Millis,
    /// How long messages to the guard and back are under way, one after the other, over and over.
    pub legs: Vec<(Millis, Millis)>,
    /// Requests: how long after the answer to the last of their gate, which gate, what they cost.
    pub requests: Vec<(Millis, usize, u32)>,
}

#[derive(Debug, Clone)]
enum Event {
    Request(usize, u32),
    AtGuard(Call),
    AtGate(Call, Option<KeyAnswer>),
    Flush(usize),
}

/// An answer to a caller.
#[derive(Debug, Clone)]
pub struct Answered {
    /// Which gate gave it.
    pub gate: usize,
    /// When.
    pub at: Millis,
    /// What the request cost.
    pub cost: u32,
    /// What the caller was told.
    pub told: Told,
}

/// Gates that share a key; time is the same for all.
#[derive(Debug, Clone)]
pub struct World {
    /// The key.
    pub record: KeyRecord,
    ledger: Ledger,
    next_lease: u64,
    /// The gates.
    pub gates: Vec<Gate>,
    events: BTreeMap<(Millis, u64), Event>,
    legs: Vec<(Millis, Millis)>,
    sent: usize,
    serial: u64,
    /// Units of leases that are not given back yet.
    leased: BTreeMap<u64, u32>,
    /// Units that a gate has taken out of its hands, on their way back, by lease.
    returning: BTreeMap<u64, u32>,
    /// Units that a renewal got in the last millisecond of a day: they could not be spent any more.
    lost: u32,
    /// What happened.
    pub log: Log,
    fault: Fault,
}

fn record(limits: RateLimits, strict: bool) -> KeyRecord {
    let record = serde_json::json!({
        "id": "key_1", "version": 1, "account": "acc_1", "environment": "prod", "state": "active", "credentials": [],
        "limits": limits, "enforcement": if strict { "strict" } else { "leased" },
    });
    read::from_str(&record.to_string()).unwrap()
}

impl World {
    /// Nothing has happened yet.
    pub fn new(setting: &Setting, gates: usize, fault: Fault) -> Self {
        let mut world = Self {
            record: record(setting.limits, setting.strict),
            ledger: Ledger::default(),
            next_lease: 0,
            gates: vec![Gate::default(); gates],
            events: BTreeMap::new(),
            legs: setting.legs.clone(),
            sent: 0,
            serial: 0,
            leased: BTreeMap::new(),
            returning: BTreeMap::new(),
            lost: 0,
            log: Log::default(),
            fault,
        };
        for (pause, gate, cost) in &setting.requests {
            world.gates[gate % gates].to_come.push_back((*pause, *cost));
        }
        for gate in 0..gates {
            world.next_request(gate, setting.start);
        }
        world
    }

    fn schedule(&mut self, at: Millis, event: Event) {
        self.serial += 1;
        self.events.insert((at, self.serial), event);
    }

    fn next_request(&mut self, gate: usize, now: Millis) {
        if let Some((pause, cost)) = self.gates[gate].to_come.pop_front() {
            self.schedule(now + pause, Event::Request(gate, cost));
        }
    }

    /// Goes on to the next answer; `None` when there are no more.
    pub fn next(&mut self) -> Option<Answered> {
        while let Some(((now, _), event)) = self.events.pop_first() {
            let answered = match event {
                Event::Request(gate, cost) => self.request(gate, now, cost),
                Event::AtGuard(call) => {
                    self.decide(call, now);
                    None
                }
                Event::AtGate(call, answer) => self.take_in(&call, answer, now),
                Event::Flush(gate) => {
                    self.flush(gate, now);
                    None
                }
            };
            if let Some(answered) = answered {
                self.next_request(answered.gate, now);
                return Some(answered);
            }
        }
        None
    }

    /// A request at that moment, where nothing else comes; and its answer.
    pub fn request_at(&mut self, gate: usize, at: Millis, cost: u32) -> Answered {
        self.schedule(at, Event::Request(gate, cost));
        self.next().unwrap()
    }

    /// This world, but for the requests to come: only so many of that cost at one gate, one after the other.
    pub fn only(&self, gate: usize, at: Millis, count: u32, cost: u32) -> Self {
        let mut then = self.clone();
        then.events
            .retain(|_, event| !matches!(event, Event::Request(..)));
        then.gates.iter_mut().for_each(|gate| gate.to_come.clear());
        then.gates[gate].to_come = (0..count).map(|_| (0, cost)).collect();
        then.next_request(gate, at);
        then
    }

    fn request(&mut self, gate: usize, now: Millis, cost: u32) -> Option<Answered> {
        let request = Waiting {
            cost,
            ..Waiting::default()
        };
        self.step(gate, now, request)
    }

    /// Takes a step with a request.
    fn step(&mut self, gate: usize, now: Millis, mut request: Waiting) -> Option<Answered> {
        let cost = request.cost;
        let step = self.gates[gate].step(&self.record, now, &mut request);
        let refusal = match step {
            Step::Paid { renew } => {
                self.log.admitted.push((now, cost));
                if renew {
                    self.ask(gate, now, 1, false);
                }
                None
            }
            // The guard decided, and it was noted then.
            Step::Granted => None,
            Step::Refused(refusal) => Some(refusal),
            Step::Ask | Step::Follow => {
                request.follows = matches!(step, Step::Follow);
                let asks = !request.follows;
                self.gates[gate].waiting = Some(request);
                if asks {
                    self.ask(gate, now, cost, true);
                }
                return None;
            }
        };
        Some(self.answered(gate, now, cost, refusal))
    }

    fn ask(&mut self, gate: usize, now: Millis, need: u32, waits: bool) {
        self.settle(gate, now);
        let call = self.gates[gate].ask(gate, now, need, waits);
        self.send(call, now);
    }

    /// Sees to it that what the gate holds is reported.
    fn flush_later(&mut self, gate: usize, now: Millis) {
        if !std::mem::replace(&mut self.gates[gate].flushing, true) {
            self.schedule(now + FLUSH_MS, Event::Flush(gate));
        }
    }

    /// Hands leases that are over to the reporter.
    fn settle(&mut self, gate: usize, now: Millis) {
        for over in self.gates[gate].settle(now) {
            let units = self.leased.remove(&over.lease).unwrap();
            self.returning.insert(over.lease, units - over.spent);
        }
    }

    fn send(&mut self, mut call: Call, now: Millis) {
        call.report = self.gates[call.gate].reporter.take(now);
        let (there, _) = self.legs[self.sent % self.legs.len()];
        self.sent += 1;
        self.schedule(now + there, Event::AtGuard(call));
    }

    fn decide(&mut self, call: Call, now: Millis) {
        for settled in call.report.iter().flat_map(|report| &report.settled) {
            self.returning.remove(&settled.lease);
            if self.fault == Fault::NothingGivenBack {
                continue;
            }
            let closed = self.ledger.close(settled.lease, now, settled.spent);
            let back = closed.map_or(0, |lease| lease.back());
            self.log.given_back.push((now, back));
        }
        let reply = call.asked.as_ref().map(|asked| self.reply(&asked.ask, now));
        let waiting = call.waiting();
        if let Some(KeyAnswer::Granted { .. }) = &reply
            && waiting > 0
        {
            self.log.admitted.push((now, waiting));
        }
        if let Some(KeyAnswer::Granted { ttl: 0, units, .. }) = reply
            && waiting == 0
        {
            self.lost += units;
        }
        let (_, back) = self.legs[self.sent % self.legs.len()];
        self.schedule(now + back, Event::AtGate(call, reply));
    }

    fn reply(&mut self, ask: &KeyAsk, now: Millis) -> KeyAnswer {
        let before = self.ledger.standing(now, &self.record.limits);
        let lease = self.next_lease;
        let record = Some(&self.record);
        let mut reply = answer(
            record,
            &mut self.ledger,
            Shares::default(),
            ask,
            lease,
            now,
            LEASE_MS,
        );
        if let KeyAnswer::Granted {
            units,
            ttl,
            standing,
            ..
        } = &mut reply
        {
            self.next_lease += 1;
            if *ttl > 0 {
                self.leased.insert(lease, *units);
            }
            if self.fault == Fault::StandingBeforeGrant {
                *standing = before;
            }
            if self.fault == Fault::EarlyReset {
                let early = |s: &Standing| Standing {
                    reset_in: s.reset_in / 2,
                    ..*s
                };
                *standing = standing.iter().map(early).collect();
            }
        }
        reply
    }

    fn take_in(&mut self, call: &Call, answer: Option<KeyAnswer>, now: Millis) -> Option<Answered> {
        self.flush_later(call.gate, now);
        let gate = &mut self.gates[call.gate];
        if let Some(report) = &call.report {
            gate.reporter.acknowledge(report.seq);
        }
        let asked = call.asked.as_ref()?;
        gate.take_in(asked, answer?, now);
        let waiting = gate.waiting.take_if(|w| w.follows || asked.waits)?;
        self.step(call.gate, now, waiting)
    }

    /// Gates report leases that are over by a timer, as long as they hold any.
    fn flush(&mut self, gate: usize, now: Millis) {
        self.settle(gate, now);
        let held = &self.gates[gate];
        let call = Call {
            gate,
            asked: None,
            report: None,
        };
        let holds = held.desk.holds();
        if !held.reporter.is_empty() {
            self.send(call, now);
        }
        let held = &mut self.gates[gate];
        held.flushing = false;
        if holds || !held.reporter.is_empty() {
            self.flush_later(gate, now);
        }
    }

    fn answered(
        &self,
        gate: usize,
        at: Millis,
        cost: u32,
        refusal: Option<QuotaRefusal>,
    ) -> Answered {
        let mut views = self.gates[gate].desk.view(at);
        if let Some(refusal) = &refusal
            && self.fault != Fault::RefusedAsPassed
        {
            views = views.of_refusal(cost, refusal);
        }
        let told = Told::of(&views, at, cost, refusal, self.record.limits);
        Answered {
            gate,
            at,
            cost,
            told,
        }
    }

    /// Units that are debited and in no gate's hands: those granted that have not arrived, and those that have ended and
    /// are not given back; and those lost.
    pub fn between(&self, now: Millis) -> u32 {
        let arriving = self.events.values().map(|event| match event {
            Event::AtGate(
                call,
                Some(KeyAnswer::Granted {
                    units, ttl: 1.., ..
                }),
            ) => units - call.waiting(),
            _ => 0,
        });
        let returning: u32 = self.returning.values().sum();
        let ended: u32 = self.gates.iter().map(|gate| gate.ended(now)).sum();
        arriving.sum::<u32>() + returning + ended + self.lost
    }
}
