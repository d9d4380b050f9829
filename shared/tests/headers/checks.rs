//! What holds of every answer.

use shared::Millis;
use shared::window::Window;

use super::log::limited;
use super::world::{Answered, World};
use super::{LEASE_MS, LEG_MS};

/// Fails with what is promised unless it holds.
macro_rules! holds {
    ($what:expr, $($about:tt)+) => {
        if !$what {
            return Err(format!($($about)+));
        }
    };
}

fn bucket(window: Window) -> Millis {
    match window {
        Window::Minute => 200,
        Window::Hour => 15_000,
        Window::Day | Window::Month => 0,
    }
}

/// By how much later than it could be a unit is known to have left a window: its bucket, the time of a lease, and that
/// since the guard was asked.
fn late(window: Window) -> Millis {
    bucket(window) + 2 * LEASE_MS + 2 * LEG_MS
}

/// What holds whoever else uses the key.
pub fn check_any(world: &World, answered: &Answered) -> Result<(), String> {
    let Answered { at, cost, told, .. } = answered;
    let limits = &world.record.limits;
    let policy: Vec<String> = limited(limits)
        .map(|(w, limit)| format!("\"{}\";q={limit};w={}", w.name(), w.span() / 1_000))
        .collect();
    holds!(told.policy == policy.join(", "), "policy: {told:?}");
    let limit = limits.of(told.window);
    holds!(Some(told.limit) == limit, "limit: {told:?}");
    holds!(told.remaining <= told.limit, "over the limit: {told:?}");
    holds!(
        told.reset.abs_diff(at / 1_000 + told.t) <= 1,
        "two resets: {told:?}"
    );
    let Some((violated, retry_after)) = &told.refused else {
        return Ok(());
    };
    holds!(
        told.remaining < *cost,
        "refused {cost} though so many remain: {told:?}"
    );
    holds!(
        violated.contains(&told.window.into()),
        "of another window: {told:?}"
    );
    let fits = limited(limits).all(|(_, limit)| *cost <= limit);
    holds!(
        retry_after.is_some() == fits,
        "a retry for {cost}: {told:?}"
    );
    holds!(
        retry_after.is_none_or(|seconds| seconds == told.t),
        "Retry-After and reset differ: {told:?}"
    );
    Ok(())
}

/// What holds of every answer of a gate that is the only one to use a key.
pub fn check_alone(world: &World, answered: &Answered) -> Result<(), String> {
    check_any(world, answered)?;
    let Answered { gate, at, told, .. } = answered;
    let (left, gate) = (
        world.log.left(&world.record.limits, *at, |_| 0),
        &world.gates[*gate],
    );
    holds!(told.remaining <= left, "{left} are left: {told:?}");
    // Less by what left the window lately, by what is between guard and gate, and by what came back since it asked.
    let back = world.log.back(*at, LEASE_MS);
    let mut least = world
        .log
        .left(&world.record.limits, *at, late)
        .saturating_sub(back + world.between(*at));
    // Nor what the gate would refuse by itself, or refuses now.
    if let Some(need) = gate.refuses(*at) {
        least = least.min(gate.available(*at).max(need - 1));
    }
    if !told.passed() {
        least = least.min(answered.cost - 1);
    }
    holds!(told.remaining >= least, "at least {least}: {told:?}");
    check_reset(world, answered)
}

/// Units come back at the time told, and none are told of that are not used.
fn check_reset(world: &World, answered: &Answered) -> Result<(), String> {
    let Answered { at, told, .. } = answered;
    let (now, lately) = (
        world.log.used(told.window, *at, 0),
        world.log.used(told.window, *at, late(told.window)),
    );
    holds!(told.t > 0 || now == 0, "nothing to wait for: {told:?}");
    holds!(told.t == 0 || lately > 0, "nothing is used: {told:?}");
    let then = at + told.t * 1_000;
    let later = world.log.used(told.window, then, 0);
    holds!(
        told.t == 0 || told.window == Window::Day || later < lately,
        "nothing comes back: {told:?}"
    );
    Ok(())
}

/// A retry at the time told passes if nothing else spends.
pub fn check_retry(world: &World, answered: &Answered) -> Result<(), String> {
    let Answered {
        gate,
        at,
        cost,
        told,
    } = answered;
    if let Some((_, Some(seconds))) = told.refused {
        let then = at + seconds * 1_000;
        let retried = world.only(*gate, then, 1, *cost).next();
        holds!(
            retried.as_ref().is_some_and(|a| a.told.passed()),
            "{told:?}, then {retried:?}"
        );
    }
    Ok(())
}

/// As many requests as remain pass if nothing else spends, but for units that are between guard and gate just then.
pub fn check_promise(world: &World, answered: &Answered) -> Result<(), String> {
    let Answered { gate, at, told, .. } = answered;
    let mut then = world.only(*gate, *at, told.remaining, 1);
    for passed in 0..told.remaining {
        let Some(next) = then.next() else {
            return Err("no answer".to_owned());
        };
        if !next.told.passed() {
            let between = then.between(next.at) + then.log.back(next.at, 0);
            holds!(
                passed + between >= told.remaining,
                "{told:?}, but {passed} passed before {next:?}"
            );
            break;
        }
    }
    Ok(())
}

/// What a gate tells is never more than there was a lease time and a round trip ago.
pub fn check_among_others(world: &World, answered: &Answered) -> Result<(), String> {
    check_any(world, answered)?;
    let Answered { at, told, .. } = answered;
    // What others were granted since is not known; what the window lost since may be.
    let known = at - (LEASE_MS + 2 * LEG_MS);
    let left = limited(&world.record.limits).map(|(w, limit)| {
        let still = world.log.admitted.iter().filter(|(when, _)| {
            let counts = match w {
                Window::Day | Window::Month => when / w.span() == at / w.span(),
                _ => when + w.span() > *at,
            };
            *when <= known && counts
        });
        limit.saturating_sub(still.map(|(_, cost)| cost).sum())
    });
    let left = left.min().unwrap();
    holds!(told.remaining <= left, "{left} were left: {told:?}");
    Ok(())
}
