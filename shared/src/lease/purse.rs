//! What a gate holds of one key.

use super::pace::Pace;
use super::pool::{Held, Pool};
use super::questions::Questions;
use super::refusals::{Refusal, Refusals};
use super::views::{Kept, Views};
use super::{Granted, Over, QuotaRefusal, Spend};
use crate::Millis;
use crate::guard::HOLD_MS;
use crate::ledger::Standing;
use crate::report::PATIENCE_MS;

/// What a gate wants of a key whose pace it does not know yet, in units.
/// One: what an isolate holds when it dies stays spent, until midnight in a day's window.
pub(super) const FIRST_WANT: u32 = 1;
/// The most that a gate wants at once, in units.
const MOST_WANT: u32 = 1_000_000;

/// What a gate holds of one key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Purse {
    latest: Millis,
    /// The highest reading from which the clock stepped back. What was sent at or before such a reading may have
    /// been sent before the step, and its age can't be told.
    stepped_from: Option<Millis>,
    pool: Pool,
    refusals: Refusals,
    current_until: Millis,
    standing: Kept,
    questions: Questions,
    /// Since when a renewal is under way.
    renewing: Option<Millis>,
    pace: Pace,
}

impl Purse {
    /// Tries to pay `cost` at `now` without the guard.
    pub fn spend(&mut self, now: Millis, cost: u32) -> Spend {
        self.tick(now);
        if self.pool.available() >= u64::from(cost) && cost > 0 {
            self.pace.note(now, cost);
            self.pool.take(cost);
            return Spend::Paid {
                renew: self.wants_renewal(now),
            };
        }
        match self.refusals.of(cost, now) {
            Some(refusal) => {
                self.pace.note(now, cost);
                Spend::Refused(refusal)
            }
            None => Spend::Ask,
        }
    }

    /// Whether the guard has confirmed the gate's record within the lease time.
    pub fn is_current(&mut self, now: Millis) -> bool {
        self.tick(now);
        now < self.current_until
    }

    /// How many units to ask for at the observed pace for a lease of `ttl` milliseconds, beside those at hand that will
    /// be spent before they end.
    pub fn want(&self, ttl: Millis) -> u32 {
        let at_pace = |ms| self.pace.per_second().saturating_mul(ms) / 1_000;
        let needed = at_pace(ttl);
        let with_margin = needed.saturating_add(needed / 4);
        let rest = self
            .last_end()
            .map_or(0, |end| end.saturating_sub(self.latest));
        let more = with_margin.saturating_sub(self.pool.available().min(at_pace(rest)));
        u32::try_from(more)
            .unwrap_or(MOST_WANT)
            .clamp(FIRST_WANT, MOST_WANT)
    }

    /// Notes that a question is sent which asks for `want` units, `need` of them for the request that asks; 0 when none
    /// waits. It is followed by [`Self::answered`].
    pub fn asking(&mut self, now: Millis, want: u32, need: u32) {
        self.questions.sent(now, want.saturating_sub(need));
    }

    /// Notes that a question was answered or failed.
    pub fn answered(&mut self) {
        self.questions.answered();
    }

    /// Whether a request need not ask, since a question is under way that asks for enough: the number of the answer to
    /// wait for, at most [`super::FOLLOW_MS`]. Then it should try to spend again.
    pub fn follow(&mut self, now: Millis, cost: u32) -> Option<u64> {
        self.questions.follow(now, cost)
    }

    /// Whether the answer of that number is still under way.
    pub fn awaits(&self, answer: u64) -> bool {
        self.questions.awaits(answer)
    }

    /// Notes that a renewal is under way; `false` if one is already. One that was cut off counts no more after
    /// [`PATIENCE_MS`].
    pub fn begin_renewal(&mut self, now: Millis) -> bool {
        let begun = !self.is_renewing(now);
        if begun {
            self.renewing = Some(now);
        }
        begun
    }

    fn is_renewing(&self, now: Millis) -> bool {
        self.renewing
            .is_some_and(|since| now.abs_diff(since) < PATIENCE_MS)
    }

    /// Notes that the renewal is over, however it ended.
    pub fn end_renewal(&mut self) {
        self.renewing = None;
    }

    /// Takes in a grant. The waiting request's cost is paid from it.
    pub fn granted(
        &mut self,
        sent_at: Millis,
        now: Millis,
        grant: &Granted,
        standing: &[Standing],
    ) {
        self.tick(now);
        self.refusals.clear();
        self.standing
            .keep_granted(grant.lease, sent_at, now, standing);
        let end = sent_at.saturating_add(grant.ttl);
        if grant.ttl == 0 {
            return;
        }
        self.pace.note(now, grant.need);
        let trusted = self.trusts(sent_at);
        if trusted {
            self.current_until = self.current_until.max(end);
            self.note_emptiness(sent_at, now, grant.ttl, standing);
        }
        let held = Held {
            id: grant.lease,
            units: grant.units,
            spent: grant.need.min(grant.units),
            start: sent_at,
            end,
        };
        // An answer that took longer than the lease has nothing left to spend.
        if !trusted || held.is_over(now) {
            self.pool.finish(&held);
        } else {
            self.pool.insert(held);
        }
    }

    /// A grant that took the last unit says, as a refusal would, when the next is there: the gate need not ask.
    /// Only for one unit: for more, there may be too little room even then.
    fn note_emptiness(&mut self, sent_at: Millis, now: Millis, ttl: Millis, standing: &[Standing]) {
        let empty = || standing.iter().filter(|s| s.left == 0);
        if let Some(retry_in) = empty().map(|s| s.reset_in).max() {
            self.refuse(Refusal {
                need: 1,
                until: sent_at.saturating_add(ttl.min(retry_in.max(HOLD_MS))),
                retry_at: now.saturating_add(retry_in),
                violated: empty().map(|s| s.policy).collect(),
            });
        }
    }

    /// Takes in a refusal of `need` units, which the gate may repeat by itself for `ttl` milliseconds.
    pub fn exhausted(
        &mut self,
        sent_at: Millis,
        now: Millis,
        need: u32,
        refusal: &QuotaRefusal,
        ttl: Millis,
        standing: &[Standing],
    ) {
        self.tick(now);
        self.standing.keep_refused(sent_at, now, standing);
        if !self.trusts(sent_at) {
            return;
        }
        let until = sent_at.saturating_add(ttl);
        self.current_until = self.current_until.max(until);
        self.refuse(Refusal {
            need,
            until,
            retry_at: now.saturating_add(refusal.retry_in),
            violated: refusal.violated.clone(),
        });
    }

    fn refuse(&mut self, refusal: Refusal) {
        if refusal.until > self.latest {
            self.refusals.put(refusal);
        }
    }

    /// Takes in the guard's word that the gate's record is the newest.
    pub fn confirmed(&mut self, sent_at: Millis, now: Millis, ttl: Millis) {
        self.tick(now);
        if self.trusts(sent_at) {
            self.current_until = self.current_until.max(sent_at.saturating_add(ttl));
        }
    }

    /// Ends everything held: the record has changed, or the purse goes.
    pub fn clear(&mut self) {
        self.pool.end_all();
        self.refusals.clear();
        self.current_until = 0;
        self.standing.clear();
    }

    /// Leases that are over at `now`, to be reported; each is given out once.
    pub fn take_over(&mut self, now: Millis) -> Vec<Over> {
        self.tick(now);
        self.pool.take_over()
    }

    /// When the last lease held ends; `None` when none is held.
    pub fn last_end(&self) -> Option<Millis> {
        self.pool.newest().map(|l| l.end)
    }

    /// How the limited windows stand for a caller at `now`; [`Views::of_refusal`] is for one who is refused.
    ///
    /// Nothing is promised that the gate would refuse by itself: units that will come back, or that are left for
    /// cheaper requests, are told of when the guard is asked again.
    pub fn view(&self, now: Millis) -> Views {
        let mut views = self.standing.view(now, self.pool.own());
        for refusal in self.refusals.standing(now) {
            let below = u64::from(refusal.need.saturating_sub(1));
            let most = self.pool.available().max(below);
            views.promise_at_most(most, &refusal.violated);
        }
        views
    }

    /// Moves on to `now`: leases end, refusals lapse. A clock that stepped back ends everything, since no
    /// span measured on it means anything.
    fn tick(&mut self, now: Millis) {
        if now < self.latest {
            self.stepped_from = self.stepped_from.max(Some(self.latest));
            self.clear();
            self.pace = Pace::from(now);
        }
        self.latest = now;
        self.pool.end(now);
        self.refusals.lapse(now);
    }

    /// Whether a span that began at this reading can be measured on the clock.
    fn trusts(&self, sent_at: Millis) -> bool {
        self.stepped_from.is_none_or(|from| sent_at > from)
    }

    /// Ahead of need: when the newest lease is past three fifths of its time, or three quarters spent. Not while there
    /// is nothing to be had.
    fn wants_renewal(&self, now: Millis) -> bool {
        if self.is_renewing(now) || !self.refusals.is_empty() {
            return false;
        }
        self.pool.newest().is_none_or(|newest| {
            let length = newest.end.saturating_sub(newest.start);
            let rest = newest.end.saturating_sub(now);
            rest * 5 < length * 2 || self.pool.available() * 4 < u64::from(newest.units)
        })
    }
}
