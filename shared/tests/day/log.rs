//! The log of every grant, admission and change, and what must be true of it.

use std::collections::BTreeMap;

use shared::Millis;
use shared::record::RateLimits;
use shared::window::Window;

use super::record::LEASE_MS;

/// A grant.
#[derive(Debug, Clone)]
struct Grant {
    limits: RateLimits,
    /// When it was decided, in true time and on the ledger's clock.
    decided: (Millis, Millis),
    /// Its end on the ledger's clock.
    end: Millis,
}

#[derive(Debug, Clone, Copy)]
struct Admission {
    /// In true time.
    at: Millis,
    /// On the ledger's clock, and by the end of its lease at the latest.
    ledger_at: Millis,
    cost: u32,
    grant: usize,
}

/// All that happened to a key.
#[derive(Debug, Default)]
pub struct Log {
    grants: Vec<Grant>,
    admitted: Vec<Admission>,
    /// When each version came into force at the guard.
    versions: BTreeMap<u64, Millis>,
}

impl Log {
    /// A version is in force from now on.
    pub fn change(&mut self, version: u64, now: Millis) {
        self.versions.insert(version, now);
    }

    /// The guard granted units for a time; it is so late by true time and on the ledger's clock.
    pub fn grant(&mut self, limits: RateLimits, decided: (Millis, Millis), ttl: Millis) -> usize {
        let end = decided.1 + ttl;
        self.grants.push(Grant {
            limits,
            decided,
            end,
        });
        self.grants.len() - 1
    }

    /// Units were admitted by the guard's decision.
    pub fn admit_decided(&mut self, cost: u32, grant: usize) {
        let (at, ledger_at) = self.grants[grant].decided;
        self.admit(at, ledger_at, cost, grant);
    }

    /// Units were admitted.
    pub fn admit(&mut self, at: Millis, ledger_now: Millis, cost: u32, grant: usize) {
        self.admitted.push(Admission {
            at,
            ledger_at: ledger_now.min(self.grants[grant].end),
            cost,
            grant,
        });
    }

    /// A request was decided on a version of the record: one that was in force within the lease time.
    pub fn check_version(&self, version: u64, now: Millis, slack: Millis) -> Result<(), String> {
        match self.versions.range(version + 1..).next() {
            // Clocks read whole milliseconds.
            Some((next, at)) if now > at + LEASE_MS + slack + 1 => Err(format!(
                "decided on version {version} {} ms, more than {LEASE_MS} ms after version {next} was in force",
                now - at
            )),
            _ => Ok(()),
        }
    }

    /// No window was ever over its limit, by true time but for windows in which the guard's clock stepped, and by the
    /// ledger's clock always.
    pub fn check_limits(&self, guard_steps: &[Millis]) -> Result<(), String> {
        for window in [Window::Minute, Window::Hour] {
            let span = window.span();
            self.check_rolling(window, |a| a.ledger_at, |_| true)?;
            self.check_rolling(
                window,
                |a| a.at,
                |end| {
                    let steps = &mut guard_steps.iter();
                    steps.all(|step| *step > end || *step + span + 2 * LEASE_MS < end)
                },
            )?;
        }
        self.check_days()
    }

    /// In the order of the grants, since limits change: with each, all that was granted before and falls into one window
    /// had to leave room for it under the limit then in force.
    fn check_rolling(
        &self,
        window: Window,
        time: impl Fn(&Admission) -> Millis,
        counts: impl Fn(Millis) -> bool,
    ) -> Result<(), String> {
        let mut by_time: Vec<&Admission> = self.admitted.iter().collect();
        by_time.sort_by_key(|a| time(a));
        let times: Vec<Millis> = by_time.iter().map(|a| time(a)).collect();
        let mut by_grant: Vec<usize> = (0..by_time.len()).collect();
        by_grant.sort_by_key(|place| by_time[*place].grant);
        let mut sums = Sums::new(by_time.len());
        for of_grant in by_grant.chunk_by(|a, b| by_time[*a].grant == by_time[*b].grant) {
            for place in of_grant {
                sums.add(*place, by_time[*place].cost);
            }
            let limit = of_grant.first().and_then(|place| {
                let grant = &self.grants[by_time[*place].grant];
                grant.limits.of(window)
            });
            let Some(limit) = limit else { continue };
            for place in of_grant {
                // Grants before this one may have been spent somewhat later than it.
                let last = times[*place] + 2 * LEASE_MS;
                let ends = (*place..times.len()).take_while(|end| times[*end] <= last);
                for end in ends.filter(|end| counts(times[*end])) {
                    let start = times.partition_point(|t| t + window.span() <= times[end]);
                    let sum = sums.of(start, end);
                    if *place >= start && sum > u64::from(limit) {
                        let at = times[end];
                        return Err(format!(
                            "over the limit: {sum} of {limit} in the {window:?} to {at}"
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    fn check_days(&self) -> Result<(), String> {
        let mut in_order = self.admitted.clone();
        in_order.sort_by_key(|a| a.grant);
        let mut sums: BTreeMap<u64, u64> = BTreeMap::new();
        for admission in in_order {
            let sum = sums
                .entry(Window::Day.bucket(admission.ledger_at))
                .or_default();
            *sum += u64::from(admission.cost);
            let limit = self.grants[admission.grant].limits.requests_per_day;
            if let Some(limit) = limit.filter(|limit| *sum > u64::from(*limit)) {
                return Err(format!("over the limit: {sum} of {limit} in a day"));
            }
        }
        Ok(())
    }
}

/// Sums over ranges of a list that is filled in any order (a Fenwick tree).
struct Sums(Vec<u64>);

impl Sums {
    fn new(len: usize) -> Self {
        Self(vec![0; len + 1])
    }

    fn add(&mut self, place: usize, cost: u32) {
        let mut node = place + 1;
        while node < self.0.len() {
            self.0[node] += u64::from(cost);
            node += node & node.wrapping_neg();
        }
    }

    /// From `first` to `last`, both included.
    fn of(&self, first: usize, last: usize) -> u64 {
        self.below(last + 1) - self.below(first)
    }

    fn below(&self, place: usize) -> u64 {
        let (mut node, mut sum) = (place, 0);
        while node > 0 {
            sum += self.0[node];
            node &= node - 1;
        }
        sum
    }
}
