use super::*;
use crate::lease::FOLLOW_MS;
use crate::ledger::Standing;
use crate::message::{KeyAnswer, KeyAsk};
use crate::token::KeyHash;
use crate::window::Window;

const LEASE_MS: Millis = 1_000;

fn record(version: u64, enforcement: &str) -> KeyRecord {
    let record = serde_json::json!({
        "id": "key_1", "version": version, "account": "acc_1", "environment": "prod", "state": "active",
        "credentials": [], "limits": { "requestsPerMinute": 10 }, "enforcement": enforcement,
    });
    crate::read::from_str(&record.to_string()).unwrap()
}

fn leased() -> KeyRecord {
    record(1, "leased")
}

/// A question of a request, or of a renewal, about the first version of a record.
fn ask(desk: &mut Desk, now: Millis, need: u32, waits: bool) -> Asked {
    let ask = KeyAsk {
        hash: KeyHash::of("token"),
        version: 1,
        want: 0,
        need,
    };
    desk.question(now, LEASE_MS, ask, waits)
}

fn granted(lease: u64, units: u32, left: u64) -> KeyAnswer {
    KeyAnswer::Granted {
        lease,
        units,
        ttl: LEASE_MS,
        standing: vec![Standing {
            policy: Window::Minute.into(),
            limit: 10,
            left,
            reset_in: 60_000,
        }],
    }
}

fn exhausted() -> KeyAnswer {
    KeyAnswer::Exhausted {
        retry_in: 5_000,
        violated: vec![Window::Minute.into()],
        ttl: LEASE_MS,
        standing: Vec::new(),
    }
}

/// A request asks for that at `now`, and hears this so many milliseconds later.
fn hear(desk: &mut Desk, wait: &mut Wait, now: Millis, need: u32, late: Millis, answer: KeyAnswer) {
    let asked = ask(desk, now, need, true);
    desk.take_in(now + late, LEASE_MS, &asked, Some(answer), wait);
}

#[test]
fn a_request_passes_on_the_answer_that_it_waited_for_under_the_version_and_cost_asked_about() {
    let (mut desk, mut wait) = (Desk::default(), Wait::default());
    assert_eq!(desk.pay(0, &wait, &leased(), 2), Pay::Ask);
    let asked = ask(&mut desk, 0, 2, true);
    let effect = desk.take_in(300, LEASE_MS, &asked, Some(granted(1, 2, 8)), &mut wait);
    assert_eq!(effect, Effect::Holds);
    assert_eq!(desk.pay(300, &wait, &leased(), 2), Pay::PaidByAnswer);
    assert_eq!(desk.pay(300, &wait, &leased(), 3), Pay::Ask);
    let newer = record(2, "leased");
    assert_eq!(desk.pay(300, &wait, &newer, 2), Pay::Ask);
    assert_eq!(desk.pay(1_000, &wait, &leased(), 2), Pay::Ask, "too late");
}

#[test]
fn an_answer_that_is_late_twice_admits_nobody_and_its_guard_is_out_of_reach() {
    let (mut desk, mut wait) = (Desk::default(), Wait::default());
    hear(&mut desk, &mut wait, 0, 1, 1_000, granted(1, 1, 9));
    assert_eq!(desk.pay(1_000, &wait, &leased(), 1), Pay::Ask);
    assert_eq!(desk.knows(1_000, &wait, 1), Known::Ask);
    hear(&mut desk, &mut wait, 1_000, 1, 1_000, granted(2, 1, 8));
    assert_eq!(desk.pay(2_000, &wait, &leased(), 1), Pay::Unavailable);
    assert_eq!(desk.knows(2_000, &wait, 1), Known::Unavailable);
}

#[test]
fn a_renewal_is_told_of_once_and_again_when_its_question_failed() {
    let mut desk = Desk::default();
    hear(&mut desk, &mut Wait::default(), 0, 1, 0, granted(1, 9, 1));
    let renews = |desk: &mut Desk, now| match desk.pay(now, &Wait::default(), &leased(), 1) {
        Pay::Passed { renew } => renew,
        other => panic!("{other:?}"),
    };
    assert!(!renews(&mut desk, 10));
    assert!(renews(&mut desk, 700));
    assert!(!renews(&mut desk, 700));
    let asked = ask(&mut desk, 700, 1, false);
    let effect = desk.take_in(800, LEASE_MS, &asked, None, &mut Wait::default());
    assert_eq!(effect, Effect::None);
    assert!(renews(&mut desk, 800));
}

#[test]
fn a_renewal_pays_for_nobody_that_waits() {
    let (mut desk, mut wait) = (Desk::default(), Wait::default());
    let asked = ask(&mut desk, 0, 1, false);
    desk.take_in(10, LEASE_MS, &asked, Some(granted(1, 1, 9)), &mut wait);
    let passed = Pay::Passed { renew: true };
    assert_eq!(desk.pay(10, &wait, &leased(), 1), passed, "from the lease");
    assert_eq!(desk.pay(10, &wait, &leased(), 1), Pay::Ask);
}

#[test]
fn a_refusal_of_the_guard_is_final_unless_units_came_meanwhile() {
    let (mut desk, mut wait) = (Desk::default(), Wait::default());
    let asked = ask(&mut desk, 0, 3, true);
    desk.take_in(10, LEASE_MS, &asked, Some(exhausted()), &mut wait);
    let later = 2_000;
    let refused = Pay::Refused(QuotaRefusal {
        retry_in: 5_000,
        violated: vec![Window::Minute.into()],
    });
    assert_eq!(desk.pay(later, &wait, &leased(), 3), refused);
    let another = Wait::default();
    assert_eq!(desk.pay(later, &another, &leased(), 3), Pay::Ask);
    hear(
        &mut desk,
        &mut Wait::default(),
        later,
        1,
        0,
        granted(1, 4, 0),
    );
    let pay = desk.pay(later, &wait, &leased(), 3);
    assert!(matches!(pay, Pay::Passed { .. }), "{pay:?}");
}

#[test]
fn a_refusal_for_the_state_needs_the_word_of_the_guard_within_the_lease_time() {
    let (mut desk, mut wait) = (Desk::default(), Wait::default());
    assert_eq!(desk.knows(0, &wait, 1), Known::Ask);
    let current = KeyAnswer::Current { ttl: LEASE_MS };
    hear(&mut desk, &mut wait, 0, 0, 300, current);
    assert_eq!(desk.knows(300, &Wait::default(), 1), Known::Yes);
    assert_eq!(desk.knows(1_000, &Wait::default(), 1), Known::Ask);
    assert_eq!(desk.knows(1_000, &wait, 1), Known::Yes, "it was told so");
    assert_eq!(desk.knows(1_000, &wait, 2), Known::Ask);
}

#[test]
fn a_record_that_is_newer_or_gone_is_the_callers_to_replace() {
    let (mut desk, mut wait) = (Desk::default(), Wait::default());
    let asked = ask(&mut desk, 0, 1, true);
    let newer = Box::new(record(2, "leased"));
    let stale = KeyAnswer::Stale {
        record: newer.clone(),
    };
    let effect = desk.take_in(10, LEASE_MS, &asked, Some(stale), &mut wait);
    assert_eq!(effect, Effect::Install(newer));
    assert!(!desk.is_absent(10, &wait));
    let asked = ask(&mut desk, 10, 0, true);
    let unknown = KeyAnswer::Unknown { ttl: LEASE_MS };
    let effect = desk.take_in(20, LEASE_MS, &asked, Some(unknown), &mut wait);
    assert_eq!(effect, Effect::Gone);
    assert!(desk.is_absent(1_009, &Wait::default()));
    assert!(!desk.is_absent(1_010, &Wait::default()));
    assert!(desk.is_absent(1_010, &wait), "it was told so");
}

/// Whether a request that needs this waits for another.
fn waits(desk: &mut Desk, now: Millis, wait: &mut Wait, needs: Needs) -> bool {
    desk.turn(now, wait, needs, Some(&leased())) != Turn::Ask
}

/// A desk at which `units` were asked for within the last second, and none is held.
fn busy(units: u32) -> Desk {
    let mut desk = Desk::default();
    hear(
        &mut desk,
        &mut Wait::default(),
        0,
        units,
        0,
        granted(1, units, 9),
    );
    desk.clear();
    desk
}

#[test]
fn requests_follow_a_question_that_asks_for_enough_once_each() {
    let mut desk = busy(8);
    let asked = ask(&mut desk, 100, 8, true);
    assert_eq!(asked.ask.want, 10, "at the key's pace, and a quarter more");
    let (mut first, mut second) = (Wait::default(), Wait::default());
    assert!(waits(&mut desk, 110, &mut first, Needs::Units(2)));
    assert!(!waits(&mut desk, 110, &mut second, Needs::Units(1)));
    assert!(waits(&mut desk, 120, &mut first, Needs::Units(2)));
    desk.take_in(130, LEASE_MS, &asked, None, &mut Wait::default());
    let leased = leased();
    let needs = Needs::Units(2);
    assert_eq!(desk.awaited(130, &mut first, needs, Some(&leased)), None);
    ask(&mut desk, 140, 1, true);
    assert!(!waits(&mut desk, 150, &mut first, Needs::Units(1)));
}

#[test]
fn one_request_asks_about_a_key_without_room_while_the_others_wait() {
    let mut desk = Desk::default();
    hear(&mut desk, &mut Wait::default(), 0, 1, 10, exhausted());
    let (mut asks, mut other) = (Wait::default(), Wait::default());
    assert!(!waits(&mut desk, 2_000, &mut asks, Needs::Units(1)));
    assert!(
        !waits(&mut desk, 2_001, &mut asks, Needs::Units(1)),
        "itself"
    );
    assert!(waits(&mut desk, 2_002, &mut other, Needs::Units(1)));
    desk.end_asking(&mut other);
    assert!(waits(&mut desk, 2_003, &mut other, Needs::Units(1)));
    desk.end_asking(&mut asks);
    assert!(!waits(&mut desk, 2_004, &mut other, Needs::Units(1)));
}

#[test]
fn a_request_waits_no_longer_than_it_may_and_for_none_that_was_cut_off() {
    let mut desk = Desk::default();
    let (mut asks, mut other) = (Wait::default(), Wait::default());
    assert!(!waits(&mut desk, 0, &mut asks, Needs::State));
    let record = leased();
    let turn = desk.turn(300, &mut other, Needs::State, Some(&record));
    assert_eq!(turn, Turn::Wait { until: FOLLOW_MS });
    assert!(!waits(&mut desk, FOLLOW_MS, &mut other, Needs::State));
    // The one that took over asks again and again; a third has waited long enough.
    let mut third = Wait::default();
    assert!(waits(&mut desk, 1_100, &mut third, Needs::State));
    desk.end_asking(&mut other);
    assert!(!waits(&mut desk, 1_900, &mut asks, Needs::State));
    let patience = 1_100 + FOLLOW_MS;
    assert!(waits(&mut desk, patience - 1, &mut third, Needs::State));
    assert!(!waits(&mut desk, patience, &mut third, Needs::State));
}

#[test]
fn every_request_of_a_strict_key_asks() {
    let mut desk = Desk::default();
    let strict = record(1, "strict");
    hear(&mut desk, &mut Wait::default(), 0, 1, 10, exhausted());
    ask(&mut desk, 100, 1, false);
    for needs in [Needs::Units(1), Needs::State] {
        for _ in 0..2 {
            let turn = desk.turn(100, &mut Wait::default(), needs, Some(&strict));
            assert_eq!(turn, Turn::Ask);
        }
    }
    let pay = desk.pay(100, &Wait::default(), &strict, 1);
    assert_eq!(pay, Pay::Ask);
}

#[test]
fn a_record_that_the_guard_did_not_have_is_looked_for_by_one_request() {
    let mut desk = Desk::default();
    let turn = |desk: &mut Desk, now| desk.turn(now, &mut Wait::default(), Needs::Record, None);
    assert_eq!(turn(&mut desk, 0), Turn::Ask);
    assert_eq!(turn(&mut desk, 0), Turn::Ask, "nothing was said of it yet");
    let unknown = KeyAnswer::Unknown { ttl: LEASE_MS };
    hear(&mut desk, &mut Wait::default(), 0, 0, 10, unknown);
    assert_eq!(turn(&mut desk, 1_500), Turn::Ask);
    assert_eq!(turn(&mut desk, 1_500), Turn::Wait { until: 2_500 });
}
