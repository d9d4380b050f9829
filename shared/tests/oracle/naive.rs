//! A counter and a ledger that remember every unit singly.

use shared::Millis;
use shared::window::Window;

use super::calendar::month;

/// Milliseconds of a window's buckets, as designed.
pub fn bucket_ms(window: Window) -> Millis {
    match window {
        Window::Minute => 200,
        Window::Hour => 15_000,
        Window::Day => 86_400_000,
        Window::Month => unreachable!("months differ"),
    }
}

/// Milliseconds of a window, as designed.
pub fn span_ms(window: Window) -> Millis {
    match window {
        Window::Minute => 60_000,
        Window::Hour => 3_600_000,
        Window::Day => 86_400_000,
        Window::Month => unreachable!("months differ"),
    }
}

/// Whether units that count at `at` still count at `now`: until the whole bucket is older than the window.
pub fn counts(window: Window, at: Millis, now: Millis) -> bool {
    if window == Window::Month {
        return month(at) >= month(now);
    }
    let bucket_end = at - at % bucket_ms(window) + bucket_ms(window);
    match window {
        Window::Day | Window::Month => bucket_end > now,
        Window::Minute | Window::Hour => bucket_end + span_ms(window) > now,
    }
}

/// Units and when they count, in no order.
#[derive(Debug, Clone, Default)]
pub struct NaiveCounter(Vec<(Millis, u64)>);

impl NaiveCounter {
    /// Logs units.
    pub fn add(&mut self, at: Millis, units: u64) {
        self.0.push((at, units));
    }

    /// Unlogs units that were logged in the same bucket; never below zero.
    pub fn remove(&mut self, window: Window, at: Millis, units: u64) {
        let mut due = units;
        for (when, count) in &mut self.0 {
            if *when / bucket_ms(window) == at / bucket_ms(window) {
                let part = due.min(*count);
                *count -= part;
                due -= part;
            }
        }
    }

    /// Forgets what no longer counts.
    pub fn expire(&mut self, window: Window, now: Millis) {
        self.0.retain(|(at, _)| counts(window, *at, now));
    }

    /// Units that count at `now`.
    pub fn used(&self, window: Window, now: Millis) -> u64 {
        let live = self.0.iter().filter(|(at, _)| counts(window, *at, now));
        live.map(|(_, units)| units).sum()
    }

    /// Units of the window that ends with `now`, to the millisecond, and of the future.
    pub fn exact(&self, window: Window, now: Millis) -> u64 {
        let live = self.0.iter().filter(|(at, _)| match window {
            Window::Day | Window::Month => at / span_ms(window) >= now / span_ms(window),
            Window::Minute | Window::Hour => at + span_ms(window) > now,
        });
        live.map(|(_, units)| units).sum()
    }
}
