//! Requests that wait for another's question instead of asking the guard the same.
//!
//! A key's pace tells how much is worth asking for, so a question mostly asks for more than its own request needs. As
//! many requests as that would pay for wait for its answer, which is there sooner than their own would be.
//!
//! A refusal is believed for the lease time. When that is over, every request that is under way would ask the
//! guard the same, and a flood would cost a call for each of its connections. So one request asks, and the others
//! wait. They look again by themselves: no request is told when another's answer comes.
//!
//! Strict keys are left alone: every request asks.

use super::Desk;
use crate::Millis;
use crate::lease::{FOLLOW_MS, Wait};
use crate::record::KeyRecord;

/// What a request lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// So many units.
    Units(u32),
    /// The guard's word on the key's state.
    State,
    /// The key's record, from wherever it is found sooner than at the guard.
    Record,
}

/// Whose turn it is to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// This request's.
    Ask,
    /// Another asks what this one needs. It looks again until then, and then takes its next step.
    Wait {
        /// Until when, at the latest.
        until: Millis,
    },
}

impl Desk {
    /// Whether a request asks for what it needs, or waits for another that asks for it. `record` is the one at hand.
    /// One that asks ends that with [`Self::end_asking`].
    pub fn turn(
        &mut self,
        now: Millis,
        wait: &mut Wait,
        needs: Needs,
        record: Option<&KeyRecord>,
    ) -> Turn {
        if let Some(until) = self.awaited(now, wait, needs, record) {
            return Turn::Wait { until };
        }
        if self.is_common(needs, record) {
            self.asked_at = Some(now);
            wait.asking = true;
        }
        Turn::Ask
    }

    /// Until when, at the latest, a request waits for another's question; `None`: it is answered, or has been waited for
    /// long enough.
    pub fn awaited(
        &mut self,
        now: Millis,
        wait: &mut Wait,
        needs: Needs,
        record: Option<&KeyRecord>,
    ) -> Option<Millis> {
        let patience = wait.patience(now);
        let until = if self.will_be_paid(now, wait, needs, record) {
            patience
        } else {
            self.asked_until(now, wait, needs, record)?.min(patience)
        };
        (now < until).then_some(until)
    }

    /// Whether a question under way asks for enough units to pay for this request too.
    fn will_be_paid(
        &mut self,
        now: Millis,
        wait: &mut Wait,
        needs: Needs,
        record: Option<&KeyRecord>,
    ) -> bool {
        let Needs::Units(cost) = needs else {
            return false;
        };
        if is_strict(record) {
            return false;
        }
        if wait.followed.is_none() {
            wait.followed = self.purse.follow(now, cost);
        }
        wait.followed
            .is_some_and(|answer| self.purse.awaits(answer))
    }

    /// Until when another's question is waited for of which the answer will do for this request too.
    fn asked_until(
        &self,
        now: Millis,
        wait: &Wait,
        needs: Needs,
        record: Option<&KeyRecord>,
    ) -> Option<Millis> {
        if wait.asking || !self.is_common(needs, record) {
            return None;
        }
        // A request that was cut off does not say that it asks no longer.
        let asked_at = self.asked_at.filter(|at| now.abs_diff(*at) < FOLLOW_MS)?;
        Some(asked_at.saturating_add(FOLLOW_MS))
    }

    /// Whether one answer will do for every request that waits.
    fn is_common(&self, needs: Needs, record: Option<&KeyRecord>) -> bool {
        match needs {
            Needs::Units(_) => self.scarce && !is_strict(record),
            Needs::State => !is_strict(record),
            Needs::Record => record.is_none() && self.absent_until > 0,
        }
    }

    /// Notes that a request asks no longer.
    pub fn end_asking(&mut self, wait: &mut Wait) {
        if std::mem::take(&mut wait.asking) {
            self.asked_at = None;
        }
    }
}

fn is_strict(record: Option<&KeyRecord>) -> bool {
    record.is_some_and(KeyRecord::is_strict)
}
