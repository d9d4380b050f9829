//! Gates, a guard, the network between them and their clocks: carries operations out, and holds what the real
//! code does against the truth after each.

use std::collections::BTreeMap;

use shared::Millis;
use shared::record::KeyRecord;
use shared::report::PATIENCE_MS;

use super::checks::{Checked, Refusal};
use super::op::{Op, Start};
use super::purse::NaivePurse;
use super::truth::Truth;
use crate::quota::gate::Gate;
use crate::quota::guard::Guard;
use crate::quota::{Answer, Call, Mutation, record};

/// All of it. True time is in microseconds.
pub struct World {
    pub(super) now_us: u64,
    pub(super) guard_off_us: i64,
    /// How far the guard's clock has stepped back in all.
    pub(super) guard_stepped: Millis,
    pub(super) guard: Guard,
    pub(super) record: KeyRecord,
    pub(super) lease_ms: Millis,
    pub(super) slots: Vec<Slot>,
    pub(super) calls: Vec<Call>,
    pub(super) answers: Vec<Answer>,
    pub(super) truth: Truth,
    /// The guard's refusals, by gate and call.
    pub(super) refusals: BTreeMap<(u32, u32), Refusal>,
    pub(super) counts: BTreeMap<u32, Counted>,
    pub(super) mutation: Mutation,
    /// What was reached, for the tests of these tests.
    pub seen: Seen,
}

/// A gate, its clock, and what it should hold.
pub(super) struct Slot {
    pub(super) gate: Gate,
    pub(super) off_us: i64,
    pub(super) purse: NaivePurse,
    /// Refusals that it may repeat, by cost.
    pub(super) refusals: BTreeMap<u32, Refusal>,
}

/// What a gate has counted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counted {
    pub(super) requests: u64,
    pub(super) cost: u64,
    pub(super) killed: bool,
}

/// How often a run reached what it is about.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    /// Requests admitted by a guard's answer.
    pub granted: u64,
    /// Requests paid from a lease.
    pub paid: u64,
    /// Requests refused by the guard.
    pub refused: u64,
    /// Refusals repeated by a gate.
    pub repeated: u64,
    /// Units given back.
    pub given_back: u64,
}

impl World {
    /// A world in which nothing has happened.
    pub fn new(start: &Start, mutation: Mutation) -> Self {
        let mut world = Self {
            now_us: start.guard_us.saturating_add_signed(start.guard_off_us),
            guard_off_us: -start.guard_off_us,
            guard_stepped: 0,
            guard: Guard::new(mutation),
            record: record(1, start.limits, start.strict),
            lease_ms: start.lease_ms,
            slots: Vec::new(),
            calls: Vec::new(),
            answers: Vec::new(),
            truth: Truth::new(mutation),
            refusals: BTreeMap::new(),
            counts: BTreeMap::new(),
            mutation,
            seen: Seen::default(),
        };
        for off_us in start.gates_off_us {
            let slot = world.new_slot(off_us);
            world.slots.push(slot);
        }
        world
    }

    /// Carries out one operation, and checks.
    pub fn apply(&mut self, op: &Op) -> Checked {
        match op {
            Op::AdvanceTime(_)
            | Op::AdvanceToBoundary(..)
            | Op::AdvanceToLeaving(..)
            | Op::AdvanceToLeaseEnd(..) => self.advance(op),
            Op::GateRequest { gate, cost } => self.request(*gate, *cost)?,
            Op::Burst { gate, requests } => {
                for _ in 0..*requests {
                    self.request(*gate, 1)?;
                    self.deliver_all()?;
                }
            }
            Op::Report(gate) => self.report(*gate),
            Op::DeliverCall { pick, kept } => {
                if let Some(call) = picked(&mut self.calls, *pick) {
                    self.deliver_call(&call)?;
                }
                if *kept {
                    self.keep();
                }
            }
            Op::Keep => self.keep(),
            Op::DeliverAnswer(pick) => {
                if let Some(answer) = picked(&mut self.answers, *pick) {
                    self.deliver_answer(&answer)?;
                }
            }
            Op::DeliverAll => self.deliver_all()?,
            Op::PatchLimits { limits, strict } => {
                self.record = record(self.record.version + 1, *limits, *strict);
            }
            fault => self.suffer(fault)?,
        }
        self.check_ledger()
    }

    /// Lets everything come to rest without further faults, and checks what must hold then.
    pub fn settle(&mut self) -> Checked {
        self.deliver_all()?;
        self.now_us += (self.lease_ms + 1) * 1_000;
        // A report that was cut off is given out again after a while, twice as long after a step of the clock.
        for patience in [0, PATIENCE_MS, PATIENCE_MS, PATIENCE_MS, PATIENCE_MS] {
            self.now_us += patience * 1_000;
            for gate in 0..self.slots.len() {
                self.report(gate);
            }
            self.deliver_all()?;
            self.check_ledger()?;
        }
        self.check_usage()?;
        self.check_all_comes_back()
    }

    /// What the guard's clock reads.
    pub(super) fn guard_clock(&self) -> Millis {
        reading(self.now_us, self.guard_off_us)
    }

    /// What the guard's ledger would take the time for.
    pub(super) fn ledger_clock(&self) -> Millis {
        self.guard.memory.latest.max(self.guard_clock())
    }

    fn advance(&mut self, op: &Op) {
        match op {
            Op::AdvanceToBoundary(ms, us) => {
                let ahead = ms - self.guard_clock() % ms;
                self.now_us += (ahead * 1_000).saturating_add_signed(*us);
            }
            Op::AdvanceToLeaving(window, pick, us) => {
                let leaves_at = self.truth.leaves_at(*window, *pick).unwrap_or(0);
                self.now_us = self.now_us.max(leaves_at.saturating_add_signed(*us));
            }
            Op::AdvanceToLeaseEnd(pick, us) => {
                let held = self.slots.iter().flat_map(|slot| {
                    let ends = slot.purse.ends();
                    ends.map(|end| (end * 1_000).saturating_add_signed(-slot.off_us))
                });
                let ends: Vec<_> = held.filter(|end| *end > self.now_us).collect();
                if let Some(place) = pick.checked_rem(ends.len()) {
                    let end = ends[place].saturating_add_signed(*us);
                    self.now_us = self.now_us.max(end);
                }
            }
            Op::AdvanceTime(us) => self.now_us += us,
            _ => {}
        }
    }

    fn suffer(&mut self, fault: &Op) -> Checked {
        match fault {
            Op::LoseCall { pick, told } => {
                if let Some(call) = picked(&mut self.calls, *pick)
                    && *told
                {
                    self.fail(call.gate, call.id);
                }
            }
            Op::LoseAnswer { pick, told } => {
                if let Some(answer) = picked(&mut self.answers, *pick)
                    && *told
                {
                    self.fail(answer.gate, answer.call);
                }
            }
            Op::RepeatCall(pick) => repeat(&mut self.calls, *pick),
            Op::RepeatAnswer(pick) => repeat(&mut self.answers, *pick),
            Op::ReorderNetwork(by) => {
                reorder(&mut self.calls, *by);
                reorder(&mut self.answers, *by);
            }
            Op::KillGate(gate) => self.kill(*gate),
            Op::RestartGuard => self.restart()?,
            Op::GateClockStepBack { gate, ms } => self.step_gate_back(*gate, *ms),
            Op::GuardClockStepBack(ms) => {
                self.guard_off_us -= i64::try_from(*ms * 1_000).unwrap_or(0);
                self.guard_stepped += ms;
            }
            _ => {}
        }
        Ok(())
    }

    fn new_slot(&mut self, off_us: i64) -> Slot {
        let id = u32::try_from(self.counts.len()).unwrap_or(u32::MAX);
        self.counts.insert(id, Counted::default());
        Slot {
            gate: Gate::new(id, self.lease_ms, self.mutation),
            off_us,
            purse: NaivePurse::default(),
            refusals: BTreeMap::new(),
        }
    }

    fn kill(&mut self, place: usize) {
        let Slot { gate, off_us, .. } = &self.slots[place];
        let (id, off_us) = (gate.id, *off_us);
        self.counts.entry(id).or_default().killed = true;
        self.slots[place] = self.new_slot(off_us);
    }

    fn restart(&mut self) -> Checked {
        let text = serde_json::to_string(&self.guard.kept).map_err(|e| e.to_string())?;
        let read = serde_json::from_str(&text).map_err(|e| e.to_string())?;
        if self.guard.kept != read {
            return Err(format!("kept as {text}, read as {read:?}"));
        }
        self.guard.kept = read;
        for lost in self.guard.restart() {
            self.fail(lost.gate, lost.call);
        }
        self.truth.forget();
        Ok(())
    }

    /// The gate looks at its clock before and after: a step that nobody looks at twice can't be seen by
    /// anybody who has but a wall clock.
    fn step_gate_back(&mut self, place: usize, ms: Millis) {
        let slot = &mut self.slots[place];
        let before = reading(self.now_us, slot.off_us);
        slot.gate.purse.is_current(before);
        slot.off_us -= i64::try_from(ms * 1_000).unwrap_or(0);
        let after = reading(self.now_us, slot.off_us);
        slot.gate.purse.is_current(after);
        slot.purse.step_back(before);
        slot.refusals.clear();
    }
}

/// What a clock reads at a true time: whole milliseconds.
pub(super) fn reading(now_us: u64, off_us: i64) -> Millis {
    now_us.saturating_add_signed(off_us) / 1_000
}

fn picked<T>(list: &mut Vec<T>, pick: usize) -> Option<T> {
    let place = pick.checked_rem(list.len())?;
    Some(list.remove(place))
}

fn repeat<T: Clone>(list: &mut Vec<T>, pick: usize) {
    if let Some(place) = pick.checked_rem(list.len()) {
        list.push(list[place].clone());
    }
}

fn reorder<T>(list: &mut [T], by: usize) {
    if let Some(place) = by.checked_rem(list.len()) {
        list.rotate_left(place);
        list.reverse();
    }
}
