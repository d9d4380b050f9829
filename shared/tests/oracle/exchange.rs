//! What passes between gates and the guard, and what follows from it for the truth.

use shared::message::KeyAnswer;
use shared::usage::{CellRef, Tally};

use super::checks::{Checked, Refusal};
use super::truth::Grant;
use super::world::{World, reading};
use crate::quota::gate::{Event, Step};
use crate::quota::guard::Handled;
use crate::quota::{Answer, Call, KEY};

impl World {
    pub(super) fn request(&mut self, place: usize, cost: u32) -> Checked {
        let slot = &mut self.slots[place];
        let now = reading(self.now_us, slot.off_us);
        let step = slot.gate.request(now, cost);
        self.follow(place, step)
    }

    pub(super) fn report(&mut self, place: usize) {
        let slot = &mut self.slots[place];
        let now = reading(self.now_us, slot.off_us);
        self.calls.extend(slot.gate.report(now));
    }

    pub(super) fn deliver_all(&mut self) -> Checked {
        loop {
            for call in std::mem::take(&mut self.calls) {
                self.deliver_call(&call)?;
            }
            self.keep();
            if self.answers.is_empty() {
                return Ok(());
            }
            for answer in std::mem::take(&mut self.answers) {
                self.deliver_answer(&answer)?;
            }
        }
    }

    pub(super) fn deliver_call(&mut self, call: &Call) -> Checked {
        let now = self.guard_clock();
        let handled = self
            .guard
            .handle(call, now, self.now_us, &self.record, self.lease_ms);
        self.answers.extend(self.guard.early());
        let ledger_now = self.guard.memory.latest;
        for (lease, spent, back) in &handled.settled {
            self.seen.given_back += u64::from(*back);
            self.truth.report(*lease, *spent, *back, ledger_now)?;
        }
        self.decided(call, &handled)
    }

    pub(super) fn keep(&mut self) {
        self.answers.extend(self.guard.keep());
        self.truth.keep();
    }

    pub(super) fn deliver_answer(&mut self, answer: &Answer) -> Checked {
        let Some(place) = self.slots.iter().position(|s| s.gate.id == answer.gate) else {
            return Ok(());
        };
        let slot = &mut self.slots[place];
        let now = reading(self.now_us, slot.off_us);
        let step = slot.gate.answer(now, answer);
        self.follow(place, step)
    }

    pub(super) fn fail(&mut self, gate: u32, call: u32) {
        if let Some(slot) = self.slots.iter_mut().find(|s| s.gate.id == gate) {
            slot.gate.fail(call);
        }
    }

    fn decided(&mut self, call: &Call, handled: &Handled) -> Checked {
        let need = call.ask.as_ref().map_or(0, |ask| ask.need);
        match &handled.answer.key {
            Some(KeyAnswer::Granted {
                lease,
                units,
                ttl,
                standing,
            }) => {
                let times = (self.guard.memory.latest, *ttl);
                let grant = Grant::new((*lease, *units), times, self.record.limits);
                self.truth.grants.push(grant);
                if standing.iter().any(|s| s.left == 0) {
                    let refusal = Refusal::of(self);
                    self.refusals.insert((call.gate, call.id), refusal);
                }
                Ok(())
            }
            Some(KeyAnswer::Exhausted {
                retry_in, violated, ..
            }) => {
                let refusal = Refusal::of(self);
                if self.mutation.keeps_books() {
                    self.check_violated(need, violated)?;
                    refusal.check_exact(self.guard_clock(), *retry_in, need)?;
                }
                self.refusals.insert((call.gate, call.id), refusal);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn follow(&mut self, place: usize, step: Step) -> Checked {
        for event in step.events {
            self.event(place, event)?;
        }
        self.calls.extend(step.call);
        Ok(())
    }

    fn event(&mut self, place: usize, event: Event) -> Checked {
        let slot = &mut self.slots[place];
        let now = reading(self.now_us, slot.off_us);
        match event {
            Event::Paid { cost } => {
                self.seen.paid += 1;
                self.paid(place, cost)
            }
            Event::Granted { .. } => self.granted(place, &event),
            Event::Noted { call, need, until } => {
                if let Some(refusal) = self.refusals.get(&(slot.gate.id, call))
                    && until > now
                {
                    slot.refusals.insert(need, refusal.clone());
                }
                Ok(())
            }
            Event::Refused {
                cost,
                retry_in,
                repeated,
            } => {
                self.count(place, "rate_limited", 0);
                if repeated {
                    self.seen.repeated += 1;
                    return self.check_repeated(place, cost, retry_in);
                }
                self.seen.refused += 1;
                Ok(())
            }
            Event::Stale => {
                slot.purse.clear();
                slot.refusals.clear();
                Ok(())
            }
        }
    }

    fn paid(&mut self, place: usize, cost: u32) -> Checked {
        let slot = &mut self.slots[place];
        let now = reading(self.now_us, slot.off_us);
        let Some(parts) = slot.purse.pay(now, cost) else {
            return Err(format!("{cost} units spent that were not held"));
        };
        let ledger_now = self.ledger_clock();
        for (grant, units) in parts {
            self.truth.admit(self.now_us, units, grant, ledger_now)?;
        }
        self.count(place, "ok", cost);
        Ok(())
    }

    fn granted(&mut self, place: usize, event: &Event) -> Checked {
        let Event::Granted {
            call,
            empty_until,
            lease,
            units,
            ttl,
            sent_at,
            paid,
            decided_at,
        } = *event
        else {
            return Ok(());
        };
        let grants = &self.truth.grants;
        let Some(grant) = grants.iter().position(|grant| grant.lease == lease) else {
            return Err(format!("lease {lease} was never granted"));
        };
        let slot = &mut self.slots[place];
        let now = reading(self.now_us, slot.off_us);
        let left = units.saturating_sub(paid);
        slot.purse.take_in(grant, sent_at, sent_at + ttl, left, now);
        slot.refusals.clear();
        if let Some(refusal) = self.refusals.get(&(slot.gate.id, call))
            && empty_until.is_some_and(|until| until > now)
        {
            slot.refusals.insert(1, refusal.clone());
        }
        if paid > 0 {
            self.seen.granted += 1;
            let ledger_now = self.truth.grants[grant].ledger_now;
            self.truth.admit(decided_at, paid, grant, ledger_now)?;
            self.count(place, "ok", paid);
        }
        Ok(())
    }

    fn count(&mut self, place: usize, code: &str, cost: u32) {
        let slot = &mut self.slots[place];
        let now = reading(self.now_us, slot.off_us);
        let cell = CellRef {
            key: KEY,
            api: "api_1",
            minute: now / 60_000,
            code,
            class: 2,
        };
        let tally = Tally {
            count: 1,
            cost: u64::from(cost),
            latency_ms: 0,
            last_at: now,
        };
        slot.gate.reporter.count(cell, &tally);
        let counted = self.counts.entry(slot.gate.id).or_default();
        counted.requests += 1;
        counted.cost += u64::from(cost);
    }
}
