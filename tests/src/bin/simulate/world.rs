//! The world: locations with their gates, the requests that reach them, and what becomes of those.

use std::collections::BTreeMap;
use std::rc::Rc;

use shared::Millis;
use shared::lease::Asked;
use shared::record::KeyRecord;

use crate::event::{Agenda, Event};
use crate::gate::{Gate, Request, Step};
use crate::guard::Guard;
use crate::load::{Load, SECOND};
use crate::oracle::{Log, Micros};
use crate::scenario::{Scenario, WARM_UP_S};

/// How long after a lease's end the flusher looks, and how long it waits at most, as in the Worker.
const FLUSH_SLACK_MS: Millis = 50;
const FLUSH_PAUSE_MS: Millis = 1_000;
/// Between an answer and the look of those that wait for it, at most, in microseconds.
const LOOK_EVERY: Micros = 5_000;
/// Clocks of locations differ by up to this.
const CLOCKS: Micros = 10 * SECOND;

/// A call of which nothing was heard yet.
#[derive(Debug)]
pub struct UnderWay {
    pub gate: u64,
    pub location: usize,
    /// The key asked about, and the question.
    pub asked: Option<(usize, Asked)>,
    pub request: Option<u64>,
    pub reports: bool,
    /// Whether the guard has it.
    pub arrived: bool,
}

/// A request that is not decided.
#[derive(Debug)]
pub struct Waiting {
    pub request: Request,
    pub arrived_at: Micros,
    /// When the guard decided about it.
    pub decided_at: Micros,
    /// Whether the question that it waited for is answered.
    pub resumes: bool,
}

/// What was counted in the measured time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests.
    pub requests: u64,
    /// Those that passed.
    pub passed: u64,
    /// Those refused for quota.
    pub refused: u64,
    /// Those refused because the guard could not be asked.
    pub unavailable: u64,
    /// Calls of the guard.
    pub calls: u64,
    /// How many of those that passed waited so many milliseconds.
    pub waits: Vec<u64>,
}

/// All of it.
pub struct World {
    pub(crate) now: Micros,
    pub(crate) agenda: Agenda,
    pub(crate) scenario: Scenario,
    pub(crate) load: Load,
    record: Rc<KeyRecord>,
    pub(crate) guard: Guard,
    pub(crate) guard_up: bool,
    pub(crate) gates: Vec<Gate>,
    /// Where a gate is, as long as it lives.
    pub(crate) places: BTreeMap<u64, usize>,
    offsets: Vec<Micros>,
    pub(crate) waiting: BTreeMap<u64, Waiting>,
    /// Requests that wait for another's question, by gate and key.
    followers: BTreeMap<(u64, usize), Vec<u64>>,
    pub(crate) under_way: BTreeMap<u64, UnderWay>,
    ids: u64,
    /// What became of requests, by key: admitted when the guard decided so, or when it was paid from a lease.
    pub logs: Vec<Log>,
    /// The same, as seen where the requests passed.
    pub seen: Vec<Log>,
    /// Counts.
    pub counts: Counts,
    /// The largest ledger as stored, in bytes.
    pub largest_ledger: usize,
}

impl World {
    /// Runs a scenario to its end.
    pub fn run(scenario: &Scenario) -> Self {
        let mut world = Self::new(scenario);
        for location in 0..scenario.locations {
            let first = world.load.next_arrival(location, 0);
            world.agenda.put(first, Event::Arrival(location));
            world.schedule_death(location);
        }
        world.schedule_restart();
        let end = (WARM_UP_S + scenario.seconds) * SECOND;
        while let Some((at, event)) = world.agenda.next() {
            if at >= end {
                break;
            }
            world.now = at;
            world.handle(event);
        }
        world.guard.restart();
        world.largest_ledger = world.guard.largest;
        world
    }

    fn new(scenario: &Scenario) -> Self {
        let mut load = Load::new(scenario);
        let offsets = (0..scenario.locations)
            .map(|_| load.below(CLOCKS))
            .collect();
        let mut world = Self {
            now: 0,
            agenda: Agenda::default(),
            record: Rc::new(record(scenario)),
            guard: Guard::new(scenario.keys, record(scenario), scenario.lease_ms),
            guard_up: true,
            gates: Vec::new(),
            places: BTreeMap::new(),
            offsets,
            waiting: BTreeMap::new(),
            followers: BTreeMap::new(),
            under_way: BTreeMap::new(),
            ids: 0,
            logs: vec![Log::default(); scenario.keys],
            seen: vec![Log::default(); scenario.keys],
            counts: Counts::default(),
            largest_ledger: 0,
            load,
            scenario: scenario.clone(),
        };
        for location in 0..scenario.locations {
            let gate = world.new_gate(location);
            world.gates.push(gate);
        }
        world
    }

    pub(crate) fn next_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    pub(crate) fn new_gate(&mut self, location: usize) -> Gate {
        let id = self.next_id();
        self.places.insert(id, location);
        Gate::new(id, Rc::clone(&self.record), self.scenario.lease_ms)
    }

    pub(crate) fn measured(&self) -> bool {
        self.now >= WARM_UP_S * SECOND
    }

    /// What a location's clock reads: whole milliseconds.
    pub(crate) fn clock(&self, location: usize) -> Millis {
        (self.now + self.offsets[location]) / 1_000
    }

    /// What the guard's clock reads.
    pub(crate) fn guard_clock(&self) -> Millis {
        (self.now + CLOCKS / 2) / 1_000
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Arrival(location) => self.arrive(location),
            Event::Resume { gate, request } => {
                if let Some(location) = self.places.get(&gate).copied()
                    && self.unfollow(gate, request)
                {
                    self.look_again(location, request);
                }
            }
            Event::Call { call, id } => self.at_guard(&call, id),
            Event::Answer { call, answer } => self.answered(call, Some(answer)),
            Event::Fail(call) => self.answered(call, None),
            Event::Flush(gate) => self.flush(gate),
            Event::Dies(location) => self.die(location),
            Event::GuardDown => self.guard_down(),
            Event::GuardUp => self.guard_up = true,
        }
    }

    fn arrive(&mut self, location: usize) {
        let next = self.load.next_arrival(location, self.now);
        self.agenda.put(next, Event::Arrival(location));
        let key = self.load.key();
        let cost = self.load.one_of(&self.scenario.costs);
        self.counts.requests += u64::from(self.measured());
        let id = self.next_id();
        let waiting = Waiting {
            request: Request::new(key, cost),
            arrived_at: self.now,
            decided_at: 0,
            resumes: false,
        };
        self.waiting.insert(id, waiting);
        self.step(location, id);
    }

    /// Takes a step with a request: it is decided, asks or waits.
    pub(crate) fn step(&mut self, location: usize, id: u64) {
        let now = self.clock(location);
        let Some(waiting) = self.waiting.get_mut(&id) else {
            return;
        };
        let gate = &mut self.gates[location];
        let (key, cost) = (waiting.request.key, waiting.request.cost);
        let step = gate.step(&mut waiting.request, now);
        match step {
            Step::Ask => return self.ask(location, key, cost, Some(id)),
            Step::Wait(until) => return self.follow(location, id, until),
            Step::Paid { renew } => {
                if renew {
                    self.ask(location, key, 1, None);
                }
                self.admit(id, self.now);
            }
            Step::Granted => {
                let decided_at = waiting.decided_at;
                self.admit(id, decided_at);
            }
            Step::Refused => {
                self.counts.refused += u64::from(self.measured());
                self.logs[key].refused.push((self.now, cost));
            }
            Step::Unavailable => self.counts.unavailable += u64::from(self.measured()),
        }
        self.waiting.remove(&id);
        self.gates[location].count(key, step, cost, now);
        self.start_flusher(location);
    }

    fn admit(&mut self, id: u64, at: Micros) {
        let Some(waiting) = self.waiting.get(&id) else {
            return;
        };
        let (key, cost) = (waiting.request.key, waiting.request.cost);
        self.logs[key].admitted.push((at, cost));
        self.seen[key].admitted.push((self.now, cost));
        if self.measured() {
            self.counts.passed += 1;
            let waited = usize::try_from((self.now - waiting.arrived_at) / 1_000).unwrap_or(0);
            let waits = &mut self.counts.waits;
            waits.resize(waits.len().max(waited + 1), 0);
            waits[waited] += 1;
        }
    }

    /// A request waits for another's question, until then at the latest.
    fn follow(&mut self, location: usize, id: u64, until: Millis) {
        let Some(waiting) = self.waiting.get_mut(&id) else {
            return;
        };
        waiting.resumes = false;
        let (gate, key) = (self.gates[location].id, waiting.request.key);
        self.followers.entry((gate, key)).or_default().push(id);
        let at = self.now + until.saturating_sub(self.clock(location)) * 1_000;
        self.agenda.put(at, Event::Resume { gate, request: id });
    }

    /// A request that waited for another's question goes on, unless it was a third's that was answered.
    fn look_again(&mut self, location: usize, id: u64) {
        let now = self.clock(location);
        let Some(waiting) = self.waiting.get_mut(&id) else {
            return;
        };
        match self.gates[location].awaited(&mut waiting.request, now) {
            Some(until) => self.follow(location, id, until),
            None => self.step(location, id),
        }
    }

    /// Whether a request still waits for another's question, or has waited for one that is answered.
    fn unfollow(&mut self, gate: u64, id: u64) -> bool {
        let Some(waiting) = self.waiting.get_mut(&id) else {
            return false;
        };
        let followed = std::mem::take(&mut waiting.resumes);
        let list = self.followers.get_mut(&(gate, waiting.request.key));
        let follows = list.is_some_and(|list| {
            let before = list.len();
            list.retain(|other| *other != id);
            list.len() < before
        });
        followed || follows
    }

    /// A question about a key was answered, or failed: the one that waited goes on, and so do those that followed it.
    pub(crate) fn after_call(&mut self, location: usize, request: Option<u64>, key: usize) {
        let gate = self.gates[location].id;
        for request in self.followers.remove(&(gate, key)).unwrap_or_default() {
            let at = self.now + self.load.below(LOOK_EVERY);
            if let Some(waiting) = self.waiting.get_mut(&request) {
                waiting.resumes = true;
            }
            self.agenda.put(at, Event::Resume { gate, request });
        }
        match request {
            Some(id) => self.step(location, id),
            None => self.start_flusher(location),
        }
    }

    fn start_flusher(&mut self, location: usize) {
        let gate = &mut self.gates[location];
        if !gate.flushing && !gate.is_settled() {
            gate.flushing = true;
            let gate = gate.id;
            self.flush_later(gate);
        }
    }

    fn flush_later(&mut self, gate: u64) {
        let pause = FLUSH_SLACK_MS + self.scenario.lease_ms.min(FLUSH_PAUSE_MS);
        self.agenda
            .put(self.now + 1_000 * pause, Event::Flush(gate));
    }

    fn flush(&mut self, id: u64) {
        let Some(location) = self.places.get(&id).copied() else {
            return;
        };
        let now = self.clock(location);
        let gate = &mut self.gates[location];
        gate.flushing = gate.settle_all(now);
        let more = gate.flushing;
        let report = gate.reporter.take(now);
        if report.is_some() {
            self.send(location, None, None, report);
        }
        if more {
            self.flush_later(id);
        }
    }
}

fn record(scenario: &Scenario) -> KeyRecord {
    let enforcement = if scenario.strict { "strict" } else { "leased" };
    let record = serde_json::json!({
        "id": "key", "version": 1, "account": "acc_Ab3dE6gH", "environment": "production", "state": "active",
        "credentials": [], "limits": { "requestsPerMinute": scenario.limit }, "enforcement": enforcement,
    });
    serde_json::from_value(record).expect("a record")
}
