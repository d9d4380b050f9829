//! How all that limits a key stands for a caller.

use std::ops::Deref;

use super::QuotaRefusal;
use crate::Millis;
use crate::ledger::Standing;
use crate::policy::Policy;
use crate::ratelimit::tightest;
use crate::window::Window;

/// How a limit stands for a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyView {
    /// Which.
    pub policy: Policy,
    /// How many units.
    pub limit: u64,
    /// Units left, those in this gate's hands included.
    pub remaining: u64,
    /// In how many milliseconds units come back; 0 only when none are used. See [`crate::ledger::is_never`].
    pub reset_in: Millis,
}

/// The views of all that limits a key, in the order of [`Policy::ALL`]. In place, since every answer has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Views {
    views: [PolicyView; Policy::ALL.len()],
    count: usize,
}

impl Default for Views {
    /// Those of a key without limits.
    fn default() -> Self {
        let none = PolicyView {
            policy: Policy::Key(Window::Minute),
            limit: 0,
            remaining: 0,
            reset_in: 0,
        };
        Self {
            views: [none; Policy::ALL.len()],
            count: 0,
        }
    }
}

impl Deref for Views {
    type Target = [PolicyView];

    fn deref(&self) -> &[PolicyView] {
        self.views.get(..self.count).unwrap_or_default()
    }
}

impl Views {
    /// The views for a caller who is refused. The policy with the least left is one without room; of it less is left than
    /// the request costs, and its reset is when a retry would succeed, where there is such a time: `RateLimit` and
    /// `Retry-After` should name the same moment (draft-ietf-httpapi-ratelimit-headers).
    pub fn of_refusal(mut self, cost: u32, refusal: &QuotaRefusal) -> Self {
        // A part may be in the gate's hands and a part at the guard: together they could be enough, but neither is.
        let least = self.iter().map(|view| view.remaining).min().unwrap_or(0);
        let cost = u64::from(cost);
        self.promise_at_most(cost.saturating_sub(1).min(least), &refusal.violated);
        // One that had room, by the same word of the guard, is not what the caller waits for.
        let had_room = |view: &&mut PolicyView| !refusal.violated.contains(&view.policy);
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

    /// Promises no more than so many units of these.
    pub(super) fn promise_at_most(&mut self, units: u64, policies: &[Policy]) {
        for view in &mut self.views {
            if policies.contains(&view.policy) {
                view.remaining = view.remaining.min(units);
            }
        }
    }
}

/// What the guard said of the limits last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Kept {
    limits: Vec<KeptLimit>,
    /// The newest lease that was granted, and when that was heard.
    granted: Option<(u64, Millis)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct KeptLimit {
    policy: Policy,
    limit: u64,
    left: u64,
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
            Some((_, at)) if sent_at <= at => std::mem::take(&mut self.limits),
            _ => Vec::new(),
        };
        self.keep(now, standing);
        for kept in &mut self.limits {
            let before = before.iter().find(|b| b.policy == kept.policy);
            kept.left = before.map_or(kept.left, |b| b.left.min(kept.left));
        }
    }

    fn keep(&mut self, now: Millis, standing: &[Standing]) {
        self.limits.clear();
        self.limits.extend(standing.iter().map(|s| KeptLimit {
            policy: s.policy,
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
        for (view, kept) in views.views.iter_mut().zip(&self.limits) {
            let remaining = kept.left.saturating_add(own).min(kept.limit);
            // Units that have come back since the guard was asked are not known of before it is asked again.
            let soonest = Millis::from(remaining < kept.limit);
            *view = PolicyView {
                policy: kept.policy,
                limit: kept.limit,
                remaining,
                reset_in: kept.reset_at.saturating_sub(now).max(soonest),
            };
            views.count += 1;
        }
        views
    }
}
