//! Quotas against a slow oracle that logs every event: gates, a guard, a network that loses, repeats and
//! reorders, clocks that disagree, crashes.

mod oracle;
mod quota;

use std::sync::atomic::{AtomicU64, Ordering};

use oracle::config;
use oracle::op::{Op, Start, ops, start};
use oracle::world::{Seen, World};
use proptest::prelude::*;
use proptest::test_runner::{TestError, TestRng, TestRunner};
use quota::Mutation;

fn run(start: &Start, ops: &[Op], mutation: Mutation) -> Result<Seen, String> {
    let mut world = World::new(start, mutation);
    for op in ops {
        world.apply(op)?;
    }
    world.settle()?;
    Ok(world.seen)
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn no_window_is_ever_over_its_limit_and_every_unit_and_request_is_accounted_for(
        start in start(),
        ops in ops(150),
    ) {
        run(&start, &ops, Mutation::None).map_err(TestCaseError::fail)?;
    }
}

/// Looks for a run that violates something, always along the same cases.
fn counterexample(mutation: Mutation, cases: u32) -> Option<String> {
    let config = proptest::test_runner::Config {
        failure_persistence: None,
        ..config(cases)
    };
    let rng = TestRng::deterministic_rng(config.rng_algorithm);
    let found = TestRunner::new_with_rng(config, rng).run(&(start(), ops(150)), |(start, ops)| {
        run(&start, &ops, mutation)
            .map(|_| ())
            .map_err(TestCaseError::fail)
    });
    match found {
        Err(TestError::Fail(why, (start, ops))) => {
            println!("{mutation:?}: {why}\n{start:?}\n{ops:?}");
            Some(why.message().to_owned())
        }
        _ => None,
    }
}

#[test]
fn the_oracle_finds_the_limit_broken_when_the_guard_answers_before_it_debits() {
    let why = counterexample(Mutation::AnswerBeforeDebit, 1_000).unwrap_or_default();
    assert!(why.contains("over the limit"), "{why}");
}

#[test]
fn the_oracle_finds_the_limit_broken_when_units_come_back_at_a_leases_end_without_a_report() {
    let why = counterexample(Mutation::GiveBackAtExpiry, 1_000).unwrap_or_default();
    assert!(why.contains("over the limit"), "{why}");
}

#[test]
fn the_oracle_finds_units_spent_too_late_when_a_lease_is_measured_from_the_answers_arrival() {
    let why = counterexample(Mutation::LeaseFromArrival, 1_000).unwrap_or_default();
    assert!(why.contains("too late"), "{why}");
}

#[test]
fn the_oracle_finds_requests_counted_twice_when_repeated_reports_are_taken() {
    let why = counterexample(Mutation::EveryReportTaken, 1_000).unwrap_or_default();
    assert!(why.contains("usage"), "{why}");
}

#[test]
fn generated_runs_reach_what_they_are_about() {
    let sums: [AtomicU64; 5] = Default::default();
    let config = proptest::test_runner::Config {
        failure_persistence: None,
        ..config(64)
    };
    let rng = TestRng::deterministic_rng(config.rng_algorithm);
    let ran = TestRunner::new_with_rng(config, rng).run(&(start(), ops(150)), |(start, ops)| {
        let seen = run(&start, &ops, Mutation::None).map_err(TestCaseError::fail)?;
        let counts = [
            seen.granted,
            seen.paid,
            seen.refused,
            seen.repeated,
            seen.given_back,
        ];
        for (sum, count) in sums.iter().zip(counts) {
            sum.fetch_add(count, Ordering::Relaxed);
        }
        Ok(())
    });
    ran.unwrap();
    println!("granted, paid from leases, refused, refusals repeated, units back: {sums:?}");
    assert!(sums.iter().all(|sum| sum.load(Ordering::Relaxed) > 100));
}
