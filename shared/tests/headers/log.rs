//! A plain log of what was admitted and given back.

use shared::Millis;
use shared::record::RateLimits;
use shared::window::Window;

use super::LEG_MS;

/// What happened, and when.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// What was admitted.
    pub admitted: Vec<(Millis, u32)>,
    /// Units given back to the guard.
    pub given_back: Vec<(Millis, u32)>,
}

/// The windows that are limited.
pub fn limited(limits: &RateLimits) -> impl Iterator<Item = (Window, u32)> + '_ {
    Window::OF_RATES
        .into_iter()
        .filter_map(|w| limits.of(w).map(|limit| (w, limit)))
}

impl Log {
    /// Units given back since a request that is answered now may have asked, and so much longer.
    pub fn back(&self, now: Millis, longer: Millis) -> u32 {
        let lately = |when: &Millis| when + longer + 2 * LEG_MS > now;
        let back = self.given_back.iter().filter(|(when, _)| lately(when));
        back.map(|(_, units)| units).sum()
    }

    /// Units admitted in a window that ends with `now`, those within `longer` before it included.
    pub fn used(&self, window: Window, now: Millis, longer: Millis) -> u32 {
        let counts = |at: Millis| match window {
            Window::Day | Window::Month => {
                at / window.span() >= now.saturating_sub(longer) / window.span()
            }
            _ => at + window.span() + longer > now,
        };
        let admitted = self.admitted.iter();
        let counted = admitted.filter(|(at, _)| *at <= now && counts(*at));
        counted.map(|(_, cost)| cost).sum()
    }

    /// The least that is left in any window, each so many milliseconds longer.
    pub fn left(&self, limits: &RateLimits, now: Millis, longer: fn(Window) -> Millis) -> u32 {
        let left =
            limited(limits).map(|(w, limit)| limit.saturating_sub(self.used(w, now, longer(w))));
        left.min().unwrap()
    }
}
