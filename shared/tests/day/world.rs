//! Sixteen hours: what happens when, drawn from a seed.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use shared::Millis;
use shared::message::{KeyAsk, Report};
use shared::policy::Policy;
use shared::record::{ApiRecord, RateLimits};
use shared::report::PATIENCE_MS;
use shared::window::{DAY_MS, Window};

use super::Mutation;
use super::gate::{Gate, Request, Step};
use super::guard::Guard;
use super::log::Log;
use super::network::{Answer, LOOK_EVERY_MS, UnderWay, Waiting};
use super::record::{LEASE_MS, api, key, token};
use super::together::Together;
use super::upsets::limits;

pub const HOUR: Millis = 3_600_000;
/// Half of them before midnight, half after: the midnight after the last of October 2024.
const START: Millis = 20_027 * DAY_MS + 16 * HOUR;
const LENGTH: Millis = 16 * HOUR;
pub const GATES: usize = 4;
pub const KEYS: usize = 2;
pub const IDENTITIES: usize = 2;
const FLUSH_MS: Millis = 1_050;
/// A refusal may rest on an answer that took this long.
const SLOW: Millis = 4_000;

/// Something that happens.
#[derive(Debug)]
#[allow(missing_docs, reason = "they are what they are called")]
pub enum Event {
    Phase,
    Arrival {
        phase: u64,
    },
    Admin,
    Fault,
    Flush(u64),
    Call {
        id: u64,
        gate: u64,
        ask: Option<KeyAsk>,
        report: Option<Report>,
    },
    Answer {
        id: u64,
        answer: Answer,
    },
    Fail(u64),
    Look(u64),
}

/// How often a run reached what it is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are what they are called")]
pub struct Seen {
    pub paid: u64,
    pub granted: u64,
    pub limited: u64,
    pub followed: u64,
    pub bad_key: u64,
    pub unavailable: u64,
    pub limits: u64,
    pub states: u64,
    pub rotations: u64,
    pub modes: u64,
    pub identities: u64,
    pub plans: u64,
    pub credits: u64,
    pub quota_limited: u64,
    pub identity_limited: u64,
    pub deaths: u64,
    pub restarts: u64,
    pub gate_steps: u64,
    pub guard_steps: u64,
}

impl Seen {
    /// All of it happened.
    pub fn assert_reached(&self) {
        assert!(self.paid > 1_000 && self.granted > 1_000 && self.limited > 1_000);
        assert!(self.bad_key > 100 && self.unavailable > 10 && self.followed > 100);
        assert!(
            self.limits
                .min(self.states)
                .min(self.rotations)
                .min(self.modes)
                > 10
        );
        assert!(self.identities.min(self.plans).min(self.credits) > 10);
        assert!(self.quota_limited > 100 && self.identity_limited > 100);
        assert!(
            self.deaths
                .min(self.restarts)
                .min(self.gate_steps)
                .min(self.guard_steps)
                > 5
        );
    }
}

/// All of it. True time is in milliseconds, and so are all clocks.
pub struct World {
    pub now: Millis,
    pub rng: Pcg64,
    pub gates: Vec<Gate>,
    pub guard: Guard,
    pub logs: Vec<Log>,
    pub together: Together,
    pub waiting: BTreeMap<u64, Waiting>,
    pub under_way: BTreeMap<u64, UnderWay>,
    agenda: BTreeMap<(Millis, u64), Event>,
    ids: u64,
    pub guard_ahead: Millis,
    pub guard_steps: Vec<Millis>,
    api: ApiRecord,
    /// How many tokens each key has had.
    pub tokens: [u32; KEYS],
    /// Requests a second, and which phase this is.
    rate: f64,
    phase: u64,
    pub counts: BTreeMap<u64, (u64, u64, bool)>,
    pub seen: Seen,
}

impl World {
    /// A world in which nothing has happened.
    pub fn new(seed: u64, mutation: Mutation) -> Self {
        let mut rng = Pcg64::seed_from_u64(seed);
        let records = (0..KEYS).map(|n| key(n, limits(&mut rng))).collect();
        let mut world = Self {
            now: START,
            gates: Vec::new(),
            guard: Guard::new(records, IDENTITIES, mutation),
            together: Together::new(IDENTITIES),
            logs: (0..KEYS).map(|_| Log::default()).collect(),
            waiting: BTreeMap::new(),
            under_way: BTreeMap::new(),
            agenda: BTreeMap::new(),
            ids: 0,
            guard_ahead: rng.random_range(0..2 * HOUR),
            guard_steps: Vec::new(),
            api: api(),
            tokens: [1; KEYS],
            rate: 1.0,
            phase: 0,
            counts: BTreeMap::new(),
            seen: Seen::default(),
            rng,
        };
        for key in 0..KEYS {
            world.guard.add_token(&token(key, 0), key);
            world.logs[key].change(1, START);
        }
        for _ in 0..GATES {
            let ahead = world.rng.random_range(0..2 * HOUR);
            let gate = world.new_gate(ahead);
            world.gates.push(gate);
        }
        world
    }

    /// Runs it to its end.
    pub fn run(mut self) -> Result<Seen, String> {
        for event in [Event::Phase, Event::Admin, Event::Fault] {
            self.put(START, event);
        }
        while let Some(((at, _), event)) = self.agenda.pop_first() {
            self.now = at;
            let over = at >= START + LENGTH;
            self.handle(event, over)
                .map_err(|why| format!("at {at}: {why}"))?;
        }
        for _ in 0..4 {
            self.report_all()?;
        }
        for log in &self.logs {
            log.check_limits(&self.guard_steps)?;
        }
        self.together.check(&self.guard_steps)?;
        self.check_usage()?;
        self.check_all_comes_back()?;
        Ok(self.seen)
    }

    pub fn put(&mut self, at: Millis, event: Event) {
        let id = self.next_id();
        self.agenda.insert((at, id), event);
    }

    pub fn next_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    pub fn gate_clock(&self, place: usize) -> Millis {
        self.now + self.gates[place].ahead
    }

    pub fn guard_clock(&self) -> Millis {
        self.now + self.guard_ahead
    }

    pub fn place_of(&self, gate: u64) -> Option<usize> {
        self.gates.iter().position(|g| g.id == gate)
    }

    pub fn new_gate(&mut self, ahead: Millis) -> Gate {
        let id = self.next_id();
        self.counts.insert(id, (0, 0, false));
        self.put(self.now + FLUSH_MS, Event::Flush(id));
        Gate::new(id, ahead)
    }

    /// About so many milliseconds.
    pub fn about(&mut self, ms: f64) -> Millis {
        let drawn: f64 = self.rng.random();
        (-(1.0 - drawn).ln() * ms) as Millis + 1
    }

    fn handle(&mut self, event: Event, over: bool) -> Result<(), String> {
        match event {
            Event::Phase
            | Event::Admin
            | Event::Fault
            | Event::Arrival { .. }
            | Event::Flush(_)
                if over => {}
            Event::Phase => self.next_phase(),
            Event::Arrival { phase } if phase != self.phase => {}
            Event::Arrival { phase } => {
                let at = self.now + self.about(1_000.0 / self.rate);
                self.put(at, Event::Arrival { phase });
                return self.arrive();
            }
            Event::Admin => self.change_something(),
            Event::Fault => return self.go_wrong(),
            Event::Flush(gate) => self.flush(gate),
            Event::Call {
                id,
                gate,
                ask,
                report,
            } => {
                self.at_guard(id, gate, ask.as_ref(), report.as_ref());
            }
            Event::Answer { id, answer } => return self.answered(id, Some(answer)),
            Event::Fail(call) => return self.answered(call, None),
            Event::Look(request) => return self.look(request),
        }
        Ok(())
    }

    fn next_phase(&mut self) {
        self.rate = [0.02, 0.2, 0.5, 1.0, 3.0, 30.0][self.rng.random_range(0..6)];
        self.phase = self.next_id();
        let length = if self.rate > 10.0 { 3_000.0 } else { 40_000.0 };
        let end = self.now + self.about(length);
        self.put(end, Event::Phase);
        self.put(self.now, Event::Arrival { phase: self.phase });
    }

    fn arrive(&mut self) -> Result<(), String> {
        let place = self.rng.random_range(0..GATES);
        let key = usize::from(self.rng.random_bool(0.3));
        let newest = self.tokens[key] - 1;
        let nth = match self.rng.random_range(0..20) {
            0 => newest + 1,
            1..4 => newest.saturating_sub(1),
            _ => newest,
        };
        let cost = match self.rng.random_range(0..10) {
            0 => self.rng.random_range(2..8),
            _ => 1,
        };
        let (id, gate) = (self.next_id(), self.gates[place].id);
        let request = Request::new(key, token(key, nth), cost);
        self.waiting.insert(id, Waiting { gate, request });
        self.step(place, id)
    }

    /// Takes a step with a request: it is decided, or asks.
    pub fn step(&mut self, place: usize, id: u64) -> Result<(), String> {
        let (now, ledger_now) = (self.gate_clock(place), self.guard_clock());
        let Some(waiting) = self.waiting.get_mut(&id) else {
            return Ok(());
        };
        let step = self.gates[place].step(&mut waiting.request, &self.api, now)?;
        let request = waiting.request.clone();
        let log = &mut self.logs[request.key];
        match &step {
            Step::Ask(need) => {
                self.ask(place, request.token, *need, Some(id));
                return Ok(());
            }
            Step::Wait => {
                self.seen.followed += 1;
                self.put(self.now + LOOK_EVERY_MS, Event::Look(id));
                return Ok(());
            }
            Step::Paid { version, parts, .. } => {
                self.seen.paid += 1;
                log.check_version(*version, self.now, 0)?;
                let at = (self.now, ledger_now);
                for (grant, units) in parts {
                    log.admit(at.0, at.1, *units, *grant);
                    let of = (request.key, *grant);
                    self.together.admit(of, Some(at), *units);
                }
            }
            Step::Granted { version, grant } => {
                self.seen.granted += 1;
                log.check_version(*version, self.now, 0)?;
                log.admit_decided(request.cost, *grant);
                let of = (request.key, *grant);
                self.together.admit(of, None, request.cost);
            }
            Step::BadKey(version) => {
                self.seen.bad_key += 1;
                if *version > 0 {
                    log.check_version(*version, self.now, SLOW)?;
                }
            }
            Step::Limited(violated) => {
                let is_identity = |policy: &Policy| matches!(policy, Policy::Identity(_));
                self.seen.limited += 1;
                self.seen.quota_limited += u64::from(violated.iter().any(|p| p.is_quota()));
                self.seen.identity_limited += u64::from(violated.iter().any(is_identity));
            }
            Step::Unavailable => self.seen.unavailable += 1,
        }
        if let Step::Paid { renew: true, .. } = step {
            self.ask(place, request.token, 1, None);
        }
        self.waiting.remove(&id);
        let gate = &mut self.gates[place];
        gate.count(&request, &step, now);
        let counts = self.counts.entry(gate.id).or_default();
        counts.0 += 1;
        if matches!(step, Step::Paid { .. } | Step::Granted { .. }) {
            counts.1 += u64::from(request.cost);
        }
        Ok(())
    }

    fn flush(&mut self, id: u64) {
        let Some(place) = self.place_of(id) else {
            return;
        };
        let now = self.gate_clock(place);
        let gate = &mut self.gates[place];
        gate.settle(now);
        if let Some(report) = gate.reporter.take(now) {
            self.send(place, None, None, Some(report));
        }
        self.put(self.now + FLUSH_MS, Event::Flush(id));
    }

    /// Time enough passes for leases to end and cut-off calls to be given up; then every gate reports.
    fn report_all(&mut self) -> Result<(), String> {
        self.now += PATIENCE_MS + LEASE_MS;
        for place in 0..GATES {
            let now = self.gate_clock(place);
            let gate = &mut self.gates[place];
            gate.settle(now);
            if let Some(report) = gate.reporter.take(now) {
                let id = gate.id;
                self.guard
                    .call(id, None, Some(&report), self.now + self.guard_ahead);
                self.gates[place].reporter.acknowledge(report.seq);
            }
        }
        Ok(())
    }

    /// Every request was counted once; a gate that died may have taken some along.
    fn check_usage(&self) -> Result<(), String> {
        for (gate, (requests, cost, died)) in &self.counts {
            let taken = self.guard.usage.get(gate).copied().unwrap_or_default();
            let right = match died {
                true => taken.0 <= *requests && taken.1 <= *cost,
                false => taken == (*requests, *cost),
            };
            if !right {
                return Err(format!(
                    "gate {gate} counted {requests}, {cost}; taken {taken:?}"
                ));
            }
        }
        Ok(())
    }

    /// Time enough later, every unit has left every window.
    fn check_all_comes_back(&self) -> Result<(), String> {
        let all = RateLimits {
            requests_per_minute: Some(u32::MAX),
            requests_per_hour: Some(u32::MAX),
            requests_per_day: Some(u32::MAX),
        };
        for row in &self.guard.rows {
            let later = self.guard_clock() + 2 * Window::Day.span();
            for standing in row.ledger.standing(later, &all) {
                if standing.left < standing.limit {
                    return Err(format!("units never leave: {standing:?}"));
                }
            }
        }
        Ok(())
    }
}
