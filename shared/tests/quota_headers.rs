//! What callers are told of their limits, at every step of accelerated minutes, against a plain log of what was admitted.
//!
//! Each test draws a seed, and says which when it fails. `KEYWARD_SEED=n` runs that seed alone, `KEYWARD_SEEDS=n` so many.

mod headers;

use std::hash::{BuildHasher, Hasher, RandomState};

use headers::checks::{check_alone, check_among_others, check_promise, check_retry};
use headers::world::{Answered, Setting, World};
use headers::{Fault, LEG_MS};
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};
use shared::Millis;
use shared::record::RateLimits;

/// Generated runs of each seed.
const CASES: u32 = 128;
const DAY_MS: Millis = 86_400_000;
const NOON: Millis = 20_000 * DAY_MS + DAY_MS / 2;
const MIDNIGHT: Millis = 20_001 * DAY_MS;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

type Check = fn(&World, &Answered) -> Result<(), String>;

fn run(setting: &Setting, gates: usize, fault: Fault, checks: &[Check]) -> Result<(), String> {
    let mut world = World::new(setting, gates, fault);
    while let Some(answered) = world.next() {
        checks
            .iter()
            .try_for_each(|check| check(&world, &answered))?;
    }
    Ok(())
}

/// Generated runs of one seed.
fn run_seed(seed: u64, gates: usize, fault: Fault, checks: &[Check]) -> Result<(), String> {
    let config = ProptestConfig {
        cases: CASES,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        ..ProptestConfig::default()
    };
    let ran = TestRunner::new(config).run(&setting(), |setting| {
        run(&setting, gates, fault, checks).map_err(TestCaseError::fail)
    });
    ran.map_err(|why| format!("{why}\nrun it again with KEYWARD_SEED={seed}"))
}

fn run_seeds(gates: usize, checks: &[Check]) {
    let seeds: Vec<u64> = match number("KEYWARD_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("KEYWARD_SEEDS").unwrap_or(1))
            .map(|_| RandomState::new().build_hasher().finish())
            .collect(),
    };
    for seed in seeds {
        if let Err(why) = run_seed(seed, gates, Fault::None, checks) {
            panic!("{why}");
        }
    }
}

fn limits() -> impl Strategy<Value = RateLimits> {
    (
        1..80_u32,
        prop::option::of(20..200_u32),
        prop::option::of(30..300_u32),
    )
        .prop_map(|(minute, hour, day)| RateLimits {
            requests_per_minute: Some(minute),
            requests_per_hour: hour,
            requests_per_day: day,
        })
}

fn setting() -> impl Strategy<Value = Setting> {
    let pause = prop_oneof![6 => 0..300_u64, 3 => 0..2_000_u64, 1 => 0..30_000_u64];
    let cost = prop_oneof![6 => Just(1_u32), 1 => 2..6_u32];
    let leg = || prop_oneof![Just(0), 0..LEG_MS];
    (
        limits(),
        prop::bool::weighted(0.3),
        prop_oneof![3 => Just(NOON), 1 => MIDNIGHT - 60_000..MIDNIGHT],
        prop::collection::vec((leg(), leg()), 1..20),
        prop::collection::vec((pause, 0..3_usize, cost), 1..200),
    )
        .prop_map(|(limits, strict, start, legs, requests)| Setting {
            limits,
            strict,
            start,
            legs,
            requests,
        })
}

#[test]
fn one_gate_tells_what_is_left_and_when_more_comes_at_every_step() {
    run_seeds(1, &[check_alone, check_retry]);
}

#[test]
fn as_many_requests_pass_as_one_gate_promises() {
    run_seeds(1, &[check_promise]);
}

#[test]
fn several_gates_tell_of_no_more_than_was_left_within_the_lease_time() {
    run_seeds(3, &[check_among_others]);
}

/// What the checks say of a guard or a gate with that fault.
fn found(fault: Fault, gates: usize, checks: &[Check]) -> String {
    let found = (1..=4).find_map(|seed| run_seed(seed, gates, fault, checks).err());
    let why = found.unwrap_or_default();
    assert!(why.contains("KEYWARD_SEED="), "{fault:?}: {why}");
    why
}

#[test]
fn the_log_shows_more_promised_than_is_left_by_a_guard_that_counts_a_grant_twice() {
    let why = found(Fault::StandingBeforeGrant, 1, &[check_alone]);
    assert!(why.contains("are left"), "{why}");
    let why = found(Fault::StandingBeforeGrant, 3, &[check_among_others]);
    assert!(why.contains("were left"), "{why}");
}

#[test]
fn the_log_shows_units_that_do_not_come_back_when_told() {
    let why = found(Fault::EarlyReset, 1, &[check_alone]);
    assert!(why.contains("nothing comes back"), "{why}");
}

#[test]
fn the_log_shows_less_told_than_is_left_by_a_guard_that_gives_nothing_back() {
    let why = found(Fault::NothingGivenBack, 1, &[check_alone]);
    assert!(why.contains("at least"), "{why}");
}

#[test]
fn a_refusal_that_promises_what_it_refuses_is_found() {
    let why = found(Fault::RefusedAsPassed, 1, &[check_alone]);
    let of_refusals = ["so many remain", "Retry-After and reset differ"];
    assert!(of_refusals.iter().any(|w| why.contains(w)), "{why}");
}

#[test]
fn a_minute_of_one_request_a_second_counts_down_to_nothing_and_back_up() {
    let setting = Setting {
        limits: RateLimits {
            requests_per_minute: Some(30),
            ..RateLimits::default()
        },
        strict: false,
        start: NOON,
        legs: vec![(10, 10)],
        requests: Vec::new(),
    };
    let mut world = World::new(&setting, 1, Fault::None);
    let told: Vec<_> = (0..120)
        .map(|second| world.request_at(0, NOON + second * 1_000, 1).told)
        .collect();
    let remaining: Vec<u32> = told.iter().map(|t| t.remaining).collect();
    let down: Vec<u32> = (0..30).rev().collect();
    assert_eq!(remaining[..30], down);
    assert!(told[30..60].iter().all(|t| !t.passed() && t.remaining == 0));
    // The first unit was decided 10 ms into its second, and leased to the end of the next.
    let resets: Vec<u64> = told[..60].iter().map(|t| t.t).collect();
    let to_first: Vec<u64> = (0..60)
        .map(|second| 61_u64.saturating_sub(second).max(1))
        .collect();
    assert!(
        resets
            .iter()
            .zip(&to_first)
            .all(|(t, first)| t.abs_diff(*first) <= 1),
        "{resets:?}"
    );
    assert_eq!(told[62..92].iter().filter(|t| t.passed()).count(), 30);
}
