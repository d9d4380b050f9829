//! What is checked beside the limits: the ledger's sums, refusals, usage.

use shared::Millis;
use shared::ledger::{Ask, Books, Ledger};
use shared::policy::Policy;
use shared::record::RateLimits;
use shared::window::Window;

use super::naive::span_ms;
use super::world::World;
use crate::quota::Mutation;

/// A violation says what was violated.
pub type Checked = Result<(), String>;

/// Limits that never bind, to read a ledger by.
const HUGE: RateLimits = RateLimits {
    requests_per_minute: Some(u32::MAX),
    requests_per_hour: Some(u32::MAX),
    requests_per_day: Some(u32::MAX),
};

/// The guard's ledger as it refused.
#[derive(Debug, Clone)]
pub struct Refusal {
    ledger: Ledger,
    limits: RateLimits,
    ttl: Millis,
    guard_stepped: Millis,
}

impl Refusal {
    /// The state of things now, when a refusal was just decided.
    pub(super) fn of(world: &World) -> Self {
        Self {
            ledger: world.guard.memory.ledger.clone(),
            limits: world.record.limits,
            ttl: if world.record.is_strict() {
                0
            } else {
                world.lease_ms
            },
            guard_stepped: world.guard_stepped,
        }
    }

    /// A retry after exactly `retry_in` succeeds if nothing else happens, and one a millisecond earlier doesn't.
    pub(super) fn check_exact(&self, now: Millis, retry_in: Millis, need: u32) -> Checked {
        if !self.can_ever_fit(need) {
            return Ok(());
        }
        let early = retry_in.checked_sub(1);
        if early.is_none_or(|early| self.grants(now + early, need)) {
            return Err(format!("{need} fit before {retry_in} ms: {self:?}"));
        }
        self.check_kept(now + retry_in, need)
    }

    fn check_kept(&self, at: Millis, need: u32) -> Checked {
        if self.can_ever_fit(need) && !self.grants(at, need) {
            return Err(format!("promised room for {need} at {at}: {self:?}"));
        }
        Ok(())
    }

    fn can_ever_fit(&self, need: u32) -> bool {
        let limits = Window::OF_RATES
            .into_iter()
            .filter_map(|w| self.limits.of(w));
        limits.min().is_none_or(|limit| need <= limit)
    }

    fn grants(&self, now: Millis, need: u32) -> bool {
        let ask = Ask {
            want: 10,
            need,
            ttl: self.ttl,
        };
        let mut ledger = self.ledger.clone();
        let mut books = Books::of(&mut ledger, &self.limits);
        books.grant(u64::MAX, now, ask).is_ok()
    }
}

impl World {
    /// The ledger counts what it must: neither less than was admitted, nor more than is out or was spent.
    pub(super) fn check_ledger(&self) -> Checked {
        if !self.mutation.keeps_books() {
            return Ok(());
        }
        let ledger_now = self.ledger_clock();
        for (window, used) in self.used() {
            let admitted = self.truth.admitted(window, self.now_us, ledger_now);
            let expected = self.truth.used(window, ledger_now);
            if used < admitted || used != expected {
                return Err(format!(
                    "{window:?}: the ledger counts {used}, not {expected}; admitted {admitted}"
                ));
            }
        }
        Ok(())
    }

    /// The windows named are those without room.
    pub(super) fn check_violated(&self, need: u32, violated: &[Policy]) -> Checked {
        let lacking = |window: &Window| {
            let used = self.truth.used(*window, self.ledger_clock());
            let limit = self.record.limits.of(*window);
            limit.is_some_and(|limit| u64::from(limit) < used + u64::from(need))
        };
        let expected = Window::OF_RATES.into_iter().filter(lacking);
        let expected: Vec<_> = expected.map(Policy::Key).collect();
        if expected != violated {
            return Err(format!("lacking {expected:?}, named {violated:?}"));
        }
        Ok(())
    }

    /// A refusal that a gate repeats says when the guard would grant as much.
    pub(super) fn check_repeated(&self, place: usize, cost: u32, retry_in: Millis) -> Checked {
        let refusals = &self.slots[place].refusals;
        let Some((_, refusal)) = refusals.range(..=cost).next_back() else {
            return Err(format!("{cost} refused, but not by the guard"));
        };
        if refusal.guard_stepped != self.guard_stepped || !self.mutation.keeps_books() {
            return Ok(());
        }
        // Two clocks that read whole milliseconds may differ by one.
        refusal.check_kept(self.guard_clock() + retry_in + 1, cost)
    }

    /// Every request was counted once; a gate that was killed may have taken some along.
    pub(super) fn check_usage(&self) -> Checked {
        if self.mutation == Mutation::AnswerBeforeDebit {
            return Ok(());
        }
        for (gate, counted) in &self.counts {
            let taken = self.guard.memory.usage.get(gate);
            let (requests, cost) = taken.copied().unwrap_or_default();
            let right = if counted.killed {
                requests <= counted.requests && cost <= counted.cost
            } else {
                requests == counted.requests && cost == counted.cost
            };
            if !right {
                return Err(format!("usage: {counted:?}, taken {requests}, {cost}"));
            }
        }
        Ok(())
    }

    /// Time enough later, every unit has left every window.
    pub(super) fn check_all_comes_back(&mut self) -> Checked {
        self.now_us += (2 * span_ms(Window::Day) + self.guard_stepped) * 1_000;
        match self.used().iter().find(|(_, used)| *used > 0) {
            Some((window, used)) => Err(format!("{used} units never leave the {window:?}")),
            None => Ok(()),
        }
    }

    fn used(&self) -> Vec<(Window, u64)> {
        let ledger = &self.guard.memory.ledger;
        let standing = ledger.standing(self.guard_clock(), &HUGE);
        let windows = Window::OF_RATES.into_iter().zip(&standing);
        windows.map(|(w, s)| (w, s.limit - s.left)).collect()
    }
}
