//! The ledger by itself against a plain list of leases: any asks and reports, also such as no gate makes.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use shared::Millis;
use shared::ledger::{Ask, Books, Ledger, REPORT_GRACE_MS};
use shared::policy::Policy;
use shared::record::RateLimits;
use shared::window::Window;

use super::config;
use super::naive::{counts, span_ms};

#[derive(Debug, Clone)]
enum Op {
    Grant(Ask),
    /// Reports the `pick`-th grant so far, repeated or not, or one that never was.
    Close {
        pick: usize,
        spent: u32,
    },
    /// Time passes.
    Advance(Millis),
    /// The clock steps back.
    StepBack(Millis),
}

#[derive(Debug, Clone)]
struct Lease {
    units: u32,
    end: Millis,
    /// Units that count, and from when on at the latest.
    counted: (u32, Millis),
    open: bool,
}

fn op() -> impl Strategy<Value = Op> {
    let units = || prop_oneof![8 => 0..=20_u32, 1 => Just(u32::MAX), 1 => any::<u32>()];
    let ttl = prop_oneof![1 => Just(0), 4 => 1..=5_000_u64, 1 => 1..=100_000_u64];
    let time = prop_oneof![
        4 => 0..=2_000_u64,
        2 => 1_000..=70_000_u64,
        1 => 3_590_000..=3_700_000_u64,
        1 => 1..=span_ms(Window::Day),
    ];
    prop_oneof![
        6 => (units(), units(), ttl).prop_map(|(want, need, ttl)| Op::Grant(Ask { want, need, ttl })),
        4 => (any::<usize>(), units()).prop_map(|(pick, spent)| Op::Close { pick, spent }),
        4 => time.prop_map(Op::Advance),
        1 => (0..=100_000_u64).prop_map(Op::StepBack),
    ]
}

fn limits() -> impl Strategy<Value = RateLimits> {
    let limit =
        || option::of(prop_oneof![6 => 1..=100_u32, 1 => Just(u32::MAX), 1 => any::<u32>()]);
    (limit(), limit(), limit()).prop_map(|(minute, hour, day)| RateLimits {
        requests_per_minute: minute,
        requests_per_hour: hour,
        requests_per_day: day,
    })
}

struct Pair {
    ledger: Ledger,
    leases: Vec<Lease>,
    limits: RateLimits,
    clock: Millis,
    latest: Millis,
}

impl Pair {
    fn used(&self, window: Window, now: Millis) -> u64 {
        let counted = self.leases.iter().map(|lease| lease.counted);
        counted
            .filter(|(_, at)| counts(window, *at, now))
            .map(|(units, _)| u64::from(units))
            .sum()
    }

    fn left(&self) -> Option<u64> {
        let windows = Window::OF_RATES.into_iter();
        let limited = windows.filter_map(|w| self.limits.of(w).map(|limit| (w, limit)));
        limited
            .map(|(w, limit)| u64::from(limit).saturating_sub(self.used(w, self.latest)))
            .min()
    }

    fn grant(&mut self, ask: Ask) -> Result<(), TestCaseError> {
        self.latest = self.latest.max(self.clock);
        let left = self.left();
        let id = self.leases.len() as u64;
        let mut books = Books::of(&mut self.ledger, &self.limits);
        let Ok(grant) = books.grant(id, self.clock, ask) else {
            prop_assert!(left.is_some_and(|left| left < u64::from(ask.need)));
            return Ok(());
        };
        prop_assert!(grant.units >= ask.need);
        prop_assert!(grant.units <= ask.need.max(ask.want).max(1));
        prop_assert!(left.is_none_or(|left| u64::from(grant.units) <= left));
        prop_assert!(grant.ttl <= ask.ttl);
        let end = self.latest + grant.ttl;
        prop_assert_eq!(
            end / span_ms(Window::Day),
            self.latest / span_ms(Window::Day)
        );
        self.leases.push(Lease {
            units: grant.units,
            end,
            counted: (grant.units, end),
            open: grant.ttl > 0 && grant.units > 0,
        });
        Ok(())
    }

    fn close(&mut self, pick: usize, spent: u32) -> Result<(), TestCaseError> {
        self.latest = self.latest.max(self.clock);
        let place = pick % (self.leases.len() + 1);
        let closed = self.ledger.close(place as u64, self.clock, spent);
        let back = closed.map_or(0, |lease| lease.back());
        let mut expected = 0;
        if let Some(lease) = self.leases.get_mut(place) {
            if lease.open && self.latest < lease.end + REPORT_GRACE_MS {
                let spent = spent.min(lease.units);
                expected = lease.units - spent;
                lease.counted = (spent, lease.end.min(self.latest));
            }
            lease.open = false;
        }
        prop_assert_eq!(back, expected);
        Ok(())
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let now = self.latest.max(self.clock);
        for standing in self.ledger.standing(self.clock, &self.limits) {
            let Policy::Key(window) = standing.policy else {
                return Err(TestCaseError::fail("not the key's"));
            };
            let used = self.used(window, now);
            let left = standing.limit.saturating_sub(used);
            prop_assert_eq!(standing.left, left);
            prop_assert!(standing.limit >= used, "over the limit");
            if used > 0 {
                let reset = self.clock + standing.reset_in;
                prop_assert!(self.used(window, reset) < used);
                prop_assert_eq!(self.used(window, reset - 1), used);
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(config(512))]

    #[test]
    fn a_ledger_counts_what_a_list_of_leases_counts_whatever_is_asked_and_reported(
        limits in limits(),
        ops in vec(op(), 1..120),
        before_midnight in 0..100_000_u64,
    ) {
        let clock = 20_000 * span_ms(Window::Day) - before_midnight;
        let mut pair = Pair { ledger: Ledger::default(), leases: Vec::new(), limits, clock, latest: 0 };
        for op in ops {
            match op {
                Op::Grant(ask) => pair.grant(ask)?,
                Op::Close { pick, spent } => pair.close(pick, spent)?,
                Op::Advance(ms) => pair.clock += ms,
                Op::StepBack(ms) => pair.clock -= ms,
            }
            pair.check()?;
        }
    }
}

#[test]
fn leases_beyond_those_a_ledger_remembers_stay_spent_and_nothing_goes_negative() {
    let limits = RateLimits {
        requests_per_minute: Some(1_000_000),
        ..RateLimits::default()
    };
    let ask = Ask {
        want: 10,
        need: 1,
        ttl: 30_000,
    };
    let mut ledger = Ledger::default();
    for id in 0..2_100 {
        Books::of(&mut ledger, &limits).grant(id, 0, ask).unwrap();
    }
    let closed = (0..2_100).filter_map(|id| ledger.close(id, 1, 0));
    let back: u32 = closed.map(|lease| lease.back()).sum();
    let left = ledger.standing(1, &limits)[0].left;
    assert_eq!(left, 1_000_000 - 21_000 + u64::from(back));
    assert!((20_000..21_000).contains(&back), "{back}");
}
