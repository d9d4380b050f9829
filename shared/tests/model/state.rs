//! A state of the model: the real gates and guard, what is under way between them, and what was admitted.

use std::collections::BTreeMap;

use shared::Millis;
use shared::message::KeyAnswer;
use shared::record::{KeyRecord, RateLimits};

use super::{Bounds, Quota};
use crate::quota::gate::{Event, Gate, Step};
use crate::quota::guard::Guard;
use crate::quota::{Answer, Call};

/// When it all begins: half a second into a bucket, so that steps of half a second end on and between buckets.
const START: Millis = 20_000 * 86_400_000 + 36_000_500;
/// A small step of time: half a lease.
pub const TICK_MS: Millis = 500;
/// The lease time.
pub const LEASE_MS: Millis = 1_000;
/// A leap of time: to where the first units may leave the window, or not yet.
pub const LEAP_MS: Millis = 60_000;
const SPAN_MS: Millis = 60_000;
/// How the gates' clocks differ from the guard's.
const OFFSETS: [i64; 2] = [3_600_000, -7_200_250];

/// A state of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    pub(super) now: Millis,
    pub(super) gates: Vec<Gate>,
    pub(super) guard: Guard,
    pub(super) calls: BTreeMap<CallId, Call>,
    pub(super) answers: BTreeMap<AnswerId, Answer>,
    /// True time and cost, in the order in which callers saw it.
    pub(super) admitted: Vec<(Millis, u32)>,
    pub(super) granted: u32,
    pub(super) given_back: u32,
    pub(super) left: Bounds,
}

/// A gate, and which of its calls.
pub type CallId = (u32, u32);
/// A call, and the lease granted if any: a call that was repeated may be answered twice.
pub type AnswerId = (CallId, u64);

/// What the properties say.
impl State {
    pub(super) fn is_within_limit(model: &Quota, state: &Self) -> bool {
        state.fullest() <= model.limit
    }

    pub(super) fn is_counted(model: &Quota, state: &Self) -> bool {
        let used = state.used();
        state.recent() <= used && used <= model.limit
    }

    pub(super) fn is_nowhere_negative(_: &Quota, state: &Self) -> bool {
        let given_back = state.granted.checked_sub(state.given_back);
        given_back.is_some_and(|out| state.spent() <= out)
    }

    pub(super) fn is_fully_spent(model: &Quota, state: &Self) -> bool {
        state.fullest() == model.limit
    }

    pub(super) fn has_an_unreported_lease(_: &Quota, state: &Self) -> bool {
        let mut ends = state.guard.memory.open.values();
        ends.any(|end| *end <= state.now)
    }

    /// More was granted than the limit, within one window: some of it was the same units.
    pub(super) fn has_spent_units_given_back(model: &Quota, state: &Self) -> bool {
        let one_window = state.now < START + SPAN_MS;
        one_window && state.granted > model.limit && state.spent() == model.limit
    }

    pub(super) fn has_spent_more_than_once(model: &Quota, state: &Self) -> bool {
        state.spent() > model.limit
    }
}

impl State {
    /// Nothing has happened.
    pub(super) fn new(model: &Quota) -> Self {
        let gate = |id| Gate::new(id, LEASE_MS, model.mutation);
        Self {
            now: START,
            gates: (0..2).map(gate).collect(),
            guard: Guard::new(model.mutation),
            calls: BTreeMap::new(),
            answers: BTreeMap::new(),
            admitted: Vec::new(),
            granted: 0,
            given_back: 0,
            left: model.bounds,
        }
    }

    /// Whether a request waits for an answer.
    pub(super) fn is_awaited(&self) -> bool {
        let mut calls = self.gates.iter().flat_map(|gate| gate.outstanding.values());
        calls.any(|call| call.waiting.is_some())
    }

    pub(super) fn clock(&self, gate: usize) -> Millis {
        self.now.saturating_add_signed(OFFSETS[gate])
    }

    /// Gates see the time pass, so that two that hold the same are the same.
    pub(super) fn pass(&mut self, ms: Millis) {
        self.now += ms;
        for place in 0..self.gates.len() {
            let now = self.clock(place);
            self.gates[place].purse.is_current(now);
        }
    }

    pub(super) fn send(&mut self, call: Call) {
        self.calls.insert((call.gate, call.id), call);
    }

    pub(super) fn follow(&mut self, step: Step) {
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

    pub(super) fn handle(&mut self, call: &Call, record: &KeyRecord, crash: bool) {
        let handled = self
            .guard
            .handle(call, self.now, self.now, record, LEASE_MS);
        let early = self.guard.early();
        self.depart(early);
        if crash {
            for lost in self.guard.restart() {
                self.fail((lost.gate, lost.call));
            }
            return;
        }
        self.given_back += handled.settled.iter().map(|(_, _, back)| back).sum::<u32>();
        if let Some(KeyAnswer::Granted { units, .. }) = &handled.answer.key {
            self.granted += units;
        }
        let kept = self.guard.keep();
        self.depart(kept);
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
    pub(super) fn drop_idle_answers(&mut self) {
        let gates = &self.gates;
        self.answers.retain(|_, answer| {
            let gate = gates.iter().find(|gate| gate.id == answer.gate);
            gate.is_some_and(|gate| gate.outstanding.contains_key(&answer.call))
        });
    }

    pub(super) fn arrive(&mut self, answer: &Answer) {
        if let Some(place) = self.gates.iter().position(|gate| gate.id == answer.gate) {
            let now = self.clock(place);
            let step = self.gates[place].answer(now, answer);
            self.follow(step);
        }
    }

    pub(super) fn fail(&mut self, (gate, call): CallId) {
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

    /// Units that the guard's ledger counts.
    fn used(&self) -> u32 {
        let limits = RateLimits {
            requests_per_minute: Some(u32::MAX),
            ..RateLimits::default()
        };
        let standing = self.guard.memory.ledger.standing(self.now, &limits);
        let used = standing.iter().map(|s| s.limit - s.left).sum::<u64>();
        u32::try_from(used).unwrap_or(u32::MAX)
    }
}
