//! Every interleaving, within bounds, of two gates, a guard and a network that loses, repeats and reorders.

use std::collections::BTreeMap;

use shared::Millis;
use shared::message::KeyAnswer;
use shared::record::{KeyRecord, RateLimits};
use shared::window::Window;
use stateright::{Model, Property};

use crate::quota::gate::{Event, Gate, Step};
use crate::quota::guard::Guard;
use crate::quota::{Answer, Call, Mutation, record};

/// When it all begins: half a second into a bucket, so that steps of half a second end on and between buckets.
const START: Millis = 20_000 * 86_400_000 + 36_000_500;
/// A small step of time: half a lease.
const TICK_MS: Millis = 500;
const LEASE_MS: Millis = 1_000;
/// A leap of time: to where the first units may leave the window, or not yet.
const LEAP_MS: Millis = 60_000;
const SPAN_MS: Millis = 60_000;
/// How the gates' clocks differ from the guard's.
const OFFSETS: [i64; 2] = [3_600_000, -7_200_250];

/// How often each thing may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// Requests that arrive at the gates.
    pub requests: u8,
    /// Small steps of time.
    pub ticks: u8,
    /// Leaps of time.
    pub leaps: u8,
    /// Reports sent by a timer, beside those that ride on requests.
    pub reports: u8,
    /// Faults: messages lost, messages repeated, gates killed, crashes of the guard.
    pub faults: u8,
}

/// The model.
#[derive(Debug, Clone)]
pub struct Quota {
    /// Units in any 60 s.
    pub limit: u32,
    /// Whether every request asks the guard.
    pub strict: bool,
    /// What requests may cost.
    pub costs: Vec<u32>,
    /// How often things may happen.
    pub bounds: Bounds,
    /// A fault built in.
    pub mutation: Mutation,
}

/// A state of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    now: Millis,
    gates: Vec<Gate>,
    guard: Guard,
    calls: BTreeMap<CallId, Call>,
    answers: BTreeMap<AnswerId, Answer>,
    /// True time and cost, in the order in which callers saw it.
    admitted: Vec<(Millis, u32)>,
    granted: u32,
    given_back: u32,
    left: Bounds,
}

/// A gate, and which of its calls.
type CallId = (u32, u32);
/// A call, and the lease granted if any: a call that was repeated may be answered twice.
type AnswerId = (CallId, u64);

/// A step of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A request arrives at a gate.
    Request {
        /// Which.
        gate: usize,
        /// Its cost.
        cost: u32,
    },
    /// A gate's timer for reports fires.
    Report(usize),
    /// Time passes.
    Pass(Millis),
    /// A call reaches the guard, which answers it and lives or crashes. (A crash at another time loses
    /// nothing that matters: what was answered is kept.)
    Call(CallId, bool),
    /// An answer reaches its gate.
    Answer(AnswerId),
    /// A call reaches the guard, and is on its way again.
    RepeatCall(CallId),
    /// A call is lost.
    LoseCall(CallId),
    /// An answer is lost.
    LoseAnswer(AnswerId),
    /// A gate dies with its memory; another starts in its place.
    Kill(usize),
}

impl Quota {
    fn record(&self) -> KeyRecord {
        record(1, self.limits(), self.strict)
    }

    fn limits(&self) -> RateLimits {
        RateLimits {
            requests_per_minute: Some(self.limit),
            ..RateLimits::default()
        }
    }

    fn suffer(&self, state: &mut State, fault: Action) -> Option<()> {
        match fault {
            Action::RepeatCall(id) => {
                let call = state.calls.get(&id)?.clone();
                state.handle(&call, &self.record(), false);
            }
            Action::LoseCall(id) => {
                state.calls.remove(&id)?;
                state.fail(id);
            }
            Action::LoseAnswer(id) => {
                state.answers.remove(&id)?;
                state.fail(id.0);
            }
            Action::Kill(gate) => {
                let id = state.gates[gate].id + 2;
                state.gates[gate] = Gate::new(id, LEASE_MS, self.mutation);
            }
            _ => {}
        }
        Some(())
    }
}

impl Model for Quota {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            now: START,
            gates: (0..2)
                .map(|id| Gate::new(id, LEASE_MS, self.mutation))
                .collect(),
            guard: Guard::new(self.mutation),
            calls: BTreeMap::new(),
            answers: BTreeMap::new(),
            admitted: Vec::new(),
            granted: 0,
            given_back: 0,
            left: self.bounds,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let left = &state.left;
        let (calls, answers) = (state.calls.keys(), state.answers.keys());
        actions.extend(calls.clone().map(|id| Action::Call(*id, false)));
        actions.extend(answers.clone().map(|id| Action::Answer(*id)));
        let first = left.requests == self.bounds.requests;
        for gate in 0..state.gates.len() {
            // The gates are alike, so the first request may as well come to the first of them; and before
            // it there is nothing to report, to lose or to expire.
            if left.requests > 0 && (gate == 0 || !first) {
                let costs = self.costs.iter().copied();
                actions.extend(costs.map(|cost| Action::Request { gate, cost }));
            }
            actions.extend((left.reports > 0 && !first).then_some(Action::Report(gate)));
            actions.extend((left.faults > 0 && !first).then_some(Action::Kill(gate)));
        }
        actions.extend((left.ticks > 0).then_some(Action::Pass(TICK_MS)));
        actions.extend((left.leaps > 0 && !first).then_some(Action::Pass(LEAP_MS)));
        if left.faults > 0 {
            for id in calls.copied() {
                actions.extend([
                    Action::Call(id, true),
                    Action::RepeatCall(id),
                    Action::LoseCall(id),
                ]);
            }
            for id in answers.copied() {
                actions.push(Action::LoseAnswer(id));
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Request { gate, cost } => {
                state.left.requests -= 1;
                let now = state.clock(gate);
                let step = state.gates[gate].request(now, cost);
                state.follow(step);
            }
            Action::Report(gate) => {
                state.left.reports -= 1;
                let now = state.clock(gate);
                let call = state.gates[gate].report(now)?;
                state.send(call);
            }
            Action::Pass(TICK_MS) => {
                state.left.ticks -= 1;
                state.pass(TICK_MS);
            }
            Action::Pass(ms) => {
                state.left.leaps -= 1;
                state.pass(ms);
            }
            Action::Call(id, crash) => {
                state.left.faults -= u8::from(crash);
                let call = state.calls.remove(&id)?;
                state.handle(&call, &self.record(), crash);
            }
            Action::Answer(id) => {
                let answer = state.answers.remove(&id)?;
                state.arrive(&answer);
            }
            fault => {
                state.left.faults -= 1;
                self.suffer(&mut state, fault)?;
            }
        }
        state.drop_idle_answers();
        Some(state)
    }

    /// When no request will come and none waits, nothing can be admitted any more.
    fn within_boundary(&self, state: &State) -> bool {
        state.left.requests > 0 || state.gates.iter().any(Gate::has_waiting)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("never over the limit", State::is_within_limit),
            Property::always(
                "the ledger counts what was admitted, up to the limit",
                State::is_counted,
            ),
            Property::always("nothing is negative", State::is_nowhere_negative),
            Property::sometimes("the limit is fully spent", State::is_fully_spent),
            Property::sometimes("a lease ends unreported", State::has_an_unreported_lease),
            Property::sometimes(
                "units are given back and spent again",
                State::has_spent_units_given_back,
            ),
            Property::sometimes(
                "units leave the window and are spent again",
                State::has_spent_more_than_once,
            ),
        ]
    }
}

/// What the properties say.
impl State {
    fn is_within_limit(model: &Quota, state: &Self) -> bool {
        state.fullest() <= model.limit
    }

    fn is_counted(model: &Quota, state: &Self) -> bool {
        let used = model.limit - state.unused(model);
        state.recent() <= used && used <= model.limit
    }

    fn is_nowhere_negative(_: &Quota, state: &Self) -> bool {
        let given_back = state.granted.checked_sub(state.given_back);
        given_back.is_some_and(|out| state.spent() <= out)
    }

    fn is_fully_spent(model: &Quota, state: &Self) -> bool {
        state.fullest() == model.limit
    }

    fn has_an_unreported_lease(_: &Quota, state: &Self) -> bool {
        let mut ends = state.guard.memory.open.values();
        ends.any(|end| *end <= state.now)
    }

    /// More was granted than the limit, within one window: some of it was the same units.
    fn has_spent_units_given_back(model: &Quota, state: &Self) -> bool {
        let one_window = state.now < START + SPAN_MS;
        one_window && state.granted > model.limit && state.spent() == model.limit
    }

    fn has_spent_more_than_once(model: &Quota, state: &Self) -> bool {
        state.spent() > model.limit
    }
}

impl State {
    fn clock(&self, gate: usize) -> Millis {
        self.now.saturating_add_signed(OFFSETS[gate])
    }

    /// Gates see the time pass, so that two that hold the same are the same.
    fn pass(&mut self, ms: Millis) {
        self.now += ms;
        for place in 0..self.gates.len() {
            let now = self.clock(place);
            self.gates[place].purse.is_current(now);
        }
    }

    fn send(&mut self, call: Call) {
        self.calls.insert((call.gate, call.id), call);
    }

    fn follow(&mut self, step: Step) {
        for event in step.events {
            match event {
                Event::Paid { cost } => self.admitted.push((self.now, cost)),
                Event::Granted {
                    paid, decided_at, ..
                } if paid > 0 => {
                    self.admitted.push((decided_at, paid));
                }
                _ => {}
            }
        }
        if let Some(call) = step.call {
            self.send(call);
        }
    }

    fn handle(&mut self, call: &Call, record: &KeyRecord, crash: bool) {
        let handled = self
            .guard
            .handle(call, self.now, self.now, record, LEASE_MS);
        self.given_back += handled.settled.iter().map(|(_, _, back)| back).sum::<u32>();
        if let Some(KeyAnswer::Granted { units, .. }) = &handled.answer.key {
            self.granted += units;
        }
        let early = self.guard.early();
        self.depart(early);
        if crash {
            for lost in self.guard.restart() {
                self.fail((lost.gate, lost.call));
            }
        } else {
            let kept = self.guard.keep();
            self.depart(kept);
        }
    }

    fn depart(&mut self, answers: Vec<Answer>) {
        for mut answer in answers {
            let mut grant = 0;
            match &mut answer.key {
                Some(KeyAnswer::Granted {
                    lease, standing, ..
                }) => {
                    // For headers only; it would tell states apart that act alike.
                    standing.clear();
                    grant = *lease;
                }
                Some(KeyAnswer::Exhausted { standing, .. }) => standing.clear(),
                _ => {}
            }
            self.answers
                .insert(((answer.gate, answer.call), grant), answer);
        }
    }

    /// The runtime matches answers to calls: one that nobody waits for any more goes nowhere, so a repeated
    /// answer does nothing.
    fn drop_idle_answers(&mut self) {
        let gates = &self.gates;
        self.answers.retain(|_, answer| {
            let gate = gates.iter().find(|gate| gate.id == answer.gate);
            gate.is_some_and(|gate| gate.awaits(answer.call))
        });
    }

    fn arrive(&mut self, answer: &Answer) {
        if let Some(place) = self.gates.iter().position(|gate| gate.id == answer.gate) {
            let now = self.clock(place);
            let step = self.gates[place].answer(now, answer);
            self.follow(step);
        }
    }

    fn fail(&mut self, (gate, call): CallId) {
        if let Some(gate) = self.gates.iter_mut().find(|g| g.id == gate) {
            gate.fail(call);
        }
    }

    /// Units in the fullest rolling window.
    fn fullest(&self) -> u32 {
        let sum = |start: Millis| {
            let within = self
                .admitted
                .iter()
                .filter(|(at, _)| start <= *at && *at < start + SPAN_MS);
            within.map(|(_, cost)| cost).sum()
        };
        self.admitted
            .iter()
            .map(|(at, _)| sum(*at))
            .max()
            .unwrap_or(0)
    }

    /// Units admitted in the window that ends now.
    fn recent(&self) -> u32 {
        let recent = self
            .admitted
            .iter()
            .filter(|(at, _)| self.now < at + SPAN_MS);
        recent.map(|(_, cost)| cost).sum()
    }

    /// Units admitted in all.
    fn spent(&self) -> u32 {
        self.admitted.iter().map(|(_, cost)| cost).sum()
    }

    /// Units that the guard would still grant.
    fn unused(&self, model: &Quota) -> u32 {
        let standing = self.guard.memory.ledger.standing(self.now, &model.limits());
        let minute = standing.iter().find(|s| s.window == Window::Minute);
        minute.map_or(0, |s| s.left)
    }
}
