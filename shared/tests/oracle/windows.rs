//! Counters against a plain list of events.

use proptest::collection::vec;
use proptest::prelude::*;
use shared::Millis;
use shared::window::{Counter, Window};

use super::config;
use super::naive::{NaiveCounter, bucket_ms, span_ms};

#[derive(Debug, Clone)]
enum Op {
    /// Units count so many milliseconds from now.
    Add { ahead: Millis, units: u64 },
    /// Units are taken out of the bucket of the `pick`-th addition.
    Remove { pick: usize, units: u64 },
    /// What no longer counts is forgotten.
    Expire,
}

fn window() -> impl Strategy<Value = Window> {
    prop_oneof![Just(Window::Minute), Just(Window::Hour), Just(Window::Day)]
}

/// Any moment, some of them next to the end of a day.
fn moment() -> impl Strategy<Value = Millis> {
    let day = span_ms(Window::Day);
    prop_oneof![
        0..3 * day,
        (1..4_u64, 0..3_000_u64).prop_map(move |(days, before)| days * day - before),
        (20_000 * day)..(20_001 * day),
    ]
}

/// Steps of time, in sixtieths of a window or about a bucket's length.
fn steps(window: Window) -> impl Strategy<Value = Vec<(Millis, Op)>> {
    let time = prop_oneof![
        3 => 0..=bucket_ms(window).min(3_600_000),
        2 => 0..=span_ms(window) / 20,
        1 => span_ms(window) - 2_000..=span_ms(window) + 2_000,
    ];
    let op = prop_oneof![
        5 => (0..5_000_u64, 1..100_u64).prop_map(|(ahead, units)| Op::Add { ahead, units }),
        2 => (any::<usize>(), 1..100_u64).prop_map(|(pick, units)| Op::Remove { pick, units }),
        1 => Just(Op::Expire),
    ];
    vec((time, op), 1..60)
}

fn plan() -> impl Strategy<Value = (Window, Millis, Vec<(Millis, Op)>)> {
    window().prop_flat_map(|window| (Just(window), moment(), steps(window)))
}

/// Carries a plan out on both; `check` sees them after every step.
fn carry_out(
    (window, start, steps): (Window, Millis, Vec<(Millis, Op)>),
    check: impl Fn(Window, Millis, &Counter, &NaiveCounter) -> Result<(), TestCaseError>,
) -> Result<(), TestCaseError> {
    let (mut counter, mut naive) = (Counter::default(), NaiveCounter::default());
    let (mut now, mut added) = (start, Vec::new());
    for (passed, op) in steps {
        now += passed;
        match op {
            Op::Add { ahead, units } => {
                added.push(now + ahead);
                counter.add(window, now + ahead, units);
                naive.add(now + ahead, units);
            }
            Op::Remove { pick, units } => {
                if let Some(place) = pick.checked_rem(added.len()) {
                    counter.remove(window, added[place], units);
                    naive.remove(window, added[place], units);
                }
            }
            Op::Expire => {
                counter.expire(window, now);
                naive.expire(window, now);
            }
        }
        check(window, now, &counter, &naive)?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(config(1_024))]

    #[test]
    fn a_unit_counts_for_the_whole_window_and_at_most_one_bucket_longer(
        window in window(),
        at in moment(),
    ) {
        let leaves_at = window.leaves_at(window.bucket(at));
        match window {
            Window::Day | Window::Month => {
                prop_assert_eq!(leaves_at % span_ms(window), 0);
                prop_assert!(at < leaves_at && leaves_at <= at + span_ms(window));
            }
            Window::Minute | Window::Hour => {
                let kept = leaves_at - at;
                prop_assert!(kept > span_ms(window));
                prop_assert!(kept <= span_ms(window) + bucket_ms(window));
            }
        }
        prop_assert_eq!(window.span(), span_ms(window));
    }

    #[test]
    fn a_counter_holds_what_a_list_of_events_holds_never_less_and_late_by_at_most_a_bucket(
        plan in plan(),
    ) {
        carry_out(plan, |window, now, counter, naive| {
            let used = counter.used(window, now);
            prop_assert_eq!(used, naive.used(window, now));
            prop_assert!(used >= naive.exact(window, now));
            let late = match window {
                Window::Day | Window::Month => now,
                Window::Minute | Window::Hour => now.saturating_sub(bucket_ms(window)),
            };
            prop_assert!(used <= naive.exact(window, late));
            Ok(())
        })?;
    }

    #[test]
    fn the_moments_named_are_the_first_at_which_units_have_left(plan in plan()) {
        carry_out(plan, |window, now, counter, _| {
            let used = |at| counter.used(window, at);
            for allowed in [0, used(now) / 2, used(now).saturating_sub(1), used(now)] {
                let at = counter.falls_to(window, now, allowed);
                prop_assert!(used(at) <= allowed);
                prop_assert!(at == now || used(at - 1) > allowed);
            }
            let at = counter.next_leave(window, now);
            if used(now) == 0 {
                prop_assert_eq!(at, now);
            } else {
                prop_assert!(used(at) < used(now));
                prop_assert_eq!(used(at - 1), used(now));
            }
            Ok(())
        })?;
    }
}
