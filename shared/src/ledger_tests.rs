use super::*;
use crate::record::{Interval, Refill};
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

#[test]
fn a_ledger_of_a_release_that_knew_nothing_else_is_read_and_its_leases_are_closed() {
    let text = r#"{"latest":1000,"minute":"10 10","hour":"0 10","day":"0 10","open":"7 10 2000"}"#;
    let mut ledger: Ledger = crate::read::from_str(text).unwrap();
    let closed = ledger.close(7, 1_500, 4).unwrap();
    assert_eq!(
        (closed.back(), closed.plan, &closed.identity),
        (6, false, &None)
    );
    assert_eq!(ledger.standing(1_500, &per_minute(20))[0].left, 16);
    // And what this one writes of a key that shares nothing is what that one reads.
    let text = crate::write::to_string(&ledger);
    let expected = r#"{"latest":1500,"minute":"7 4","hour":"0 4","day":"0 4","open":""}"#;
    assert_eq!(text, expected);
}

#[test]
fn units_come_back_to_the_identity_and_the_plan_that_they_were_taken_from() {
    let limits = RateLimits::default();
    let mut ledger = Ledger::default();
    let mut take = |id, identity: Option<&str>, plan: bool| {
        let (mut shared, mut month) = (Shared::default(), Shared::default());
        let mut books = Books {
            identity: identity.map(|name| (name, &mut shared)),
            plan: plan.then_some(&mut month),
            ..of(&mut ledger, &limits)
        };
        books.grant(id, 0, LEASED).unwrap();
    };
    take(1, Some("idn_a"), false);
    take(2, Some("idn_b"), true);
    take(3, None, true);
    take(4, Some("idn_a"), true);
    let text = crate::write::to_string(&ledger);
    let mut ledger: Ledger = crate::read::from_str(&text).unwrap();
    let from = |ledger: &mut Ledger, id| {
        let closed = ledger.close(id, 10, 0).unwrap();
        (closed.identity, closed.plan)
    };
    assert_eq!(from(&mut ledger, 3), (None, true));
    assert_eq!(from(&mut ledger, 1), (Some("idn_a".to_owned()), false));
    assert_eq!(from(&mut ledger, 2), (Some("idn_b".to_owned()), true));
    // The place of the name that no lease needs any more is another's now.
    let mut shared = Shared::default();
    let mut books = Books {
        identity: Some(("idn_c", &mut shared)),
        ..of(&mut ledger, &limits)
    };
    books.grant(5, 20, LEASED).unwrap();
    assert_eq!(ledger.identities, ["idn_a", "idn_c"]);
    assert_eq!(from(&mut ledger, 4), (Some("idn_a".to_owned()), true));
}

fn credits(serial: u64, granted: u64, refill: Option<(u64, Interval)>) -> Credits {
    Credits {
        serial,
        granted,
        refill: refill.map(|(amount, interval)| Refill { amount, interval }),
    }
}

/// Takes units of a key's credits; what is left, or how long to wait for room.
fn spend(
    ledger: &mut Ledger,
    terms: &Credits,
    id: u64,
    now: Millis,
    need: u32,
) -> Result<u64, Millis> {
    let limits = RateLimits::default();
    let mut books = Books {
        credits: Some(terms),
        ..of(ledger, &limits)
    };
    let ask = Ask {
        want: need,
        need,
        ttl: 1_000,
    };
    let granted = books.grant(id, now, ask).map_err(|refused| {
        assert_eq!(refused.violated, [Policy::Credits]);
        refused.retry_in
    });
    granted.map(|_| books.standing(now)[0].left)
}

#[test]
fn credits_are_topped_up_each_month_and_a_higher_remainder_stays() {
    // The first of January, February and March 2024.
    let [january, february, march] = [19_723, 19_754, 19_783].map(|day| day * DAY_MS);
    let terms = credits(1, 100, Some((40, Interval::Monthly)));
    let mut ledger = Ledger::default();
    assert_eq!(spend(&mut ledger, &terms, 1, january, 30), Ok(70));
    assert_eq!(spend(&mut ledger, &terms, 2, february, 60), Ok(10));
    let wait = march - february - 5_000;
    assert_eq!(
        spend(&mut ledger, &terms, 3, february + 5_000, 11),
        Err(wait)
    );
    let never = spend(&mut ledger, &terms, 4, february + 5_000, 41);
    assert!(never.is_err_and(is_never), "no refill makes so many");
    assert_eq!(spend(&mut ledger, &terms, 5, march - 1, 1), Ok(9));
    // Several that were missed are one.
    let july = march + 130 * DAY_MS;
    assert_eq!(spend(&mut ledger, &terms, 6, july, 1), Ok(39));
}

#[test]
fn units_that_come_back_after_a_refill_are_those_that_it_put_in() {
    let terms = credits(1, 50, Some((50, Interval::Daily)));
    let mut ledger = Ledger::default();
    assert_eq!(spend(&mut ledger, &terms, 1, DAY_MS - 2_000, 20), Ok(30));
    assert_eq!(spend(&mut ledger, &terms, 2, DAY_MS, 1), Ok(49));
    ledger.close(1, DAY_MS + 10, 5).unwrap();
    assert_eq!(spend(&mut ledger, &terms, 3, DAY_MS + 20, 1), Ok(48));
}

#[test]
fn a_higher_serial_starts_over_and_a_larger_grant_adds() {
    let mut ledger = Ledger::default();
    let first = credits(3, 10, None);
    assert_eq!(spend(&mut ledger, &first, 1, 0, 8), Ok(2));
    assert_eq!(spend(&mut ledger, &credits(3, 15, None), 2, 1, 1), Ok(6));
    assert_eq!(
        spend(&mut ledger, &credits(3, 12, None), 3, 2, 1),
        Ok(5),
        "seen more"
    );
    assert_eq!(spend(&mut ledger, &credits(4, 4, None), 4, 3, 1), Ok(3));
    ledger.close(1, 4, 0).unwrap();
    assert_eq!(
        spend(&mut ledger, &credits(4, 4, None), 5, 5, 1),
        Ok(2),
        "of another serial"
    );
    assert_eq!(
        spend(&mut ledger, &first, 6, 6, 1),
        Ok(1),
        "an older one says nothing"
    );
}

#[test]
fn a_refill_that_is_set_late_is_due_from_then_on() {
    let mut ledger = Ledger::default();
    assert_eq!(spend(&mut ledger, &credits(1, 10, None), 1, 0, 10), Ok(0));
    let refilled = credits(1, 10, Some((5, Interval::Daily)));
    ledger.adopt(&refilled, 2, 3 * DAY_MS + 7);
    let wait = DAY_MS - 8;
    assert_eq!(
        spend(&mut ledger, &refilled, 2, 3 * DAY_MS + 8, 1),
        Err(wait)
    );
    assert_eq!(spend(&mut ledger, &refilled, 3, 4 * DAY_MS, 1), Ok(4));
}
