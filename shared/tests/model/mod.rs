//! Every interleaving, within bounds, of two gates, a guard and a network that loses, repeats and reorders.

mod state;

use shared::Millis;
use shared::record::{KeyRecord, RateLimits};
use stateright::{Model, Property};

use crate::quota::gate::Gate;
use crate::quota::{Mutation, record};
use state::{AnswerId, CallId, LEAP_MS, LEASE_MS, State, TICK_MS};

/// How often each thing may happen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
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

/// The property that it is all about.
pub const NEVER_OVER: &str = "never over the limit";
/// What must be reachable, or nothing was checked.
pub const FULLY_SPENT: &str = "the limit is fully spent";
/// Likewise.
pub const UNREPORTED: &str = "a lease ends unreported";
/// Likewise.
pub const GIVEN_BACK: &str = "units are given back and spent again";
/// Likewise.
pub const SPENT_AGAIN: &str = "units leave the window and are spent again";

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
        let limits = RateLimits {
            requests_per_minute: Some(self.limit),
            ..RateLimits::default()
        };
        record(1, limits, self.strict)
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
        vec![State::new(self)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let left = &state.left;
        // When no request will come and none waits, nothing can be admitted any more.
        if left.requests == 0 && !state.is_awaited() {
            return;
        }
        let (calls, answers) = (state.calls.keys(), state.answers.keys());
        actions.extend(calls.clone().map(|id| Action::Call(*id, false)));
        actions.extend(answers.clone().map(|id| Action::Answer(*id)));
        let first = left.requests == self.bounds.requests;
        for gate in 0..state.gates.len() {
            // The gates are alike, so the first request may as well come to the first of them.
            if left.requests > 0 && (gate == 0 || !first) {
                let costs = self.costs.iter().copied();
                actions.extend(costs.map(|cost| Action::Request { gate, cost }));
            }
            // A gate that has made no call has nothing to report and nothing to lose.
            if state.gates[gate].calls > 0 {
                actions.extend((left.reports > 0).then_some(Action::Report(gate)));
                actions.extend((left.faults > 0).then_some(Action::Kill(gate)));
            }
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

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NEVER_OVER, State::is_within_limit),
            Property::always(
                "the ledger counts what was admitted, up to the limit",
                State::is_counted,
            ),
            Property::always("nothing is negative", State::is_nowhere_negative),
            Property::sometimes(FULLY_SPENT, State::is_fully_spent),
            Property::sometimes(UNREPORTED, State::has_an_unreported_lease),
            Property::sometimes(GIVEN_BACK, State::has_spent_units_given_back),
            Property::sometimes(SPENT_AGAIN, State::has_spent_more_than_once),
        ]
    }
}
