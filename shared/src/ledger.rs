//! The ledger: the exact counters of one key, kept by its guard.
//!
//! Rules (ARCHITECTURE.md, "Quotas: why they are exact"): a grant is debited whole before it is answered; a leased unit counts in the
//! bucket of the lease's end, since it may be spent up to then; a report closes a lease and gives back what
//! was not spent, once; a lease that is never reported stays spent; time never runs backward in a ledger.

mod open;

use serde::Serialize;

use crate::Millis;
use crate::record::RateLimits;
use crate::window::{Counter, DAY_MS, Window};
use crate::wire;
use open::{OpenLease, OpenLeases};

/// How long after a lease's end its report still gives units back. Later reports change nothing.
pub const REPORT_GRACE_MS: Millis = 10_000;
/// The most units of one lease of a key that has no limits.
pub const UNLIMITED_GRANT: u32 = 1_000_000;
/// A lease takes at most one part in so many of what remains: as many as there are gates that hold some, itself
/// included, up to this. One gate alone may take all; among many, each leaves most to the others.
const MOST_SHARES: u64 = 8;

/// The exact counters of one key, and its open leases.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Ledger {
    /// The latest moment seen: a clock that steps back is not followed.
    latest: Millis,
    minute: Counter,
    hour: Counter,
    day: Counter,
    open: OpenLeases,
}

wire!(Ledger {
    latest: "latest" or 0,
    minute: "minute" or Counter::default(),
    hour: "hour" or Counter::default(),
    day: "day" or Counter::default(),
    open: "open" or OpenLeases::default(),
});

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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

wire!(Standing {
    window: "window",
    limit: "limit",
    left: "left",
    reset_in: "resetIn"
});

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
            left / self.open.held(now).saturating_add(1).min(MOST_SHARES)
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
        let Some(lease) = self.open.close(id) else {
            return 0;
        };
        let spent = spent.min(lease.units);
        for window in Window::ALL {
            let counter = self.counter_mut(window);
            counter.remove(window, lease.end, u64::from(lease.units));
            counter.add(window, lease.end.min(now), u64::from(spent));
        }
        lease.units - spent
    }

    /// Units of leases that may still be reported at `now`, and so come back.
    pub fn leased_out(&self, now: Millis) -> u64 {
        self.open.units(now)
    }

    /// How the limited windows stand at `now`.
    pub fn standing(&self, now: Millis, limits: &RateLimits) -> Vec<Standing> {
        // The clock may lie behind the ledger's time: then it has to catch up first.
        let at = now.max(self.latest);
        limited(limits)
            .map(|(window, limit)| {
                let counter = self.counter(window);
                let used = counter.used(window, at);
                let left = u64::from(limit).saturating_sub(used);
                Standing {
                    window,
                    limit,
                    left: u32::try_from(left).unwrap_or(u32::MAX),
                    reset_in: match used {
                        0 => 0,
                        _ => counter.next_leave(window, at).saturating_sub(now),
                    },
                }
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
        self.open.forget(now);
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
#[path = "ledger_tests.rs"]
mod tests;
