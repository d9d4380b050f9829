//! Several keys, the identities and the plan that they share, and their credits, against a plain list of leases and of
//! what admins set: any asks, reports and changes, also such as no gate makes, over days and months.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::{TestError, TestRng, TestRunner};
use shared::Millis;
use shared::guard::{Shares, answer};
use shared::ledger::{Ledger, REPORT_GRACE_MS, Shared, is_never};
use shared::message::{KeyAnswer, KeyAsk};
use shared::policy::{Holder, Policy};
use shared::record::{Credits, IdentityRecord, Interval, KeyRecord, RateLimits, Refill};
use shared::window::Window;

use super::calendar::NaiveCredits;
use super::config;
use super::naive::{counts, span_ms};
use crate::quota::{hash, record};

const KEYS: usize = 3;
const IDENTITIES: usize = 2;
/// Days since the epoch: the first of a year, the first after a leap day, and one within a month.
const MIDNIGHTS: [u64; 3] = [19_723, 19_783, 20_000];

/// A deliberate fault, to show that the checks can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// A crash keeps what a lease took of its key, and not what it took of what is shared.
    HalfKept,
    /// Units come back to the identity that the key names now, not to where they were taken.
    GivenBackElsewhere,
    /// A crash forgets a key's balance.
    BalanceForgotten,
    /// Units of a report come back to the plan each time it is repeated.
    GivenBackTwice,
}

#[derive(Debug, Clone)]
enum Op {
    Ask {
        key: usize,
        want: u32,
        need: u32,
        ttl: Millis,
    },
    /// Reports the `pick`-th grant so far, repeated or not.
    Close {
        pick: usize,
        spent: u32,
    },
    Advance(Millis),
    StepBack(Millis),
    /// The guard starts again from what it kept.
    Restart,
    Limits {
        key: usize,
        limits: RateLimits,
    },
    Identity {
        key: usize,
        identity: Option<usize>,
    },
    Credits {
        key: usize,
        credits: Option<Credits>,
    },
    IdentityLimits {
        identity: usize,
        limits: RateLimits,
        deleted: bool,
    },
    Plan(Option<u64>),
}

fn limits() -> impl Strategy<Value = RateLimits> {
    let limit = || option::weighted(0.4, 1..=60_u32);
    (limit(), limit(), limit()).prop_map(|(minute, hour, day)| RateLimits {
        requests_per_minute: minute,
        requests_per_hour: hour,
        requests_per_day: day,
    })
}

fn credits() -> impl Strategy<Value = Credits> {
    let interval = prop_oneof![2 => Just(Interval::Daily), 1 => Just(Interval::Monthly)];
    let refill = (0..=40_u64, interval).prop_map(|(amount, interval)| Refill { amount, interval });
    (0..4_u64, 0..=80_u64, option::weighted(0.7, refill)).prop_map(|(serial, granted, refill)| {
        Credits {
            serial,
            granted,
            refill,
        }
    })
}

fn op() -> impl Strategy<Value = Op> {
    let units = || prop_oneof![8 => 0..=12_u32, 1 => 12..=100_u32];
    let ttl = prop_oneof![1 => Just(0), 6 => 1..=5_000_u64];
    let time = prop_oneof![
        4 => 0..=2_000_u64,
        2 => 1_000..=70_000_u64,
        1 => 3_590_000..=3_700_000_u64,
        1 => 1..=span_ms(Window::Day),
        1 => 1..=40 * span_ms(Window::Day),
    ];
    let ask = (0..KEYS, units(), 1..=8_u32, ttl);
    prop_oneof![
        10 => ask.prop_map(|(key, want, need, ttl)| Op::Ask { key, want, need, ttl }),
        6 => (any::<usize>(), units()).prop_map(|(pick, spent)| Op::Close { pick, spent }),
        5 => time.prop_map(Op::Advance),
        1 => (0..=90_000_u64).prop_map(Op::StepBack),
        1 => Just(Op::Restart),
        1 => (0..KEYS, limits()).prop_map(|(key, limits)| Op::Limits { key, limits }),
        1 => (0..KEYS, option::weighted(0.8, 0..=IDENTITIES))
            .prop_map(|(key, identity)| Op::Identity { key, identity }),
        1 => (0..KEYS, option::weighted(0.8, credits()))
            .prop_map(|(key, credits)| Op::Credits { key, credits }),
        1 => (0..IDENTITIES, limits(), prop::bool::weighted(0.1))
            .prop_map(|(identity, limits, deleted)| Op::IdentityLimits { identity, limits, deleted }),
        1 => option::weighted(0.8, 0..=200_u64).prop_map(Op::Plan),
    ]
}

#[derive(Debug, Clone)]
struct Lease {
    key: usize,
    id: u64,
    units: u32,
    decided: Millis,
    end: Millis,
    open: bool,
    /// What was reported spent, and when that was for the key, its identity and the plan.
    reported: Option<(u32, [Millis; 3])>,
    identity: Option<usize>,
    plan: bool,
    credits: bool,
}

impl Lease {
    /// Units that count, and when, for a holder.
    fn counted(&self, holder: Holder) -> (u32, Millis) {
        match self.reported {
            Some((spent, at)) => (spent, at[holder as usize].min(self.end)),
            None => (self.units, self.end),
        }
    }
}

/// What happened to the credits of a key, in order.
#[derive(Debug, Clone)]
enum Event {
    Terms(Credits, Millis),
    Lease(usize),
}

/// The guard's books, and the list that they are held against.
#[derive(Debug, Clone)]
struct Pair {
    records: Vec<KeyRecord>,
    ledgers: Vec<Ledger>,
    identities: Vec<Shared>,
    plan: Shared,
    identity_limits: Vec<RateLimits>,
    plan_limit: Option<u64>,
    leases: Vec<Lease>,
    events: Vec<Vec<Event>>,
    /// The latest moment that the book of each key, of each identity and of the plan has seen.
    latest: [Vec<Millis>; 3],
    clock: Millis,
    fault: Fault,
    seen: Seen,
}

/// How often a run reached what it is about.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    granted: u64,
    refused_by: [u64; 3],
    refused_by_credits: u64,
    never: u64,
    given_back: u64,
}

type Checked = Result<(), String>;

macro_rules! holds {
    ($what:expr, $($about:tt)+) => {
        if !$what {
            return Err(format!($($about)+));
        }
    };
}

fn identity_name(identity: usize) -> String {
    format!("idn_{identity}")
}

impl Pair {
    fn new(clock: Millis, fault: Fault) -> Self {
        let zero = |count| vec![0; count];
        Self {
            records: (0..KEYS)
                .map(|_| record(1, RateLimits::default(), false))
                .collect(),
            ledgers: vec![Ledger::default(); KEYS],
            identities: vec![Shared::default(); IDENTITIES],
            plan: Shared::default(),
            identity_limits: vec![RateLimits::default(); IDENTITIES],
            plan_limit: None,
            leases: Vec::new(),
            events: vec![Vec::new(); KEYS],
            latest: [zero(KEYS), zero(IDENTITIES), zero(1)],
            clock,
            fault,
            seen: Seen::default(),
        }
    }

    fn apply(&mut self, op: &Op) -> Checked {
        match op {
            Op::Ask {
                key,
                want,
                need,
                ttl,
            } => self.ask(*key, *want, *need, *ttl)?,
            Op::Close { pick, spent } => self.close(*pick, *spent)?,
            Op::Advance(ms) => self.clock += ms,
            Op::StepBack(ms) => self.clock -= ms,
            Op::Restart => self.restart()?,
            Op::Limits { key, limits } => self.records[*key].limits = *limits,
            Op::Identity { key, identity } => {
                self.records[*key].identity = identity.map(identity_name);
            }
            Op::Credits { key, credits } => self.set_credits(*key, credits.clone()),
            Op::IdentityLimits {
                identity,
                limits,
                deleted,
            } => {
                let record = IdentityRecord {
                    id: identity_name(*identity),
                    version: 1,
                    account: "acc_1".into(),
                    ancestors: Vec::new(),
                    limits: *limits,
                    deleted: *deleted,
                };
                self.identities[*identity].limit_identity(&record);
                self.identity_limits[*identity] = if *deleted { nothing() } else { *limits };
            }
            Op::Plan(limit) => {
                self.plan.limit_plan(*limit);
                self.plan_limit = *limit;
            }
        }
        (0..KEYS).try_for_each(|key| self.check(key))
    }

    fn identity_of(&self, key: usize) -> Option<usize> {
        let name = self.records[key].identity.as_deref()?;
        (0..IDENTITIES).find(|n| identity_name(*n) == name)
    }

    /// The moment that it is for all that a key's lease is debited to.
    fn now(&self, key: usize) -> Millis {
        let mut now = self.clock.max(self.latest[0][key]);
        if let Some(identity) = self.identity_of(key) {
            now = now.max(self.latest[1][identity]);
        }
        if self.plan_limit.is_some() {
            now = now.max(self.latest[2][0]);
        }
        now
    }

    fn answer(
        &mut self,
        key: usize,
        ask: &KeyAsk,
        lease: u64,
        now: Millis,
        ttl: Millis,
    ) -> KeyAnswer {
        let identity = self.identity_of(key);
        let shares = Shares {
            identity: identity.map(|n| &mut self.identities[n]),
            plan: Some(&mut self.plan),
        };
        let (record, ledger) = (&self.records[key], &mut self.ledgers[key]);
        answer(Some(record), ledger, shares, ask, lease, now, ttl)
    }

    fn set_credits(&mut self, key: usize, credits: Option<Credits>) {
        if let Some(credits) = &credits {
            // As a push does.
            let now = self.clock.max(self.latest[0][key]);
            self.latest[0][key] = now;
            let lease = self.next_lease();
            self.ledgers[key].adopt(credits, lease, now);
            self.events[key].push(Event::Terms(credits.clone(), now));
        }
        self.records[key].credits = credits;
    }

    fn next_lease(&self) -> u64 {
        self.leases.len() as u64
    }

    fn ask(&mut self, key: usize, want: u32, need: u32, ttl: Millis) -> Checked {
        let now = self.now(key);
        let left = self.lines(key, now);
        let ask = KeyAsk {
            hash: hash(),
            version: 1,
            want,
            need,
        };
        let before = self.clone();
        let id = self.next_lease();
        match self.answer(key, &ask, id, self.clock, ttl) {
            KeyAnswer::Granted {
                units,
                ttl: given,
                standing,
                ..
            } => {
                self.seen.granted += 1;
                self.touch(key, now);
                let least = left.iter().map(|(_, left, _)| *left).min();
                holds!(
                    units >= need && units <= need.max(want).max(1),
                    "{units} for {ask:?}"
                );
                holds!(
                    least.is_none_or(|least| i128::from(units) <= least),
                    "over the limit: {units} granted, {left:?} left"
                );
                holds!(given <= ttl, "a longer lease");
                let end = now + given;
                holds!(
                    end / span_ms(Window::Day) == now / span_ms(Window::Day),
                    "over midnight"
                );
                holds!(standing.len() == left.len(), "{standing:?} {left:?}");
                let lease = Lease {
                    key,
                    id,
                    units,
                    decided: now,
                    end,
                    open: given > 0,
                    reported: None,
                    identity: self.identity_of(key),
                    plan: self.plan_limit.is_some(),
                    credits: self.records[key].credits.is_some(),
                };
                if lease.credits {
                    self.events[key].push(Event::Lease(self.leases.len()));
                }
                self.leases.push(lease);
                if self.fault == Fault::HalfKept {
                    self.identities = before.identities;
                    self.plan = before.plan;
                }
            }
            KeyAnswer::Exhausted {
                violated, retry_in, ..
            } => {
                // Nothing is kept of a refusal, but the time, which these books remember.
                let lacking = left.iter().filter(|(_, left, _)| *left < i128::from(need));
                let lacking: Vec<_> = lacking.map(|(policy, ..)| *policy).collect();
                holds!(
                    violated == lacking,
                    "lacking {lacking:?}, named {violated:?}"
                );
                self.count_refusal(&violated, retry_in);
                let never = left.iter().any(|(_, left, ever)| {
                    *left < i128::from(need) && ever.is_none_or(|most| most < u64::from(need))
                });
                holds!(is_never(retry_in) == never, "{retry_in}: {left:?}");
                self.touch(key, now);
                if !never {
                    let grants = |at| {
                        let mut then = self.clone();
                        let answer = then.answer(key, &ask, id, at, ttl);
                        matches!(answer, KeyAnswer::Granted { .. })
                    };
                    let at = self.clock + retry_in;
                    holds!(grants(at), "promised room for {need} at {at}");
                    holds!(!grants(at - 1), "room for {need} before {at}");
                }
            }
            other => return Err(format!("{other:?}")),
        }
        Ok(())
    }

    fn count_refusal(&mut self, violated: &[Policy], retry_in: Millis) {
        for policy in violated {
            match policy {
                Policy::Key(_) => self.seen.refused_by[0] += 1,
                Policy::Identity(_) => self.seen.refused_by[1] += 1,
                Policy::Month => self.seen.refused_by[2] += 1,
                Policy::Credits => self.seen.refused_by_credits += 1,
            }
        }
        self.seen.never += u64::from(is_never(retry_in));
    }

    /// All that a key's lease is debited to has seen this moment.
    fn touch(&mut self, key: usize, now: Millis) {
        self.latest[0][key] = now;
        if let Some(identity) = self.identity_of(key) {
            self.latest[1][identity] = now;
        }
        if self.plan_limit.is_some() {
            self.latest[2][0] = now;
        }
    }

    fn close(&mut self, pick: usize, spent: u32) -> Checked {
        let Some(place) = pick.checked_rem(self.leases.len()) else {
            return Ok(());
        };
        let Lease {
            key,
            id,
            end,
            units,
            open,
            identity,
            plan,
            ..
        } = self.leases[place];
        let now = self.clock.max(self.latest[0][key]);
        self.latest[0][key] = now;
        let in_time = open && now < end + REPORT_GRACE_MS;
        let closed = self.ledgers[key].close(id, self.clock, spent);
        self.leases[place].open = false;
        holds!(
            closed.is_some() == in_time,
            "closed {closed:?}, in time: {in_time}"
        );
        let Some(closed) = closed else {
            if self.fault == Fault::GivenBackTwice && plan {
                let again = shared::ledger::Closed {
                    units,
                    spent,
                    end,
                    identity: None,
                    plan,
                };
                self.plan.take_back(Holder::Plan, &again, self.clock);
            }
            return Ok(());
        };
        let spent = spent.min(units);
        holds!(closed.back() == units - spent, "{closed:?}");
        self.seen.given_back += u64::from(closed.back());
        let mut at = [now; 3];
        let named = closed.identity.clone();
        holds!(
            named == identity.map(identity_name),
            "{closed:?} of {identity:?}"
        );
        let to = match self.fault {
            Fault::GivenBackElsewhere => self.identity_of(key),
            _ => identity,
        };
        if let Some(n) = to {
            self.latest[1][n] = self.clock.max(self.latest[1][n]);
            at[1] = self.latest[1][n];
            self.identities[n].take_back(Holder::Identity, &closed, self.clock);
        }
        holds!(closed.plan == plan, "{closed:?}");
        if plan {
            self.latest[2][0] = self.clock.max(self.latest[2][0]);
            at[2] = self.latest[2][0];
            self.plan.take_back(Holder::Plan, &closed, self.clock);
        }
        self.leases[place].reported = Some((spent, at));
        Ok(())
    }

    fn restart(&mut self) -> Checked {
        for ledger in &mut self.ledgers {
            let text = shared::write::to_string(ledger);
            let read: Ledger = shared::read::from_str(&text).map_err(|e| e.to_string())?;
            holds!(read == *ledger, "kept as {text}, read as {read:?}");
            *ledger = read;
            if self.fault == Fault::BalanceForgotten {
                let text = text.replace("\"credits\":", "\"forgotten\":");
                *ledger = shared::read::from_str(&text).map_err(|e| e.to_string())?;
            }
        }
        for shared in self.identities.iter().chain([&self.plan]) {
            let text = shared::write::to_string(shared);
            let read: Shared = shared::read::from_str(&text).map_err(|e| e.to_string())?;
            holds!(read == *shared, "kept as {text}, read as {read:?}");
        }
        Ok(())
    }

    /// What limits a key: what is left by the list, and the most that it could ever be again; `None`: it stays as it is.
    fn lines(&self, key: usize, now: Millis) -> Vec<(Policy, i128, Option<u64>)> {
        let record = &self.records[key];
        let mut lines = Vec::new();
        let mut add = |holder: Holder, window: Window, limit: u64| {
            let used = self.used(holder, key, window, now);
            let left = i128::from(limit) - i128::from(used);
            lines.push((holder.policy(window), left, Some(limit)));
        };
        for window in Window::OF_RATES {
            if let Some(limit) = record.limits.of(window) {
                add(Holder::Key, window, u64::from(limit));
            }
        }
        if record.identity.is_some() {
            let limits = self.identity_of(key).map(|n| self.identity_limits[n]);
            for window in Window::OF_RATES {
                if let Some(limit) = limits.unwrap_or(nothing()).of(window) {
                    add(Holder::Identity, window, u64::from(limit));
                }
            }
        }
        if let Some(limit) = self.plan_limit {
            add(Holder::Plan, Window::Month, limit);
        }
        if let Some(credits) = &record.credits {
            let mut naive = NaiveCredits::default();
            for event in &self.events[key] {
                match event {
                    Event::Terms(terms, at) => naive.adopt(terms, *at),
                    Event::Lease(place) => {
                        let lease = &self.leases[*place];
                        naive.spend(lease.decided, lease.counted(Holder::Key).0);
                    }
                }
            }
            naive.pass_to(now);
            let ever = credits.refill.map(|refill| refill.amount);
            lines.push((Policy::Credits, naive.left, ever));
        }
        lines
    }

    fn used(&self, holder: Holder, key: usize, window: Window, now: Millis) -> u64 {
        let identity = self.identity_of(key);
        let of_holder = self.leases.iter().filter(|lease| match holder {
            Holder::Key => lease.key == key,
            Holder::Identity => lease.identity == identity && identity.is_some(),
            Holder::Plan => lease.plan,
        });
        let counted = of_holder.map(|lease| lease.counted(holder));
        counted
            .filter(|(_, at)| counts(window, *at, now))
            .map(|(units, _)| u64::from(units))
            .sum()
    }

    /// The books say what the list says.
    fn check(&mut self, key: usize) -> Checked {
        let now = self.now(key);
        let lines = self.lines(key, now);
        // The answer that a question for more than there ever is gets tells how all stands, and changes nothing.
        let ask = KeyAsk {
            hash: hash(),
            version: 1,
            want: 0,
            need: u32::MAX,
        };
        let mut then = self.clone();
        let standing = match then.answer(key, &ask, self.next_lease(), self.clock, 0) {
            KeyAnswer::Exhausted { standing, .. } | KeyAnswer::Granted { standing, .. } => standing,
            other => return Err(format!("{other:?}")),
        };
        let told: Vec<_> = standing
            .iter()
            .map(|s| (s.policy, i128::from(s.left)))
            .collect();
        let expected = lines.iter().map(|(p, left, _)| (*p, (*left).max(0)));
        let expected: Vec<_> = expected.collect();
        holds!(told == expected, "key {key}: {told:?}, not {expected:?}");
        for standing in standing {
            holds!(standing.left <= standing.limit, "{standing:?}");
        }
        Ok(())
    }
}

fn nothing() -> RateLimits {
    RateLimits {
        requests_per_minute: Some(0),
        requests_per_hour: Some(0),
        requests_per_day: Some(0),
    }
}

fn run(start: Millis, ops: &[Op], fault: Fault) -> Result<Seen, String> {
    let mut pair = Pair::new(start, fault);
    ops.iter().try_for_each(|op| pair.apply(op))?;
    Ok(pair.seen)
}

fn start() -> impl Strategy<Value = Millis> {
    let before = prop_oneof![2 => 0..100_000_u64, 1 => 0..span_ms(Window::Day)];
    (0..MIDNIGHTS.len(), before)
        .prop_map(|(n, before)| MIDNIGHTS[n] * span_ms(Window::Day) - before)
}

proptest! {
    #![proptest_config(config(512))]

    #[test]
    fn books_of_several_keys_say_what_a_list_of_leases_says_whatever_is_asked_reported_and_changed(
        start in start(),
        ops in vec(op(), 1..120),
    ) {
        run(start, &ops, Fault::None).map_err(TestCaseError::fail)?;
    }
}

/// Looks for a run that violates something, always along the same cases.
fn counterexample(fault: Fault) -> String {
    let config = proptest::test_runner::Config {
        failure_persistence: None,
        ..config(512)
    };
    let rng = TestRng::deterministic_rng(config.rng_algorithm);
    let runs = (start(), vec(op(), 1..120));
    let found = TestRunner::new_with_rng(config, rng).run(&runs, |(start, ops)| {
        run(start, &ops, fault)
            .map(|_| ())
            .map_err(TestCaseError::fail)
    });
    match found {
        Err(TestError::Fail(why, (start, ops))) => {
            println!("{fault:?}: {why}\n{start}\n{ops:?}");
            why.message().to_owned()
        }
        _ => panic!("{fault:?} is not found"),
    }
}

#[test]
fn the_list_shows_what_is_shared_not_kept_with_the_keys_own() {
    assert!(counterexample(Fault::HalfKept).contains("key "));
}

#[test]
fn the_list_shows_units_given_back_to_another_identity() {
    assert!(counterexample(Fault::GivenBackElsewhere).contains("key "));
}

#[test]
fn the_list_shows_a_balance_that_starts_over() {
    assert!(counterexample(Fault::BalanceForgotten).contains("Credits"));
}

#[test]
fn the_list_shows_units_given_back_twice() {
    assert!(counterexample(Fault::GivenBackTwice).contains("Month"));
}

#[test]
fn generated_runs_are_refused_by_each_kind_of_limit() {
    let config = proptest::test_runner::Config {
        failure_persistence: None,
        ..config(64)
    };
    let sum = std::cell::Cell::new([0_u64; 7]);
    let rng = TestRng::deterministic_rng(config.rng_algorithm);
    let runs = (start(), vec(op(), 1..120));
    TestRunner::new_with_rng(config, rng)
        .run(&runs, |(start, ops)| {
            let seen = run(start, &ops, Fault::None).map_err(TestCaseError::fail)?;
            let [key, identity, plan] = seen.refused_by;
            let counts = [
                seen.granted,
                key,
                identity,
                plan,
                seen.refused_by_credits,
                seen.never,
                seen.given_back,
            ];
            let sums = sum.get();
            sum.set(std::array::from_fn(|n| sums[n] + counts[n]));
            Ok(())
        })
        .unwrap();
    println!(
        "granted, refused by key, identity, plan, credits, for ever, units back: {:?}",
        sum.get()
    );
    assert!(sum.get().iter().all(|count| *count > 20), "{:?}", sum.get());
}
