//! The quota protocol, checked over every interleaving within bounds: two gates and a guard that run the real
//! code, a network that loses, repeats and reorders, crashes of each.

mod model;
mod quota;

use std::time::Instant;

use model::{Bounds, FULLY_SPENT, GIVEN_BACK, NEVER_OVER, Quota, SPENT_AGAIN, UNREPORTED};
use quota::Mutation;
use stateright::{Checker, Expectation, HasDiscoveries, Model};

/// A limit small enough to be spent by two requests and large enough that the second's lease holds spare units when its
/// cost is the lower: a gate wants as much again as it spent, and somewhat more.
fn leased(bounds: Bounds) -> Quota {
    Quota {
        limit: 8,
        strict: false,
        costs: vec![2, 4],
        bounds,
        mutation: Mutation::None,
    }
}

/// Explores all of it: what must always hold does, and what is named here is reachable.
fn check(what: &str, model: Quota, reachable: &[&'static str]) {
    let began = Instant::now();
    let checker = model.checker().spawn_dfs().join();
    println!(
        "{what}: {} different states of {}, {:.1?}",
        checker.unique_state_count(),
        checker.state_count(),
        began.elapsed()
    );
    for property in checker.model().properties() {
        if property.expectation == Expectation::Always {
            checker.assert_no_discovery(property.name);
        }
    }
    for name in reachable {
        checker.assert_any_discovery(name);
    }
}

#[test]
fn no_limit_is_passed_while_messages_take_any_order_and_leases_end() {
    let bounds = Bounds {
        requests: 3,
        ticks: 2,
        ..Bounds::default()
    };
    check(
        "order",
        leased(bounds),
        &[FULLY_SPENT, UNREPORTED, GIVEN_BACK],
    );
}

#[test]
fn no_limit_is_passed_as_units_leave_the_window() {
    let bounds = Bounds {
        requests: 3,
        ticks: 1,
        leaps: 1,
        ..Bounds::default()
    };
    check(
        "window",
        leased(bounds),
        &[FULLY_SPENT, UNREPORTED, SPENT_AGAIN],
    );
}

#[test]
fn no_limit_is_passed_when_a_message_is_lost_or_repeated_or_a_gate_or_the_guard_dies() {
    // Minutes and gigabytes, for a release build.
    let wide = std::env::var_os("KEYWARD_MODEL_WIDE").is_some();
    let bounds = Bounds {
        requests: 3,
        ticks: if wide { 2 } else { 1 },
        leaps: if wide { 1 } else { 0 },
        faults: 1,
        ..Bounds::default()
    };
    check("fault", leased(bounds), &[FULLY_SPENT]);
}

#[test]
fn no_limit_is_passed_after_two_faults() {
    let bounds = Bounds {
        requests: 2,
        ticks: 2,
        faults: 2,
        ..Bounds::default()
    };
    check("two faults", leased(bounds), &[FULLY_SPENT, UNREPORTED]);
}

#[test]
fn no_limit_is_passed_when_reports_come_by_themselves_too() {
    let bounds = Bounds {
        requests: 2,
        ticks: 2,
        reports: 1,
        faults: 1,
        ..Bounds::default()
    };
    check("reports", leased(bounds), &[FULLY_SPENT, UNREPORTED]);
}

#[test]
fn no_limit_of_two_units_is_passed_leased_or_strict() {
    for strict in [false, true] {
        let bounds = Bounds {
            requests: 3,
            ticks: 1,
            leaps: 1,
            ..Bounds::default()
        };
        let model = Quota {
            limit: 2,
            strict,
            costs: vec![1],
            ..leased(bounds)
        };
        check("two units", model, &[FULLY_SPENT, SPENT_AGAIN]);
    }
}

/// Breadth first, so that what is found is as short as can be.
fn counterexample(model: Quota) {
    let mutation = model.mutation;
    let wanted = HasDiscoveries::AnyOf([NEVER_OVER].into());
    let checker = model.checker().finish_when(wanted).spawn_bfs().join();
    let path = checker.assert_any_discovery(NEVER_OVER);
    println!("{mutation:?}: {:?}", path.into_actions());
}

#[test]
fn the_model_passes_the_limit_when_the_guard_answers_before_it_debits() {
    let bounds = Bounds {
        requests: 2,
        faults: 1,
        ..Bounds::default()
    };
    counterexample(Quota {
        mutation: Mutation::AnswerBeforeDebit,
        costs: vec![7],
        ..leased(bounds)
    });
}

#[test]
fn the_model_passes_the_limit_when_units_come_back_at_a_leases_end_without_a_report() {
    let bounds = Bounds {
        requests: 3,
        ticks: 2,
        ..Bounds::default()
    };
    counterexample(Quota {
        mutation: Mutation::GiveBackAtExpiry,
        ..leased(bounds)
    });
}
