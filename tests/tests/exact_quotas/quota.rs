//! What the tests of quotas have in common.

use std::time::Duration;

use keyward_tests::{Call, Load, NewKey, PATIENCE, Samples, World, eventually};
use serde_json::json;
use tokio::time::Instant;

/// Connections at once.
pub const CONNECTIONS: usize = 64;
/// What passed in a rolling minute stays counted at least this long.
const MINUTE: Duration = Duration::from_secs(60);
/// How long the hammering goes on after the last unit, longer than any lease.
const AND_ON: Duration = Duration::from_millis(2_500);

/// Both ways of enforcement.
pub const ENFORCEMENTS: [&str; 2] = ["leased", "strict"];

/// A key with a limit per minute.
pub async fn key(world: &World, enforcement: &str, per_minute: u64) -> NewKey {
    let limits = json!({"requestsPerMinute": per_minute});
    world
        .key(json!({"enforcement": enforcement, "rateLimits": limits}))
        .await
}

/// A key with a limit per hour, of which nothing comes back while a test runs.
pub async fn key_per_hour(world: &World, enforcement: &str, per_hour: u64) -> NewKey {
    let limits = json!({"requestsPerMinute": 1_000_000, "requestsPerHour": per_hour});
    world
        .key(json!({"enforcement": enforcement, "rateLimits": limits}))
        .await
}

/// A load with the key's token.
pub fn load(world: &World, key: &NewKey) -> Load {
    load_with(world, &key.token, CONNECTIONS)
}

/// A load with a token.
pub fn load_with(world: &World, token: &str, connections: usize) -> Load {
    let call = Call::get("/v1/customers").key(token);
    world.load(&call).connections(connections)
}

/// Hammers until `passes` requests have passed, and then some time more to see whether others do.
pub async fn hammer(load: Load, passes: u64) -> Samples {
    hammer_all(vec![load], passes).await
}

/// The same with several loads, whose passes are counted together.
pub async fn hammer_all(loads: Vec<Load>, passes: u64) -> Samples {
    let running: Vec<_> = loads.into_iter().map(Load::start).collect();
    let what = format!("{passes} requests pass");
    eventually(&what, PATIENCE, || async {
        let passed: u64 = running.iter().map(|load| load.count(200)).sum();
        (passed >= passes).then_some(())
    })
    .await;
    tokio::time::sleep(AND_ON).await;
    let mut all = Samples::default();
    for load in running {
        all.extend(load.stop().await);
    }
    all
}

/// Sends until exactly `passes` requests have passed, and no more.
pub async fn spend(load: &Load, passes: u64) -> Samples {
    let deadline = Instant::now() + PATIENCE;
    let mut all = Samples::default();
    while all.count(200) < passes {
        assert!(Instant::now() < deadline, "not {passes} requests pass");
        let missing = passes - all.count(200);
        all.extend(load.clone().count(missing).run().await);
    }
    all
}

/// Asserts that all of `limit` passed, and no more than the minutes since `began` allow: units that passed come back after a
/// minute, which a slow machine may need.
pub fn assert_is_limit(passed: u64, limit: u64, began: Instant) {
    let most = most_since(began, limit);
    assert!(
        (limit..=most).contains(&passed),
        "{passed} of {limit}..={most}"
    );
}

/// What a limit per minute can have let pass since `began`.
pub fn most_since(began: Instant, limit: u64) -> u64 {
    limit * (1 + began.elapsed().as_secs() / MINUTE.as_secs())
}

/// Asserts that every request either passed or was refused for its rate.
pub fn assert_passed_or_limited(samples: &Samples) {
    assert_passed_or(samples, "rate_limited");
}

/// Asserts that every request either passed or was refused with this code.
pub fn assert_passed_or(samples: &Samples, code: &str) {
    let codes = samples.codes();
    let others = codes.keys().find(|c| !["ok", code].contains(&c.as_str()));
    assert_eq!(others, None, "{codes:?}");
}
