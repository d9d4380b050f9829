use crate::oracle::{Judgement, Log};
use crate::outcome::Outcome;
use crate::scenario::{Faults, Scenario};
use crate::{BOUND_FROM, MOST_UNUSED};

const SEED: u64 = 3;

/// One key of which twice its limit is asked for.
fn contended(limit: u32, locations: usize, strict: bool) -> Scenario {
    Scenario {
        strict,
        seconds: 120,
        ..Scenario::one_key(SEED, limit, locations, 2.0)
    }
}

#[test]
fn nothing_is_admitted_over_the_limit_and_nearly_all_of_it_is_used() {
    for (limit, locations) in [(1_000, 1), (1_000, 20), (1_000, 300), (6_000, 10)] {
        for strict in [false, true] {
            let outcome = Outcome::of(&contended(limit, locations, strict));
            println!("{limit} a minute, {locations} locations, strict {strict}: {outcome:?}");
            assert_eq!(outcome.over, 0);
            assert!(strict || outcome.over_as_seen == 0);
            assert!(limit >= BOUND_FROM && outcome.unused <= MOST_UNUSED);
        }
    }
}

#[test]
fn nothing_is_admitted_over_the_limit_while_messages_are_lost_and_isolates_and_guards_die() {
    for strict in [false, true] {
        let scenario = Scenario {
            faults: Faults::ALL,
            bursts: true,
            costs: vec![1, 1, 5],
            ..contended(1_000, 40, strict)
        };
        let outcome = Outcome::of(&scenario);
        println!("strict {strict}: {outcome:?}");
        assert_eq!(outcome.over, 0);
        assert!(outcome.passed > 0.1 && outcome.unavailable > 0.0);
    }
}

#[test]
fn a_hot_key_costs_at_most_five_calls_of_the_guard_for_a_thousand_requests() {
    let scenario = Scenario {
        seconds: 10,
        ..Scenario::one_key(SEED, 100_000, 1, 0.8)
    };
    let outcome = Outcome::of(&scenario);
    println!("{outcome:?}");
    assert!(outcome.calls <= 0.005);
}

#[test]
fn a_flood_on_a_key_without_room_costs_at_most_two_calls_of_the_guard_a_second() {
    let scenario = Scenario {
        seconds: 20,
        ..Scenario::one_key(SEED, 60, 1, 500.0)
    };
    let outcome = Outcome::of(&scenario);
    println!("{outcome:?}");
    // One of them is the report of what was counted.
    assert!(outcome.calls_a_second <= 3.0);
}

#[test]
fn a_seed_gives_the_same_figures_every_time() {
    let scenario = Scenario {
        seconds: 20,
        faults: Faults::ALL,
        ..Scenario::many_keys(SEED, 60)
    };
    assert_eq!(Outcome::of(&scenario), Outcome::of(&scenario));
}

#[test]
fn the_oracle_sees_one_unit_too_many_and_a_refusal_too_much() {
    let mut log = Log {
        admitted: vec![(0, 1), (10, 2), (59, 1), (61, 1)],
        refused: vec![(11, 1), (60, 1), (60, 2)],
    };
    let judgement = log.judge(3, 60, 0);
    // From 10 to 61, four units pass; at 60 the first has left, and one fits, not two and not one more.
    let expected = Judgement {
        over: 1,
        refused_with_room: 0,
    };
    assert_eq!(judgement, expected);
    log.admitted = vec![(0, 1), (10, 1), (59, 1)];
    log.refused = vec![(11, 1), (12, 1), (60, 1), (61, 1)];
    assert_eq!(log.judge(3, 60, 0).refused_with_room, 1);
}
