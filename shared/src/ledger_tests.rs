use super::*;
use crate::window::{DAY_MS, Window};

const LEASED: Ask = Ask {
    want: 10,
    need: 1,
    ttl: 1_000,
};

fn per_minute(limit: u32) -> RateLimits {
    RateLimits {
        requests_per_minute: Some(limit),
        ..RateLimits::default()
    }
}

fn of<'a>(ledger: &'a mut Ledger, limits: &'a RateLimits) -> Books<'a> {
    Books::of(ledger, limits)
}

fn back(closed: Option<Closed>) -> u32 {
    closed.map_or(0, |lease| lease.back())
}

#[test]
fn grants_shrink_to_one_unit_near_the_limit_and_then_stop() {
    let mut ledger = Ledger::default();
    let limits = per_minute(20);
    let mut grants = Vec::new();
    let refused = loop {
        match of(&mut ledger, &limits).grant(grants.len() as u64, 5_000, LEASED) {
            Ok(grant) => grants.push(grant.units),
            Err(e) => break e,
        }
    };
    assert_eq!(grants.iter().sum::<u32>(), 20);
    assert!(grants.is_sorted_by(|a, b| a >= b), "{grants:?}");
    assert_eq!((grants.first(), grants.last()), (Some(&10), Some(&1)));
    // Leases end at 6.0 s, so their units count in the bucket that begins then.
    assert_eq!(
        refused,
        Exhausted {
            retry_in: 61_200,
            violated: vec![Window::Minute.into()]
        }
    );
}

#[test]
fn a_report_gives_the_rest_back_once() {
    let mut ledger = Ledger::default();
    let limits = per_minute(40);
    let grant = of(&mut ledger, &limits).grant(1, 0, LEASED).unwrap();
    assert_eq!(
        grant,
        Grant {
            units: 10,
            ttl: 1_000
        }
    );
    assert_eq!(back(ledger.close(1, 500, 3)), 7);
    assert_eq!(back(ledger.close(1, 500, 0)), 0);
    assert_eq!(ledger.standing(500, &limits)[0].left, 37);
}

#[test]
fn a_report_after_its_grace_changes_nothing() {
    let mut ledger = Ledger::default();
    let limits = per_minute(40);
    of(&mut ledger, &limits).grant(1, 0, LEASED).unwrap();
    assert_eq!(back(ledger.close(1, 1_000 + REPORT_GRACE_MS, 0)), 0);
    assert_eq!(ledger.standing(12_000, &limits)[0].left, 30);
}

#[test]
fn no_lease_crosses_midnight() {
    let mut ledger = Ledger::default();
    let limits = RateLimits {
        requests_per_day: Some(10),
        ..RateLimits::default()
    };
    let grant = of(&mut ledger, &limits)
        .grant(1, DAY_MS - 300, LEASED)
        .unwrap();
    assert_eq!(grant.ttl, 299);
    assert_eq!(ledger.standing(DAY_MS, &limits)[0].left, 10);
}

#[test]
fn a_lease_counts_in_the_bucket_in_which_a_gate_out_of_phase_may_spend_its_last_unit() {
    let mut ledger = Ledger::default();
    let limits = per_minute(10);
    of(&mut ledger, &limits).grant(1, 0, LEASED).unwrap();
    assert_eq!(ledger.standing(61_199, &limits)[0].left, 0);
    assert_eq!(ledger.standing(61_200, &limits)[0].left, 10);
}

#[test]
fn windows_are_taken_together_or_not_at_all() {
    let mut ledger = Ledger::default();
    let limits = RateLimits {
        requests_per_minute: Some(5),
        requests_per_hour: Some(100),
        requests_per_day: Some(3),
    };
    let strict = Ask {
        want: 0,
        need: 2,
        ttl: 0,
    };
    assert_eq!(
        of(&mut ledger, &limits).grant(1, 0, strict).unwrap().units,
        2
    );
    let refused = of(&mut ledger, &limits).grant(2, 0, strict).unwrap_err();
    assert_eq!(refused.violated, [Window::Day.into()]);
    assert_eq!(refused.retry_in, DAY_MS);
    let left: Vec<_> = ledger.standing(0, &limits).iter().map(|s| s.left).collect();
    assert_eq!(left, [3, 98, 1]);
}

#[test]
fn a_clock_that_steps_back_frees_nothing() {
    let mut ledger = Ledger::default();
    let limits = per_minute(1);
    let strict = Ask {
        want: 0,
        need: 1,
        ttl: 0,
    };
    of(&mut ledger, &limits).grant(1, 100_000, strict).unwrap();
    let refused = of(&mut ledger, &limits)
        .grant(2, 10_000, strict)
        .unwrap_err();
    assert_eq!(refused.retry_in, 150_200);
    assert!(of(&mut ledger, &limits).grant(3, 160_199, strict).is_err());
    assert!(of(&mut ledger, &limits).grant(4, 160_200, strict).is_ok());
}

#[test]
fn a_key_without_limits_is_granted_what_it_wants() {
    let mut ledger = Ledger::default();
    let ask = Ask {
        want: 5_000,
        ..LEASED
    };
    let grant = of(&mut ledger, &RateLimits::default()).grant(1, 0, ask);
    assert_eq!(grant.unwrap().units, 5_000);
}
