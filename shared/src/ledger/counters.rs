//! What one holder of limits has used: a key, an identity, or an account of its plan.

use serde::Serialize;

use super::{Closed, MOST_TOLD, NEVER_MS, Standing};
use crate::Millis;
use crate::policy::{Holder, Policy};
use crate::read::Members;
use crate::record::RateLimits;
use crate::window::{Counter, Window};
use crate::write::member;

/// Limits in any windows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    #[serde(rename = "limits")]
    pub rates: RateLimits,
    #[serde(rename = "requestsPerMonth")]
    pub month: Option<u64>,
}

impl Limits {
    /// The limit of a window.
    pub fn of(&self, window: Window) -> Option<u64> {
        match window {
            Window::Month => self.month,
            _ => self.rates.of(window).map(u64::from),
        }
    }
}

/// Units used, by window. Time never runs back in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Counters {
    /// The latest moment seen: a clock that steps back is not followed.
    latest: Millis,
    minute: Counter,
    hour: Counter,
    day: Counter,
    month: Counter,
}

/// A limit, and what it is held against.
pub struct Line<'a> {
    pub policy: Policy,
    window: Window,
    limit: u64,
    counter: &'a Counter,
}

impl Counters {
    pub fn from_members(members: &mut Members<'_, '_>) -> Self {
        let mut counters = Self {
            latest: members.take_or("latest", 0),
            ..Self::default()
        };
        for window in EVERY {
            *counters.of_mut(window) = members.take_or(window.name(), Counter::default());
        }
        counters
    }

    pub fn put_members(&self, to: &mut String) {
        member(to, "latest", &self.latest);
        for window in EVERY {
            let counter = self.of(window);
            if !counter.is_empty() {
                member(to, window.name(), counter);
            }
        }
    }

    /// The latest moment seen, `now` included.
    pub fn clock(&self, now: Millis) -> Millis {
        now.max(self.latest)
    }

    /// Moves its time on, never back, and forgets what no longer matters.
    pub fn advance(&mut self, now: Millis) -> Millis {
        let now = self.clock(now);
        self.latest = now;
        for window in EVERY {
            self.of_mut(window).expire(window, now);
        }
        now
    }

    /// Counts units at a moment in a holder's windows.
    pub fn debit(&mut self, holder: Holder, at: Millis, units: u32) {
        for window in holder.windows() {
            self.of_mut(*window).add(*window, at, u64::from(units));
        }
    }

    /// Gives back what was not spent of a lease that was debited here. What was spent counts from now at the latest.
    pub fn take_back(&mut self, holder: Holder, lease: &Closed, now: Millis) {
        let now = self.advance(now);
        for window in holder.windows() {
            let counter = self.of_mut(*window);
            counter.remove(*window, lease.end, u64::from(lease.units));
            counter.add(*window, lease.end.min(now), u64::from(lease.spent));
        }
    }

    /// Shows those of a holder's windows that are limited.
    pub fn each_line(&self, holder: Holder, limits: &Limits, see: &mut dyn FnMut(&Line<'_>)) {
        for window in holder.windows() {
            if let Some(limit) = limits.of(*window) {
                see(&Line {
                    policy: holder.policy(*window),
                    window: *window,
                    limit,
                    counter: self.of(*window),
                });
            }
        }
    }

    fn of(&self, window: Window) -> &Counter {
        match window {
            Window::Minute => &self.minute,
            Window::Hour => &self.hour,
            Window::Day => &self.day,
            Window::Month => &self.month,
        }
    }

    fn of_mut(&mut self, window: Window) -> &mut Counter {
        match window {
            Window::Minute => &mut self.minute,
            Window::Hour => &mut self.hour,
            Window::Day => &mut self.day,
            Window::Month => &mut self.month,
        }
    }
}

const EVERY: [Window; 4] = [Window::Minute, Window::Hour, Window::Day, Window::Month];

impl Line<'_> {
    /// How it stands at `now`, to somebody whose clock reads `asked_at`.
    pub fn standing(&self, asked_at: Millis, now: Millis) -> Standing {
        let used = self.counter.used(self.window, now);
        Standing {
            policy: self.policy,
            limit: self.limit.min(MOST_TOLD),
            left: self.limit.saturating_sub(used).min(MOST_TOLD),
            reset_in: match used {
                0 if self.limit == 0 => NEVER_MS,
                0 => 0,
                _ => self
                    .counter
                    .next_leave(self.window, now)
                    .saturating_sub(asked_at),
            },
        }
    }

    /// The first moment from `now` on at which `need` units fit, if nothing else is spent.
    pub fn fits_at(&self, now: Millis, need: u32) -> Millis {
        match self.limit.checked_sub(u64::from(need)) {
            Some(allowed) => self.counter.falls_to(self.window, now, allowed),
            None => now.saturating_add(NEVER_MS),
        }
    }
}
