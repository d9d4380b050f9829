//! A request without a well-formed, genuinely issued key costs no I/O, and a flood with a key that is refused little.

use keyward_tests::{
    Call, Counters, PATIENCE, World, eventually, forged_token, letters, mistyped_token, world,
};
use serde_json::json;
use tokio::time::{Duration, Instant};

/// Requests of each kind.
const EACH: usize = 200;
/// How often a gate reads an API's record again while requests for it come.
const API_READ_EVERY: Duration = Duration::from_secs(5);
const FLOOD: Duration = Duration::from_secs(4);

fn customers() -> Call {
    Call::get("/v1/customers")
}

/// What was counted between two moments, and how long that was.
struct Cost<'a> {
    world: &'a World,
    before: Counters,
    began: Instant,
}

impl<'a> Cost<'a> {
    async fn begin(world: &'a World) -> Self {
        let before = world.edge.counters().await;
        let began = Instant::now();
        Self {
            world,
            before,
            began,
        }
    }

    /// Asserts that nothing was asked of guards, and of KV nothing but the API's record, as for any request.
    async fn is_nothing(&self, what: &str) {
        let after = self.world.edge.counters().await;
        let elapsed = self.began.elapsed();
        let calls = after.guard_calls - self.before.guard_calls;
        let reads = after.kv_reads - self.before.kv_reads;
        // The last read of it may have been long before.
        let of_the_api = elapsed.as_millis() / API_READ_EVERY.as_millis() + 1;
        assert_eq!(calls, 0, "calls of guards for {what}");
        assert!(
            u128::from(reads) <= of_the_api,
            "{reads} reads of KV for {what} in {elapsed:?}"
        );
        assert_eq!(after.kv_writes, self.before.kv_writes, "{what}");
    }

    /// Asserts at most two calls of guards and two reads of KV for each second, the first and the last counted whole.
    async fn is_small(&self, what: &str) {
        let after = self.world.edge.counters().await;
        let elapsed = self.began.elapsed();
        let calls = after.guard_calls - self.before.guard_calls;
        let reads = after.kv_reads - self.before.kv_reads;
        let seconds = elapsed.as_millis().div_ceil(1_000) + 1;
        println!("{what}: {calls} calls of guards, {reads} reads of KV in {elapsed:?}");
        for (what_of, count) in [("calls of guards", calls), ("reads of KV", reads)] {
            assert!(
                u128::from(count) <= 2 * seconds,
                "{count} {what_of} for {what} in {elapsed:?}"
            );
        }
    }
}

async fn all_refused(world: &World, code: &str, calls: impl IntoIterator<Item = Call>) {
    for call in calls {
        world.send(&call).await.refusal(401, code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_mistyped_and_forged_tokens_cost_no_read_of_kv_and_no_call_of_a_guard() {
    let world = world!();
    let token = world.key(json!({})).await.token;
    // The record of the API is in memory from here on; the key's is not, so that a look-up would show.
    all_refused(&world, "missing_credential", [customers()]).await;
    let each = || 0..EACH;
    let bearer = |token: String| customers().key(&token);

    let cost = Cost::begin(&world).await;
    let none = each().map(|_| customers());
    all_refused(&world, "missing_credential", none).await;
    cost.is_nothing("no credential").await;

    let cost = Cost::begin(&world).await;
    let in_query = format!("/v1/customers?api_key={token}");
    let in_query = each().map(|_| Call::get(&in_query));
    all_refused(&world, "missing_credential", in_query).await;
    cost.is_nothing("a key in the query").await;

    let cost = Cost::begin(&world).await;
    let malformed = each().map(|n| match n % 4 {
        0 => bearer(letters(40)),
        1 => bearer(format!("kw_prod_sk_{}", letters(40))),
        2 => customers().header("authorization", &format!("Basic {}", letters(40))),
        _ => customers().header("x-api-key", &letters(n % 40)),
    });
    all_refused(&world, "malformed_credential", malformed).await;
    cost.is_nothing("malformed tokens").await;

    let cost = Cost::begin(&world).await;
    let mistyped = each().map(|n| bearer(mistyped_token(&token, n)));
    all_refused(&world, "malformed_credential", mistyped).await;
    cost.is_nothing("mistyped tokens").await;

    let cost = Cost::begin(&world).await;
    let forged = each().map(|_| bearer(forged_token("prod", &world.account)));
    all_refused(&world, "invalid_key", forged).await;
    cost.is_nothing("forged tokens").await;

    let cost = Cost::begin(&world).await;
    let staging = each().map(|_| bearer(world.secrets.unissued_token("stg", &world.account)));
    all_refused(&world, "wrong_environment", staging).await;
    cost.is_nothing("tokens of another environment").await;

    // A genuine key shows that the counters do count.
    assert_eq!(world.send(&bearer(token)).await.status, 200);
    let after = world.edge.counters().await;
    assert!(after.guard_calls > cost.before.guard_calls);
    assert!(after.kv_reads > cost.before.kv_reads);
}

/// Floods for a while with a call that is refused, and asserts that every request was, with little asked of guards.
async fn flood(world: &World, call: &Call, code: &str) {
    let what = format!("a flood refused for {code}");
    let cost = Cost::begin(world).await;
    let samples = world.load(call).run_for(FLOOD).await;
    cost.is_small(&what).await;
    let codes: Vec<_> = samples.codes().into_keys().collect();
    assert_eq!(codes, [code]);
    println!("{what}: {} requests", samples.0.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_with_a_revoked_key_costs_two_calls_of_the_guard_a_second() {
    let world = world!();
    let key = world.key(json!({})).await;
    let call = customers().key(&key.token);
    assert_eq!(world.send(&call).await.status, 200);
    world.admin.revoke(&key.key.id).await.unwrap();
    eventually("the key is refused", PATIENCE, || async {
        (world.send(&call).await.status == 401).then_some(())
    })
    .await;
    flood(&world, &call, "invalid_key").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_over_the_limit_costs_two_calls_of_the_guard_a_second() {
    let world = world!();
    for limits in [
        json!({"requestsPerMinute": 1}),
        json!({"requestsPerMinute": 1_000, "requestsPerDay": 1}),
    ] {
        let key = world.key(json!({"rateLimits": limits})).await;
        let call = customers().key(&key.token);
        assert_eq!(world.send(&call).await.status, 200);
        world.send(&call).await.refusal(429, "rate_limited");
        flood(&world, &call, "rate_limited").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_with_a_key_that_nobody_has_costs_two_calls_of_the_guard_a_second() {
    let world = world!();
    let token = world.secrets.unissued_token("prod", &world.account);
    let call = customers().key(&token);
    world.send(&call).await.refusal(401, "invalid_key");
    flood(&world, &call, "invalid_key").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_without_the_permission_costs_two_calls_of_the_guard_a_second() {
    let world = world!();
    let key = world.key(json!({"permissions": []})).await;
    let call = customers().key(&key.token);
    let answer = world.send(&call).await;
    answer.refusal(403, "insufficient_permission");
    flood(&world, &call, "insufficient_permission").await;
}
