//! The runs that are made, and how they are shown.

use crate::outcome::Outcome;
use crate::scenario::{Faults, Scenario};
use crate::{BOUND_FROM, MOST_UNUSED, Options};

const HEAD: &str = "limit/min  locations   over  unused  though room     503  calls/req  calls/s/location  wait p50  p99 ms   ledger";

/// Runs all, prints the tables, and tells what was promised and not held.
pub fn print_all(options: &Options) -> Vec<String> {
    let mut broken = Vec::new();
    for strict in [false, true] {
        let mode = if strict { "strict" } else { "leased" };
        for (demand, what) in [(2.0, "twice its limit"), (0.8, "0.8 of its limit")] {
            println!("\n{mode}: one key, {what} asked for, evenly\n{HEAD}");
            for scenario in one_key(options, strict, demand) {
                let outcome = Outcome::of(&scenario);
                row(&scenario, &outcome);
                check(mode, &scenario, &outcome, demand > 1.0, &mut broken);
            }
        }
        println!("\n{mode}: the same in bursts, twice its limit, with all faults at once\n{HEAD}");
        for mut scenario in one_key(options, strict, 2.0) {
            scenario.bursts = true;
            scenario.faults = Faults::ALL;
            scenario.costs = vec![1, 1, 1, 3];
            scenario.demand *= 2.0 / 3.0;
            let outcome = Outcome::of(&scenario);
            row(&scenario, &outcome);
            check(mode, &scenario, &outcome, false, &mut broken);
        }
        println!(
            "\n{mode}: 300 keys, the n-th asked for 1/n as often as the first, in bursts, with all faults\n{HEAD}"
        );
        for scenario in many_keys(options, strict) {
            let outcome = Outcome::of(&scenario);
            row(&scenario, &outcome);
            check(mode, &scenario, &outcome, false, &mut broken);
        }
    }
    broken
}

fn one_key(options: &Options, strict: bool, demand: f64) -> Vec<Scenario> {
    let (limits, locations): (&[u32], &[usize]) = if options.quick {
        (&[1_000, 10_000], &[1, 10, 300])
    } else {
        (&[60, 1_000, 10_000, 100_000], &[1, 2, 10, 50, 300])
    };
    let mut scenarios = Vec::new();
    for limit in limits {
        for locations in locations {
            scenarios.push(Scenario {
                lease_ms: options.lease_ms,
                seconds: if options.quick { 120 } else { 300 },
                strict,
                ..Scenario::one_key(options.seed, *limit, *locations, demand)
            });
        }
    }
    scenarios
}

fn many_keys(options: &Options, strict: bool) -> Vec<Scenario> {
    let limits: &[u32] = if options.quick {
        &[1_000]
    } else {
        &[60, 1_000, 10_000]
    };
    let scenario = |limit: &u32| Scenario {
        lease_ms: options.lease_ms,
        seconds: if options.quick { 120 } else { 300 },
        strict,
        ..Scenario::many_keys(options.seed, *limit)
    };
    limits.iter().map(scenario).collect()
}

fn row(scenario: &Scenario, outcome: &Outcome) {
    println!(
        "{:9} {:10} {:6} {:6.2}% {:11.2}% {:6.2}% {:10.4} {:17.2} {:9} {:7} {:8}",
        scenario.limit,
        scenario.locations,
        outcome.over,
        100.0 * outcome.unused,
        100.0 * outcome.refused_with_room,
        100.0 * outcome.unavailable,
        outcome.calls,
        outcome.calls_a_second,
        outcome.waits.0,
        outcome.waits.1,
        outcome.ledger,
    );
}

fn check(
    mode: &str,
    scenario: &Scenario,
    outcome: &Outcome,
    bounded: bool,
    broken: &mut Vec<String>,
) {
    let (limit, locations) = (scenario.limit, scenario.locations);
    let what = format!("{mode}, {limit} a minute, {locations} locations");
    if outcome.over > 0 {
        broken.push(format!("{what}: {} over the limit", outcome.over));
    }
    if !scenario.strict && outcome.over_as_seen > 0 {
        broken.push(format!(
            "{what}: {} over as seen by gates",
            outcome.over_as_seen
        ));
    }
    if bounded && limit >= BOUND_FROM && outcome.unused > MOST_UNUSED {
        broken.push(format!("{what}: {:.2}% unused", 100.0 * outcome.unused));
    }
}
