//! How a key's limited windows stand for a caller.

use std::ops::Deref;

use super::QuotaRefusal;
use crate::Millis;
use crate::ledger::Standing;
use crate::ratelimit::tightest;
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

impl Views {
    /// The views for a caller who is refused. The window with the least left is one without room; of it less is left than
    /// the request costs, and its reset is when a retry would succeed, where there is such a time: `RateLimit` and
    /// `Retry-After` should name the same moment (draft-ietf-httpapi-ratelimit-headers).
    pub fn of_refusal(mut self, cost: u32, refusal: &QuotaRefusal) -> Self {
        // A part may be in the gate's hands and a part at the guard: together they could be enough, but neither is.
        let least = self.iter().map(|view| view.remaining).min().unwrap_or(0);
        self.promise_at_most(cost.saturating_sub(1).min(least), &refusal.violated);
        // A window that had room, by the same word of the guard, is not what the caller waits for.
        let had_room = |view: &&mut WindowView| !refusal.violated.contains(&view.window);
        for view in self.views.iter_mut().filter(had_room) {
            view.remaining = view.remaining.max(cost);
        }
        let fits = self.iter().all(|view| cost <= view.limit);
        let place = tightest(&self).filter(|_| fits);
        if let Some(view) = place.and_then(|place| self.views.get_mut(place)) {
            view.reset_in = refusal.retry_in.max(1);
        }
        self
    }

    /// Promises no more than so many units in these windows.
    pub(super) fn promise_at_most(&mut self, units: u32, windows: &[Window]) {
        for view in &mut self.views {
            if windows.contains(&view.window) {
                view.remaining = view.remaining.min(units);
            }
        }
    }
}

/// What the guard said of the windows last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Kept {
    windows: Vec<KeptWindow>,
    /// The newest lease that was granted, and when that was heard.
    granted: Option<(u64, Millis)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct KeptWindow {
    window: Window,
    limit: u32,
    left: u32,
    reset_at: Millis,
}

impl Kept {
    /// Takes in what the guard says with the grant of a lease. Answers may overtake each other, but a guard's leases are
    /// numbered in the order in which they are granted. What an overtaken answer says is not taken in: the units of the
    /// newer lease were still to be had then, and would be counted twice.
    pub fn keep_granted(
        &mut self,
        lease: u64,
        sent_at: Millis,
        now: Millis,
        standing: &[Standing],
    ) {
        let newer = self.granted.filter(|(newest, _)| lease < *newest);
        if newer.is_some_and(|(_, at)| sent_at <= at) {
            return;
        }
        self.granted = Some((lease, now));
        self.keep(now, standing);
    }

    /// Takes in what the guard says with a refusal. If a grant was heard since it was asked, the order of the two is not
    /// known: then the lesser counts.
    pub fn keep_refused(&mut self, sent_at: Millis, now: Millis, standing: &[Standing]) {
        let before = match self.granted {
            Some((_, at)) if sent_at <= at => std::mem::take(&mut self.windows),
            _ => Vec::new(),
        };
        self.keep(now, standing);
        for kept in &mut self.windows {
            let before = before.iter().find(|b| b.window == kept.window);
            kept.left = before.map_or(kept.left, |b| b.left.min(kept.left));
        }
    }

    fn keep(&mut self, now: Millis, standing: &[Standing]) {
        self.windows.clear();
        self.windows.extend(standing.iter().map(|s| KeptWindow {
            window: s.window,
            limit: s.limit,
            left: s.left,
            reset_at: now.saturating_add(s.reset_in),
        }));
    }

    /// Forgets it.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The views at `now` of a gate that has `own` units beside what is left for anybody.
    pub fn view(&self, now: Millis, own: u64) -> Views {
        let mut views = Views::default();
        for (view, kept) in views.views.iter_mut().zip(&self.windows) {
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
