//! Every grant and every admission, and what must be true of them. True time is in microseconds, so that
//! clocks that read whole milliseconds can be out of phase.

use shared::Millis;
use shared::ledger::REPORT_GRACE_MS;
use shared::record::RateLimits;
use shared::window::Window;

use super::naive::{counts, span_ms};
use crate::quota::Mutation;

/// A grant of the guard's.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Its lease.
    pub lease: u64,
    /// Its units.
    pub units: u32,
    /// When that was for the ledger.
    pub ledger_now: Millis,
    /// How long its units may be spent.
    pub ttl: Millis,
    /// The limits then.
    pub limits: RateLimits,
    spent: u32,
    /// What was reported, and when that was for the ledger.
    reported: Option<(u32, Millis)>,
    /// Lost in a crash before anybody heard of it.
    void: bool,
}

impl Grant {
    /// A grant, just decided.
    pub fn new(
        (lease, units): (u64, u32),
        (ledger_now, ttl): (Millis, Millis),
        limits: RateLimits,
    ) -> Self {
        Self {
            lease,
            units,
            ledger_now,
            ttl,
            limits,
            spent: 0,
            reported: None,
            void: false,
        }
    }

    /// The last moment, for the ledger, at which a unit of it can be spent.
    fn last(&self) -> Millis {
        self.ledger_now + self.ttl
    }

    /// When its units count: those reported in time from the report on at the latest, the others at its end.
    fn counted(&self) -> (u32, Millis) {
        match self.reported {
            Some((spent, at)) if self.ttl > 0 && at < self.last() + REPORT_GRACE_MS => {
                (spent, at.min(self.last()))
            }
            _ => (self.units, self.last()),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Admission {
    at: u64,
    cost: u32,
    grant: usize,
    day: u64,
}

/// All that happened.
#[derive(Debug, Clone)]
pub struct Truth {
    /// In the order of the guard's decisions.
    pub grants: Vec<Grant>,
    admitted: Vec<Admission>,
    kept: Vec<Option<(u32, Millis)>>,
    /// With a guard that does not keep its books, only the limits are looked at.
    mutation: Mutation,
}

impl Truth {
    /// Nothing has happened.
    pub fn new(mutation: Mutation) -> Self {
        Self {
            grants: Vec::new(),
            admitted: Vec::new(),
            kept: Vec::new(),
            mutation,
        }
    }

    /// Admits `cost` units of a grant at a true time, when the guard's ledger would read `ledger_now`.
    pub fn admit(
        &mut self,
        at: u64,
        cost: u32,
        grant: usize,
        ledger_now: Millis,
    ) -> Result<(), String> {
        let Grant { spent, .. } = &mut self.grants[grant];
        *spent += cost;
        let admission = Admission {
            at,
            cost,
            grant,
            day: ledger_now / span_ms(Window::Day),
        };
        self.admitted.push(admission);
        for window in Window::OF_RATES {
            self.check_limit(window, &admission)?;
        }
        if !self.mutation.keeps_books() {
            return Ok(());
        }
        let grant = &self.grants[grant];
        if grant.spent > grant.units {
            return Err(format!("more spent than granted: {grant:?}"));
        }
        if ledger_now > grant.last() {
            return Err(format!("spent at {ledger_now}, too late: {grant:?}"));
        }
        if grant.reported.is_some() {
            return Err(format!("spent after it was reported: {grant:?}"));
        }
        Ok(())
    }

    /// Every window that contains the admission, in the order of the grants: when one was decided, all that
    /// was granted before and falls into the window had to leave room for it under the limit then in force.
    fn check_limit(&self, window: Window, new: &Admission) -> Result<(), String> {
        let span = span_ms(window) * 1_000;
        if window == Window::Day {
            return self.check_window(window, |a| a.day == new.day);
        }
        for start in self.admitted.iter().map(|a| a.at) {
            if start <= new.at && new.at < start + span {
                self.check_window(window, |a| start <= a.at && a.at < start + span)?;
            }
        }
        Ok(())
    }

    fn check_window(
        &self,
        window: Window,
        within: impl Fn(&Admission) -> bool,
    ) -> Result<(), String> {
        let mut by_grant = vec![0; self.grants.len()];
        for admission in self.admitted.iter().filter(|a| within(a)) {
            by_grant[admission.grant] += admission.cost;
        }
        let mut sum = 0;
        for (grant, cost) in self.grants.iter().zip(by_grant) {
            sum += cost;
            if cost > 0 && grant.limits.of(window).is_some_and(|limit| sum > limit) {
                return Err(format!("over the limit: {window:?} {sum}, by {grant:?}"));
            }
        }
        Ok(())
    }

    /// The guard took a report of a lease.
    pub fn report(
        &mut self,
        lease: u64,
        spent: u32,
        back: u32,
        ledger_now: Millis,
    ) -> Result<(), String> {
        if !self.mutation.keeps_books() {
            return Ok(());
        }
        let Some(grant) = self.grants.iter_mut().find(|grant| grant.lease == lease) else {
            return Err(format!(
                "a report of lease {lease}, which was never granted"
            ));
        };
        let rest = match ledger_now < grant.last() + REPORT_GRACE_MS {
            true if grant.ttl > 0 => grant.units.saturating_sub(grant.spent),
            _ => 0,
        };
        if grant.reported.is_some() || grant.spent != spent || rest != back {
            return Err(format!("reported {spent}, given back {back}: {grant:?}"));
        }
        grant.reported = Some((spent, ledger_now));
        Ok(())
    }

    /// What the guard knows is kept.
    pub fn keep(&mut self) {
        self.kept = self.grants.iter().map(|grant| grant.reported).collect();
    }

    /// The guard forgot what was not kept.
    pub fn forget(&mut self) {
        for (place, grant) in self.grants.iter_mut().enumerate() {
            match self.kept.get(place) {
                Some(reported) => grant.reported = *reported,
                None => grant.void = true,
            }
        }
    }

    /// Units that a ledger must count in a window.
    pub fn used(&self, window: Window, ledger_now: Millis) -> u64 {
        let granted = self.grants.iter().filter(|grant| !grant.void);
        granted
            .map(Grant::counted)
            .filter(|(_, at)| counts(window, *at, ledger_now))
            .map(|(units, _)| u64::from(units))
            .sum()
    }

    /// Units admitted in the window that ends with `now`, to the microsecond.
    pub fn admitted(&self, window: Window, now: u64, ledger_now: Millis) -> u64 {
        let span = span_ms(window) * 1_000;
        let recent = self.admitted.iter().filter(|a| match window {
            Window::Day | Window::Month => a.day == ledger_now / span_ms(window),
            Window::Minute | Window::Hour => now < a.at + span,
        });
        recent.map(|a| u64::from(a.cost)).sum()
    }

    /// When the `pick`-th unit admitted leaves the rolling window, in true microseconds.
    pub fn leaves_at(&self, window: Window, pick: usize) -> Option<u64> {
        let place = pick.checked_rem(self.admitted.len())?;
        let admission = self.admitted.get(place)?;
        Some(admission.at + span_ms(window) * 1_000)
    }
}
