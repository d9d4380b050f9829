//! How a key's limited windows stand for a caller.

use std::ops::Deref;

use crate::Millis;
use crate::ledger::Standing;
use crate::window::Window;

/// How a window stands for a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowView {
    /// Which window.
    pub window: Window,
    /// Its limit.
    pub limit: u32,
    /// Units left, those in this gate's hands included.
    pub remaining: u32,
    /// In how many milliseconds units come back; 0 only when none are used.
    pub reset_in: Millis,
}

/// The views of a key's limited windows, shortest window first. In place, since every answer has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Views {
    views: [WindowView; Window::ALL.len()],
    count: usize,
}

impl Default for Views {
    /// Those of a key without limits.
    fn default() -> Self {
        let none = WindowView {
            window: Window::Minute,
            limit: 0,
            remaining: 0,
            reset_in: 0,
        };
        Self {
            views: [none; Window::ALL.len()],
            count: 0,
        }
    }
}

impl Deref for Views {
    type Target = [WindowView];

    fn deref(&self) -> &[WindowView] {
        self.views.get(..self.count).unwrap_or_default()
    }
}

/// What the guard said of the windows last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Kept(Vec<KeptWindow>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct KeptWindow {
    window: Window,
    limit: u32,
    left: u32,
    reset_at: Millis,
}

impl Kept {
    /// Takes in what the guard says.
    pub fn keep(&mut self, now: Millis, standing: &[Standing]) {
        self.0.clear();
        self.0.extend(standing.iter().map(|s| KeptWindow {
            window: s.window,
            limit: s.limit,
            left: s.left,
            reset_at: now.saturating_add(s.reset_in),
        }));
    }

    /// Forgets it.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The views at `now` of a gate that has `own` units beside what is left for anybody.
    pub fn view(&self, now: Millis, own: u64) -> Views {
        let mut views = Views::default();
        for (view, kept) in views.views.iter_mut().zip(&self.0) {
            let left = u64::from(kept.left).saturating_add(own);
            let remaining = u32::try_from(left).unwrap_or(u32::MAX).min(kept.limit);
            // Units that have come back since the guard was asked are not known of before it is asked again.
            let soonest = Millis::from(remaining < kept.limit);
            *view = WindowView {
                window: kept.window,
                limit: kept.limit,
                remaining,
                reset_in: kept.reset_at.saturating_sub(now).max(soonest),
            };
            views.count += 1;
        }
        views
    }
}
