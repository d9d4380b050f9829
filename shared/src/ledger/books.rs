//! All that a grant is debited to.

use super::balance::Balance;
use super::counters::{Limits, Line};
use super::open::{From, OpenLease};
use super::{Ask, Exhausted, Grant, Ledger, MOST_SHARES, Shared, Standing, UNLIMITED_GRANT};
use crate::Millis;
use crate::policy::{Holder, Policy};
use crate::record::{Credits, RateLimits};
use crate::window::DAY_MS;

/// All that a grant to a key is debited to: taken together or not at all.
#[derive(Debug)]
pub struct Books<'a> {
    /// The key's ledger.
    pub key: &'a mut Ledger,
    /// The key's limits.
    pub limits: &'a RateLimits,
    /// The key's credits, if it has any.
    pub credits: Option<&'a Credits>,
    /// The identity that the key belongs to, if any.
    pub identity: Option<(&'a str, &'a mut Shared)>,
    /// The plan of the key's account, if it has one.
    pub plan: Option<&'a mut Shared>,
}

impl<'a> Books<'a> {
    /// Those of a key that shares nothing and has no credits.
    pub fn of(key: &'a mut Ledger, limits: &'a RateLimits) -> Self {
        Self {
            key,
            limits,
            credits: None,
            identity: None,
            plan: None,
        }
    }

    /// Grants units as lease `id`, or says when there is room. Ids grow.
    ///
    /// All limits are taken together or not at all; a refusal takes nothing.
    ///
    /// # Errors
    /// [`Exhausted`] when anything has less left than is needed.
    pub fn grant(&mut self, id: u64, asked_at: Millis, ask: Ask) -> Result<Grant, Exhausted> {
        let now = self.advance(id, asked_at);
        let standing = self.standing(now);
        let need = u64::from(ask.need);
        let shares = self.key.open.held(now).saturating_add(1).min(MOST_SHARES);
        let (mut left, mut most) = (u64::from(UNLIMITED_GRANT).max(need), u64::MAX);
        for one in &standing {
            left = left.min(one.left);
            // Of what others spend of too it is not known how many hold some.
            let shares = if one.policy.is_shared() {
                MOST_SHARES
            } else {
                shares
            };
            most = most.min(one.left / shares);
        }
        if left < need {
            return Err(self.exhausted(asked_at, now, ask.need));
        }
        let ttl = ask.ttl.min(rest_of_day(now));
        let units = if ttl == 0 {
            need
        } else {
            u64::from(ask.want).min(most).max(need.max(1)).min(left)
        };
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        // Clocks read whole milliseconds and need not be in phase: what is before the end for the gate may
        // happen while this clock already reads the end, so the end's own bucket is the one that counts.
        let end = now.saturating_add(ttl);
        let from = self.debit(end, units);
        if ttl > 0 && units > 0 {
            self.key.open.push(OpenLease {
                id,
                units,
                end,
                from,
            });
        }
        Ok(Grant { units, ttl })
    }

    /// How all that is limited stands at `asked_at`, the key's own windows first.
    pub fn standing(&self, asked_at: Millis) -> Vec<Standing> {
        let now = self.clock(asked_at);
        let mut all = Vec::new();
        self.each_line(&mut |line| all.push(line.standing(asked_at, now)));
        all.extend(self.balance().map(|b| b.standing(asked_at, now)));
        all
    }

    fn exhausted(&self, asked_at: Millis, now: Millis, need: u32) -> Exhausted {
        let mut at = now;
        let mut violated = Vec::new();
        self.each_line(&mut |line| {
            if line.standing(now, now).left < u64::from(need) {
                violated.push(line.policy);
                at = at.max(line.fits_at(now, need));
            }
        });
        if let Some(balance) = self.balance()
            && balance.left() < u64::from(need)
        {
            violated.push(Policy::Credits);
            at = at.max(balance.reaches_at(now, u64::from(need)));
        }
        Exhausted {
            // The clock may lie behind the ledgers' time: then it has to catch up first.
            retry_in: at.saturating_sub(asked_at),
            violated,
        }
    }

    fn each_line(&self, see: &mut dyn FnMut(&Line<'_>)) {
        let own = Limits {
            rates: *self.limits,
            month: None,
        };
        self.key.counters.each_line(Holder::Key, &own, see);
        if let Some((_, identity)) = &self.identity {
            let limits = &identity.limits;
            identity.counters.each_line(Holder::Identity, limits, see);
        }
        if let Some(plan) = &self.plan {
            plan.counters.each_line(Holder::Plan, &plan.limits, see);
        }
    }

    fn balance(&self) -> Option<&Balance> {
        self.credits.and(self.key.balance.as_ref())
    }

    /// The latest moment that any of them has seen. They go by one clock.
    fn clock(&self, now: Millis) -> Millis {
        let mut now = self.key.counters.clock(now);
        if let Some((_, identity)) = &self.identity {
            now = identity.counters.clock(now);
        }
        if let Some(plan) = &self.plan {
            now = plan.counters.clock(now);
        }
        now
    }

    fn advance(&mut self, lease: u64, now: Millis) -> Millis {
        let now = self.clock(now);
        self.key.advance(now);
        if let Some((_, identity)) = &mut self.identity {
            identity.counters.advance(now);
        }
        if let Some(plan) = &mut self.plan {
            plan.counters.advance(now);
        }
        if let Some(credits) = self.credits {
            self.key.adopt(credits, lease, now);
        }
        now
    }

    fn debit(&mut self, at: Millis, units: u32) -> From {
        let mut from = From::default();
        self.key.counters.debit(Holder::Key, at, units);
        if let Some((name, identity)) = &mut self.identity {
            identity.counters.debit(Holder::Identity, at, units);
            from.identity = self.key.place_of(name);
        }
        if let Some(plan) = &mut self.plan {
            plan.counters.debit(Holder::Plan, at, units);
            from.plan = true;
        }
        if let (Some(_), Some(balance)) = (self.credits, &mut self.key.balance) {
            balance.debit(units);
            from.credits = true;
        }
        from
    }
}

/// Milliseconds until the last of the UTC day.
fn rest_of_day(now: Millis) -> Millis {
    DAY_MS - 1 - now % DAY_MS
}
