//! The ledger: the exact counters of one key, kept by its guard.
//!
//! Rules (ARCHITECTURE.md, "Quotas: why they are exact"): a grant is debited whole before it is answered; a leased unit counts in the
//! bucket of the lease's end, since it may be spent up to then; a report closes a lease and gives back what
//! was not spent, once; a lease that is never reported stays spent; time never runs backward in a ledger.

use serde::{Deserialize, Serialize};

use crate::Millis;
use crate::record::RateLimits;
use crate::window::{Counter, DAY_MS, Window};

/// How long after a lease's end its report still gives units back. Later reports change nothing.
pub const REPORT_GRACE_MS: Millis = 10_000;
/// The most units of one lease of a key that has no limits.
pub const UNLIMITED_GRANT: u32 = 1_000_000;
/// A lease takes at most this share (one part in …) of what remains, so that several gates find room.
const SHARE: u64 = 4;
/// The most leases a ledger remembers; the oldest are forgotten (and so stay spent).
const MAX_OPEN: usize = 512;

/// The exact counters of one key, and its open leases.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Ledger {
    /// The latest moment seen: a clock that steps back is not followed.
    latest: Millis,
    minute: Counter,
    hour: Counter,
    day: Counter,
    open: Vec<OpenLease>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct OpenLease {
    id: u64,
    units: u32,
    end: Millis,
}

/// What a gate asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// Units that the gate would like, at its observed rate.
    pub want: u32,
    /// Units without which the answer is a refusal: the cost of the waiting request.
    pub need: u32,
    /// For how long the units may be spent, in milliseconds; 0: they are spent at once (strict).
    pub ttl: Millis,
}

/// Units granted, already debited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// How many; at least what was needed.
    pub units: u32,
    /// How long they may be spent, in milliseconds, counted from when the gate sent its request.
    pub ttl: Millis,
}

/// No room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exhausted {
    /// After how many milliseconds the need would be met if nothing else is spent.
    pub retry_in: Millis,
    /// The windows that have too little room, shortest first.
    pub violated: Vec<Window>,
}

/// How one window stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// Which window.
    pub window: Window,
    /// Its limit.
    pub limit: u32,
    /// Units left for anybody: not counting those leased out.
    pub left: u32,
    /// In how many milliseconds some units come back; 0 when none are used.
    pub reset_in: Millis,
}

impl Ledger {
    /// Grants units as lease `id`, or says when there is room.
    ///
    /// All limited windows are taken together or not at all; a refusal takes nothing.
    ///
    /// # Errors
    /// [`Exhausted`] when any window has less left than is needed.
    pub fn grant(
        &mut self,
        id: u64,
        now: Millis,
        limits: &RateLimits,
        ask: Ask,
    ) -> Result<Grant, Exhausted> {
        let asked_at = now;
        let now = self.advance(now);
        let left = self.left(now, limits);
        if left < u64::from(ask.need) {
            return Err(self.exhausted(asked_at, limits, ask.need));
        }
        let most = if left == u64::MAX {
            u64::from(UNLIMITED_GRANT)
        } else {
            left / SHARE
        };
        let ttl = ask.ttl.min(rest_of_day(now));
        let units = if ttl == 0 {
            u64::from(ask.need)
        } else {
            u64::from(ask.want)
                .min(most)
                .max(u64::from(ask.need.max(1)))
                .min(left)
        };
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        // Clocks read whole milliseconds and need not be in phase: what is before the end for the gate may
        // happen while this clock already reads the end, so the end's own bucket is the one that counts.
        let end = now.saturating_add(ttl);
        self.debit(end, units);
        if ttl > 0 && units > 0 {
            self.open.push(OpenLease { id, units, end });
        }
        Ok(Grant { units, ttl })
    }

    /// Closes a lease: what was not spent is given back, what was spent counts from now at the latest.
    ///
    /// A repeated report, or one later than [`REPORT_GRACE_MS`] after the lease's end, changes nothing.
    /// Returns the units given back.
    pub fn close(&mut self, id: u64, now: Millis, spent: u32) -> u32 {
        let now = self.advance(now);
        let Some(place) = self.open.iter().position(|l| l.id == id) else {
            return 0;
        };
        // In order: what is forgotten first is the oldest.
        let lease = self.open.remove(place);
        let spent = spent.min(lease.units);
        for window in Window::ALL {
            let counter = self.counter_mut(window);
            counter.remove(window, lease.end, u64::from(lease.units));
            counter.add(window, lease.end.min(now), u64::from(spent));
        }
        lease.units - spent
    }

    /// How the limited windows stand at `now`.
    pub fn standing(&self, now: Millis, limits: &RateLimits) -> Vec<Standing> {
        let now = now.max(self.latest);
        limited(limits)
            .map(|(window, limit)| Standing {
                window,
                limit,
                left: u32::try_from(
                    u64::from(limit).saturating_sub(self.counter(window).used(window, now)),
                )
                .unwrap_or(u32::MAX),
                reset_in: self.counter(window).next_leave(window, now) - now,
            })
            .collect()
    }

    /// `asked_at` may lie behind the ledger's time: then the clock has to catch up first.
    fn exhausted(&self, asked_at: Millis, limits: &RateLimits, need: u32) -> Exhausted {
        let now = asked_at.max(self.latest);
        let mut at = now;
        let mut violated = Vec::new();
        for (window, limit) in limited(limits) {
            let counter = self.counter(window);
            let room = u64::from(limit).saturating_sub(counter.used(window, now));
            if room >= u64::from(need) {
                continue;
            }
            violated.push(window);
            at = at.max(match limit.checked_sub(need) {
                Some(allowed) => counter.falls_to(window, now, u64::from(allowed)),
                // A cost above the limit never fits; the window's length is the longest that means anything.
                None => now.saturating_add(window.span()),
            });
        }
        Exhausted {
            retry_in: at - asked_at,
            violated,
        }
    }

    /// Units left in the tightest window; `u64::MAX` without limits.
    fn left(&self, now: Millis, limits: &RateLimits) -> u64 {
        limited(limits)
            .map(|(window, limit)| {
                u64::from(limit).saturating_sub(self.counter(window).used(window, now))
            })
            .min()
            .unwrap_or(u64::MAX)
    }

    /// Moves the ledger's time on, never back, and forgets what no longer matters.
    fn advance(&mut self, now: Millis) -> Millis {
        let now = now.max(self.latest);
        self.latest = now;
        for window in Window::ALL {
            self.counter_mut(window).expire(window, now);
        }
        self.open
            .retain(|lease| lease.end.saturating_add(REPORT_GRACE_MS) > now);
        let surplus = self.open.len().saturating_sub(MAX_OPEN - 1);
        self.open.drain(..surplus);
        now
    }

    fn debit(&mut self, at: Millis, units: u32) {
        for window in Window::ALL {
            self.counter_mut(window).add(window, at, u64::from(units));
        }
    }

    fn counter(&self, window: Window) -> &Counter {
        match window {
            Window::Minute => &self.minute,
            Window::Hour => &self.hour,
            Window::Day => &self.day,
        }
    }

    fn counter_mut(&mut self, window: Window) -> &mut Counter {
        match window {
            Window::Minute => &mut self.minute,
            Window::Hour => &mut self.hour,
            Window::Day => &mut self.day,
        }
    }
}

fn limited(limits: &RateLimits) -> impl Iterator<Item = (Window, u32)> + '_ {
    Window::ALL
        .into_iter()
        .filter_map(|window| limits.of(window).map(|limit| (window, limit)))
}

/// Milliseconds until the last of the UTC day.
fn rest_of_day(now: Millis) -> Millis {
    DAY_MS - 1 - now % DAY_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASED: Ask = Ask {
        want: 10,
        need: 1,
        ttl: 1_000,
    };

    fn per_minute(limit: u32) -> RateLimits {
        RateLimits {
            requests_per_minute: Some(limit),
            ..RateLimits::default()
        }
    }

    #[test]
    fn grants_shrink_to_one_unit_near_the_limit_and_then_stop() {
        let mut ledger = Ledger::default();
        let limits = per_minute(20);
        let mut grants = Vec::new();
        let refused = loop {
            match ledger.grant(grants.len() as u64, 5_000, &limits, LEASED) {
                Ok(grant) => grants.push(grant.units),
                Err(e) => break e,
            }
        };
        assert_eq!(grants.iter().sum::<u32>(), 20);
        assert!(grants.is_sorted_by(|a, b| a >= b), "{grants:?}");
        assert_eq!((grants.first(), grants.last()), (Some(&5), Some(&1)));
        // Leases end at 6.0 s, so their units count in the second that begins then.
        assert_eq!(
            refused,
            Exhausted {
                retry_in: 62_000,
                violated: vec![Window::Minute]
            }
        );
    }

    #[test]
    fn a_report_gives_the_rest_back_once() {
        let mut ledger = Ledger::default();
        let limits = per_minute(40);
        let grant = ledger.grant(1, 0, &limits, LEASED).unwrap();
        assert_eq!(
            grant,
            Grant {
                units: 10,
                ttl: 1_000
            }
        );
        assert_eq!(ledger.close(1, 500, 3), 7);
        assert_eq!(ledger.close(1, 500, 0), 0);
        assert_eq!(ledger.standing(500, &limits)[0].left, 37);
    }

    #[test]
    fn a_report_after_its_grace_changes_nothing() {
        let mut ledger = Ledger::default();
        let limits = per_minute(40);
        ledger.grant(1, 0, &limits, LEASED).unwrap();
        assert_eq!(ledger.close(1, 1_000 + REPORT_GRACE_MS, 0), 0);
        assert_eq!(ledger.standing(12_000, &limits)[0].left, 30);
    }

    #[test]
    fn no_lease_crosses_midnight() {
        let mut ledger = Ledger::default();
        let limits = RateLimits {
            requests_per_day: Some(10),
            ..RateLimits::default()
        };
        let grant = ledger.grant(1, DAY_MS - 300, &limits, LEASED).unwrap();
        assert_eq!(grant.ttl, 299);
        assert_eq!(ledger.standing(DAY_MS, &limits)[0].left, 10);
    }

    #[test]
    fn a_lease_counts_in_the_bucket_in_which_a_gate_out_of_phase_may_spend_its_last_unit() {
        let mut ledger = Ledger::default();
        let limits = per_minute(10);
        ledger.grant(1, 0, &limits, LEASED).unwrap();
        assert_eq!(ledger.standing(61_999, &limits)[0].left, 8);
        assert_eq!(ledger.standing(62_000, &limits)[0].left, 10);
    }

    #[test]
    fn windows_are_taken_together_or_not_at_all() {
        let mut ledger = Ledger::default();
        let limits = RateLimits {
            requests_per_minute: Some(5),
            requests_per_hour: Some(100),
            requests_per_day: Some(3),
        };
        let strict = Ask {
            want: 0,
            need: 2,
            ttl: 0,
        };
        assert_eq!(ledger.grant(1, 0, &limits, strict).unwrap().units, 2);
        let refused = ledger.grant(2, 0, &limits, strict).unwrap_err();
        assert_eq!(refused.violated, [Window::Day]);
        assert_eq!(refused.retry_in, DAY_MS);
        let left: Vec<_> = ledger.standing(0, &limits).iter().map(|s| s.left).collect();
        assert_eq!(left, [3, 98, 1]);
    }

    #[test]
    fn a_clock_that_steps_back_frees_nothing() {
        let mut ledger = Ledger::default();
        let limits = per_minute(1);
        let strict = Ask {
            want: 0,
            need: 1,
            ttl: 0,
        };
        ledger.grant(1, 100_000, &limits, strict).unwrap();
        let refused = ledger.grant(2, 10_000, &limits, strict).unwrap_err();
        assert_eq!(refused.retry_in, 151_000);
        assert!(ledger.grant(3, 160_999, &limits, strict).is_err());
        assert!(ledger.grant(4, 161_000, &limits, strict).is_ok());
    }

    #[test]
    fn a_key_without_limits_is_granted_what_it_wants() {
        let mut ledger = Ledger::default();
        let grant = ledger.grant(
            1,
            0,
            &RateLimits::default(),
            Ask {
                want: 5_000,
                ..LEASED
            },
        );
        assert_eq!(grant.unwrap().units, 5_000);
    }
}
