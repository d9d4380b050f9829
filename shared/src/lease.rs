//! The purse: what a gate holds of one key's quota, and what it knows of the key's standing.
//!
//! A gate measures a lease from when it sent the request for it, on its own clock, and spends only within
//! it. It never awaits another request's answer: concurrent requests each ask for themselves and pool what
//! they are granted.

use crate::Millis;
use crate::ledger::Standing;
use crate::report::PATIENCE_MS;
use crate::window::Window;

/// What a gate wants of a key whose pace it does not know yet, in units.
/// One: what an isolate holds when it dies stays spent, until midnight in a day's window.
const FIRST_WANT: u32 = 1;
/// How old an answer may be that admits a request where no lease time bounds it, in milliseconds.
const LONGEST_WAIT_MS: Millis = 1_000;
/// The most that a gate wants at once, in units.
const MOST_WANT: u32 = 1_000_000;
/// The most refusals remembered, each of a cost of its own; an API's routes have few costs.
const MOST_REFUSALS: usize = 8;

/// What a gate holds of one key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Purse {
    latest: Millis,
    /// The highest reading from which the clock stepped back. What was sent at or before such a reading may have
    /// been sent before the step, and its age can't be told.
    stepped_from: Option<Millis>,
    leases: Vec<Held>,
    over: Vec<Over>,
    /// Unspent units of leases that are over but not yet reported: they will come back.
    returning: u64,
    /// By what was refused: a promise made for one cost says nothing of a higher one.
    refusals: Vec<Refusal>,
    current_until: Millis,
    standing: Vec<Kept>,
    /// Since when a renewal is under way.
    renewing: Option<Millis>,
    pace: Pace,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Held {
    id: u64,
    units: u32,
    spent: u32,
    start: Millis,
    end: Millis,
}

impl Held {
    fn left(&self) -> u32 {
        self.units.saturating_sub(self.spent)
    }
}

/// A lease that is over: to be reported to the guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Over {
    /// The lease.
    pub lease: u64,
    /// Units spent of it.
    pub spent: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Refusal {
    need: u32,
    until: Millis,
    retry_at: Millis,
    violated: Vec<Window>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Kept {
    window: Window,
    limit: u32,
    left: u32,
    reset_at: Millis,
}

/// How many units were spent in the last second or so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Pace {
    since: Millis,
    units: u64,
    per_second: u64,
}

impl Pace {
    fn note(&mut self, now: Millis, cost: u32) {
        let elapsed = now.saturating_sub(self.since);
        if elapsed >= 1_000 {
            self.per_second = self.units.saturating_mul(1_000) / elapsed;
            self.since = now;
            self.units = 0;
        }
        self.units = self.units.saturating_add(u64::from(cost));
    }

    fn estimate(&self) -> u64 {
        self.per_second.max(self.units)
    }
}

/// What became of an attempt to spend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spend {
    /// Paid from a lease.
    Paid {
        /// Whether the gate should ask for the next lease in the background now.
        renew: bool,
    },
    /// The guard refused within the lease time, so the gate refuses by itself.
    Refused(QuotaRefusal),
    /// The guard must be asked.
    Ask,
}

/// A refusal for quota, as callers are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaRefusal {
    /// In how many milliseconds a retry would succeed if nothing else spends.
    pub retry_in: Millis,
    /// The windows without room, shortest first.
    pub violated: Vec<Window>,
}

/// How a window stands for a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowView {
    /// Which window.
    pub window: Window,
    /// Its limit.
    pub limit: u32,
    /// Units left, those in this gate's hands included.
    pub remaining: u32,
    /// In how many milliseconds units come back; 0 when none are used.
    pub reset_in: Millis,
}

/// A grant as it reached the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// The lease.
    pub lease: u64,
    /// Its units, the waiting request's included.
    pub units: u32,
    /// Its length in milliseconds from `sent_at`.
    pub ttl: Millis,
    /// What the waiting request costs: it is admitted by the guard's decision, not by the answer's arrival. 0 when
    /// none waits, or when the answer is too late to admit it: see [`longest_wait`].
    pub need: u32,
}

/// For how long after a question was sent its answer may admit the waiting request, in milliseconds. Later, the
/// state that it rests on may have been changed, and that change confirmed, for longer than the lease time. A strict
/// key's answer (`ttl` 0) is bounded by the default lease time at most.
pub fn longest_wait(lease_ms: Millis, ttl: Millis) -> Millis {
    match lease_ms {
        0 => LONGEST_WAIT_MS,
        _ if ttl == 0 => lease_ms.min(LONGEST_WAIT_MS),
        _ => lease_ms,
    }
}

impl Purse {
    /// Tries to pay `cost` at `now` without the guard.
    pub fn spend(&mut self, now: Millis, cost: u32) -> Spend {
        self.tick(now);
        self.pace.note(now, cost);
        if self.available() >= u64::from(cost) && cost > 0 {
            self.take(cost);
            return Spend::Paid {
                renew: self.wants_renewal(now),
            };
        }
        match self.refusals.iter().find(|r| r.need == cost) {
            Some(r) => Spend::Refused(QuotaRefusal {
                retry_in: r.retry_at.saturating_sub(now).max(1),
                violated: r.violated.clone(),
            }),
            None => Spend::Ask,
        }
    }

    /// Whether the guard has confirmed the gate's record within the lease time.
    pub fn is_current(&mut self, now: Millis) -> bool {
        self.tick(now);
        now < self.current_until
    }

    /// How many units to ask for at the observed pace, for a lease of `ttl` milliseconds.
    pub fn want(&self, ttl: Millis) -> u32 {
        let at_pace = self.pace.estimate().saturating_mul(ttl) / 1_000;
        let with_margin = at_pace.saturating_add(at_pace / 4);
        u32::try_from(with_margin)
            .unwrap_or(MOST_WANT)
            .clamp(FIRST_WANT, MOST_WANT)
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
        self.keep(now, standing);
        let end = sent_at.saturating_add(grant.ttl);
        if grant.ttl == 0 {
            return;
        }
        let trusted = self.trusts(sent_at);
        if trusted {
            self.current_until = self.current_until.max(end);
        }
        let held = Held {
            id: grant.lease,
            units: grant.units,
            spent: grant.need.min(grant.units),
            start: sent_at,
            end,
        };
        // An answer that took longer than the lease has nothing left to spend.
        if !trusted || end <= now || held.left() == 0 {
            self.finish(&held);
        } else {
            let place = self.leases.partition_point(|l| l.end <= end);
            self.leases.insert(place, held);
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
        self.keep(now, standing);
        if !self.trusts(sent_at) {
            return;
        }
        let until = sent_at.saturating_add(ttl);
        self.current_until = self.current_until.max(until);
        if until > now {
            self.refusals.retain(|r| r.need != need);
            if self.refusals.len() >= MOST_REFUSALS {
                self.refusals.remove(0);
            }
            self.refusals.push(Refusal {
                need,
                until,
                retry_at: now.saturating_add(refusal.retry_in),
                violated: refusal.violated.clone(),
            });
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
        for lease in std::mem::take(&mut self.leases) {
            self.finish(&lease);
        }
        self.refusals.clear();
        self.current_until = 0;
        self.standing.clear();
    }

    /// Leases that are over at `now`, to be reported; each is given out once.
    pub fn take_over(&mut self, now: Millis) -> Vec<Over> {
        self.tick(now);
        self.returning = 0;
        std::mem::take(&mut self.over)
    }

    /// When the last lease held ends; `None` when none is held.
    pub fn last_end(&self) -> Option<Millis> {
        self.leases.last().map(|l| l.end)
    }

    /// How the limited windows stand for a caller at `now`.
    pub fn view(&self, now: Millis) -> Vec<WindowView> {
        let own = self.available().saturating_add(self.returning);
        self.standing
            .iter()
            .map(|kept| WindowView {
                window: kept.window,
                limit: kept.limit,
                remaining: u32::try_from(u64::from(kept.left).saturating_add(own))
                    .unwrap_or(u32::MAX)
                    .min(kept.limit),
                reset_in: kept.reset_at.saturating_sub(now),
            })
            .collect()
    }

    /// Moves on to `now`: leases end, refusals lapse. A clock that stepped back ends everything, since no
    /// span measured on it means anything.
    fn tick(&mut self, now: Millis) {
        if now < self.latest {
            self.stepped_from = self.stepped_from.max(Some(self.latest));
            self.clear();
            self.pace = Pace {
                since: now,
                ..Pace::default()
            };
        }
        self.latest = now;
        if self.leases.iter().any(|l| l.end <= now || l.left() == 0) {
            let (over, held) = std::mem::take(&mut self.leases)
                .into_iter()
                .partition(|l: &Held| l.end <= now || l.left() == 0);
            self.leases = held;
            let over: Vec<Held> = over;
            for lease in &over {
                self.finish(lease);
            }
        }
        self.refusals.retain(|r| r.until > now);
    }

    /// Whether a span that began at this reading can be measured on the clock.
    fn trusts(&self, sent_at: Millis) -> bool {
        self.stepped_from.is_none_or(|from| sent_at > from)
    }

    fn finish(&mut self, lease: &Held) {
        self.returning = self.returning.saturating_add(u64::from(lease.left()));
        self.over.push(Over {
            lease: lease.id,
            spent: lease.spent,
        });
    }

    fn available(&self) -> u64 {
        self.leases.iter().map(|l| u64::from(l.left())).sum()
    }

    /// Takes `cost` units, which are available, from the leases that end first.
    fn take(&mut self, cost: u32) {
        let mut due = cost;
        for lease in &mut self.leases {
            let part = lease.left().min(due);
            lease.spent += part;
            due -= part;
        }
    }

    /// Ahead of need: when the newest lease is past three fifths of its time, or three quarters spent.
    fn wants_renewal(&self, now: Millis) -> bool {
        if self.is_renewing(now) || !self.refusals.is_empty() {
            return false;
        }
        self.leases.last().is_none_or(|newest| {
            let length = newest.end.saturating_sub(newest.start);
            let rest = newest.end.saturating_sub(now);
            rest * 5 < length * 2 || self.available() * 4 < u64::from(newest.units)
        })
    }

    fn keep(&mut self, now: Millis, standing: &[Standing]) {
        self.standing = standing
            .iter()
            .map(|s| Kept {
                window: s.window,
                limit: s.limit,
                left: s.left,
                reset_at: now.saturating_add(s.reset_in),
            })
            .collect();
    }
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
