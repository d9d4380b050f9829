use super::purse::FIRST_WANT;
use super::*;
use crate::ledger::Standing;
use crate::ratelimit::tightest;
use crate::window::Window;

fn grant(lease: u64, units: u32, need: u32) -> Granted {
    Granted {
        lease,
        units,
        ttl: 1_000,
        need,
    }
}

fn paid(spend: Spend) -> bool {
    matches!(spend, Spend::Paid { .. })
}

#[test]
fn a_lease_is_spent_only_within_its_time_from_sending() {
    let mut purse = Purse::default();
    assert_eq!(purse.spend(0, 1), Spend::Ask);
    purse.granted(0, 300, &grant(1, 5, 1), &[]);
    assert!(paid(purse.spend(999, 1)));
    assert_eq!(purse.spend(1_000, 1), Spend::Ask);
    assert_eq!(purse.take_over(1_000), [Over { lease: 1, spent: 2 }]);
    assert_eq!(purse.take_over(1_000), []);
}

#[test]
fn an_answer_later_than_its_lease_pays_for_the_waiting_request_only() {
    let mut purse = Purse::default();
    purse.granted(0, 1_500, &grant(1, 5, 1), &[]);
    assert_eq!(purse.spend(1_500, 1), Spend::Ask);
    assert_eq!(purse.take_over(1_500), [Over { lease: 1, spent: 1 }]);
}

#[test]
fn a_cost_may_be_paid_from_two_leases_and_never_more_than_is_held() {
    let mut purse = Purse::default();
    purse.granted(0, 0, &grant(1, 2, 0), &[]);
    purse.granted(100, 100, &grant(2, 3, 0), &[]);
    assert!(paid(purse.spend(200, 4)));
    assert_eq!(purse.spend(200, 2), Spend::Ask);
    assert!(paid(purse.spend(200, 1)));
    assert_eq!(
        purse.take_over(2_000),
        [Over { lease: 1, spent: 2 }, Over { lease: 2, spent: 3 }]
    );
}

#[test]
fn a_refusal_is_repeated_until_it_lapses_and_only_for_as_much() {
    let mut purse = Purse::default();
    let refusal = QuotaRefusal {
        retry_in: 45_000,
        violated: vec![Window::Minute.into()],
    };
    purse.exhausted(0, 10, 3, &refusal, 1_000, &[]);
    assert_eq!(
        purse.spend(510, 3),
        Spend::Refused(QuotaRefusal {
            retry_in: 44_500,
            violated: vec![Window::Minute.into()]
        })
    );
    assert_eq!(purse.spend(510, 2), Spend::Ask);
    assert_eq!(purse.spend(1_000, 3), Spend::Ask);
}

#[test]
fn a_refusal_is_not_repeated_for_a_higher_cost_whose_room_comes_later() {
    let mut purse = Purse::default();
    let refusal = |retry_in| QuotaRefusal {
        retry_in,
        violated: vec![Window::Minute.into()],
    };
    purse.exhausted(0, 0, 1, &refusal(5_000), 1_000, &[]);
    assert_eq!(purse.spend(1, 4), Spend::Ask);
    purse.exhausted(1, 2, 4, &refusal(20_000), 1_000, &[]);
    let told = |spend| match spend {
        Spend::Refused(refusal) => refusal.retry_in,
        other => panic!("{other:?}"),
    };
    assert_eq!(told(purse.spend(2, 4)), 20_000);
    assert_eq!(told(purse.spend(2, 1)), 4_998);
}

#[test]
fn renewal_is_asked_for_ahead_of_the_end_and_once() {
    let mut purse = Purse::default();
    purse.granted(0, 0, &grant(1, 100, 1), &[]);
    assert_eq!(purse.spend(100, 1), Spend::Paid { renew: false });
    assert_eq!(purse.spend(601, 1), Spend::Paid { renew: true });
    assert!(purse.begin_renewal(601));
    assert!(!purse.begin_renewal(601));
    assert_eq!(purse.spend(602, 1), Spend::Paid { renew: false });
    purse.end_renewal();
    assert_eq!(purse.spend(603, 1), Spend::Paid { renew: true });
}

#[test]
fn a_clock_that_steps_back_ends_what_was_measured_on_it() {
    let mut purse = Purse::default();
    purse.granted(5_000, 5_000, &grant(1, 10, 1), &[]);
    assert!(purse.is_current(5_500));
    assert!(!purse.is_current(4_000));
    assert_eq!(purse.spend(4_001, 1), Spend::Ask);
    assert_eq!(purse.take_over(4_001), [Over { lease: 1, spent: 1 }]);
}

#[test]
fn what_was_sent_before_the_clock_stepped_back_is_not_measured_on_it() {
    let mut purse = Purse::default();
    assert_eq!(purse.spend(5_000, 1), Spend::Ask);
    assert!(!purse.is_current(4_000));
    purse.granted(5_000, 4_100, &grant(1, 10, 1), &[]);
    purse.confirmed(5_000, 4_100, 1_000);
    assert!(!purse.is_current(4_100));
    assert_eq!(purse.spend(4_100, 1), Spend::Ask);
    assert_eq!(purse.take_over(4_100), [Over { lease: 1, spent: 1 }]);
    purse.granted(5_001, 5_001, &grant(2, 10, 1), &[]);
    assert!(paid(purse.spend(5_001, 1)));
}

#[test]
fn after_the_last_unit_the_gate_refuses_by_itself_until_units_come_back() {
    let standing = |left| Standing {
        policy: Window::Minute.into(),
        limit: 10,
        left,
        reset_in: 30_000,
    };
    let mut purse = Purse::default();
    purse.granted(0, 100, &grant(1, 2, 1), &[standing(0)]);
    assert_eq!(purse.spend(100, 1), Spend::Paid { renew: false });
    assert_eq!(
        purse.spend(200, 1),
        Spend::Refused(QuotaRefusal {
            retry_in: 29_900,
            violated: vec![Window::Minute.into()]
        })
    );
    assert_eq!(purse.spend(200, 2), Spend::Ask, "two might not fit then");
    assert_eq!(purse.spend(1_000, 1), Spend::Ask);
    purse.granted(1_000, 1_100, &grant(2, 1, 1), &[standing(1)]);
    assert_eq!(purse.spend(1_100, 1), Spend::Ask);
}

#[test]
fn requests_follow_a_question_that_asks_for_enough_until_it_is_answered() {
    let mut purse = Purse::default();
    assert_eq!(purse.follow(0, 1), None, "nobody asks");
    purse.asking(0, 4, 1);
    let answer = purse.follow(1, 2).unwrap();
    assert_eq!(purse.follow(2, 2), None, "one unit is left of it");
    assert_eq!(purse.follow(2, 1), Some(answer));
    assert!(purse.awaits(answer));
    purse.answered();
    assert!(!purse.awaits(answer));
    assert_eq!(purse.follow(3, 1), None);
    purse.asking(3, 2, 0);
    assert_eq!(purse.follow(1_003, 1), None, "it may have been cut off");
}

#[test]
fn a_request_that_asked_is_counted_once() {
    let mut purse = Purse::default();
    for lease in 0..100 {
        assert_eq!(purse.spend(lease, 1), Spend::Ask);
        purse.granted(lease, lease, &grant(lease, 1, 1), &[]);
    }
    assert_eq!(purse.want(1_000), 125);
}

#[test]
fn want_follows_the_pace() {
    let mut purse = Purse::default();
    assert_eq!(purse.want(1_000), FIRST_WANT);
    purse.granted(
        0,
        0,
        &Granted {
            ttl: 60_000,
            ..grant(1, 10_000, 0)
        },
        &[],
    );
    for ms in 0..1_000 {
        assert!(paid(purse.spend(ms, 1)));
    }
    assert_eq!(purse.want(1_000), FIRST_WANT, "what is at hand suffices");
    purse.clear();
    let want = purse.want(1_000);
    assert!((1_200..=1_260).contains(&want), "{want}");
}

#[test]
fn callers_see_what_is_left_including_what_the_gate_holds() {
    let mut purse = Purse::default();
    let standing = Standing {
        policy: Window::Minute.into(),
        limit: 100,
        left: 90,
        reset_in: 61_000,
    };
    purse.granted(0, 0, &grant(1, 10, 1), &[standing]);
    assert_eq!(purse.view(0)[0].remaining, 99);
    assert!(paid(purse.spend(1, 1)));
    assert_eq!(purse.view(1)[0].remaining, 98);
    assert_eq!(purse.view(1_000)[0].reset_in, 60_000);
}

#[test]
fn an_answer_may_admit_within_the_lease_time_and_a_strict_keys_within_the_default_one() {
    assert_eq!(longest_wait(500, 500), 500);
    assert_eq!(longest_wait(30_000, 30_000), 30_000);
    assert_eq!(longest_wait(30_000, 0), 1_000);
    assert_eq!(longest_wait(0, 0), 1_000);
}

fn standing(window: Window, left: u64, reset_in: Millis) -> Standing {
    Standing {
        policy: window.into(),
        limit: 10,
        left,
        reset_in,
    }
}

fn refusal(retry_in: Millis, violated: Window) -> QuotaRefusal {
    QuotaRefusal {
        retry_in,
        violated: vec![violated.into()],
    }
}

#[test]
fn units_of_a_lease_are_told_of_once_when_answers_overtake_each_other() {
    let minute = |left| [standing(Window::Minute, left, 60_000)];
    let mut purse = Purse::default();
    // Lease 1 was granted first: 8 were left then, 5 after lease 2.
    purse.granted(10, 20, &grant(2, 3, 0), &minute(5));
    purse.granted(0, 30, &grant(1, 2, 0), &minute(8));
    assert_eq!(purse.view(30)[0].remaining, 10);
    assert!(paid(purse.spend(40, 5)));
    assert_eq!(purse.view(40)[0].remaining, 5);
    // A guard that counts its leases anew is believed.
    purse.granted(50, 60, &grant(0, 1, 1), &minute(7));
    assert_eq!(purse.view(60)[0].remaining, 7);
}

#[test]
fn a_refusal_that_a_grant_may_have_overtaken_says_nothing_of_more_units() {
    let minute = |left| [standing(Window::Minute, left, 60_000)];
    let mut purse = Purse::default();
    let six = refusal(9_000, Window::Minute);
    // Three were left when six were refused, and two of them were granted then, or they are other units.
    purse.granted(10, 20, &grant(1, 2, 0), &minute(1));
    purse.exhausted(0, 30, 6, &six, 1_000, &minute(3));
    assert_eq!(purse.view(30)[0].remaining, 3);
    purse.exhausted(31, 40, 6, &six, 1_000, &minute(3));
    assert_eq!(purse.view(40)[0].remaining, 5, "this one is of later");
}

#[test]
fn nothing_is_promised_that_the_gate_would_refuse_by_itself() {
    let minute = |left| [standing(Window::Minute, left, 60_000)];
    let mut purse = Purse::default();
    purse.granted(0, 0, &grant(1, 4, 1), &minute(6));
    purse.granted(900, 950, &grant(2, 6, 0), &minute(0));
    // Lease 1 is over: its three units come back when the guard is asked, which is not before the refusal lapses.
    assert!(paid(purse.spend(1_000, 5)));
    assert_eq!(purse.view(1_000)[0].remaining, 1);
    assert!(paid(purse.spend(1_001, 1)));
    assert!(matches!(purse.spend(1_002, 1), Spend::Refused(_)));
    assert_eq!(purse.view(1_002)[0].remaining, 0);
    assert_eq!(purse.spend(1_900, 1), Spend::Ask);
    assert_eq!(purse.view(1_900)[0].remaining, 3);
}

#[test]
fn what_is_refused_of_a_low_cost_is_refused_of_a_higher_one() {
    let mut purse = Purse::default();
    purse.exhausted(0, 0, 5, &refusal(900, Window::Minute), 1_000, &[]);
    let both = QuotaRefusal {
        retry_in: 90_000,
        violated: vec![Window::Minute.into(), Window::Hour.into()],
    };
    purse.exhausted(10, 10, 1, &both, 1_000, &[]);
    let told = |purse: &mut Purse, now, cost| match purse.spend(now, cost) {
        Spend::Refused(told) => (told.retry_in, told.violated.len()),
        other => panic!("{other:?}"),
    };
    assert_eq!(told(&mut purse, 20, 5), (89_990, 2));
    assert_eq!(told(&mut purse, 20, 1), (89_990, 2));
    // A newer word on the higher cost stands by itself.
    purse.exhausted(30, 30, 5, &refusal(500, Window::Minute), 1_000, &[]);
    assert_eq!(told(&mut purse, 40, 5), (490, 1));
}

#[test]
fn a_refusal_tells_of_less_than_the_cost_in_a_window_without_room_until_a_retry() {
    let mut purse = Purse::default();
    let windows = [
        standing(Window::Minute, 3, 5_000),
        standing(Window::Hour, 3, 7_000),
    ];
    purse.granted(0, 0, &grant(1, 2, 0), &windows);
    let told = |cost, refusal: &QuotaRefusal| {
        let views = purse.view(1).of_refusal(cost, refusal);
        let view = views[tightest(&views).unwrap()];
        (view.policy, view.remaining, view.reset_in)
    };
    // Five, but two in hand and three at the guard.
    let hour = refusal(90_000, Window::Hour);
    assert_eq!(told(5, &hour), (Window::Hour.into(), 4, 90_000));
    // No more than is left in another window, though it is not what the caller waits for.
    assert_eq!(told(9, &hour), (Window::Hour.into(), 5, 90_000));
    // What never fits is told of no retry.
    let minute = refusal(60_000, Window::Minute);
    assert_eq!(told(11, &minute), (Window::Minute.into(), 5, 4_999));
}
