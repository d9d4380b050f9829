//! A guard, or KV, that can't be asked: refused clearly, and over as soon as it can.

use std::time::Duration;

use keyward_tests::{Answer, Call, GuardNetwork, PATIENCE, World, eventually, world};
use serde_json::json;

/// Longer than a gate waits for a guard.
const TOO_LONG: Duration = Duration::from_secs(7);

fn customers(token: &str) -> Call {
    Call::get("/v1/customers").key(token)
}

fn is_unavailable(answer: &Answer) {
    let body = answer.refusal(503, "guard_unavailable");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(body["retryAfter"], 1);
    assert_eq!(body["title"], "Temporarily unavailable");
}

async fn network(world: &World, network: GuardNetwork) {
    world.edge.set_guard_network(network).await;
}

async fn gate_id(world: &World) -> serde_json::Value {
    world.edge.gate_state(0).await["gate"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_guard_is_out_of_reach_requests_are_refused_and_after_that_they_pass() {
    let world = world!();
    let gate = gate_id(&world).await;
    let perfect = GuardNetwork::default();
    for away in [
        GuardNetwork {
            lose: 1.0,
            ..perfect
        },
        GuardNetwork {
            lose_answers: 1.0,
            ..perfect
        },
        GuardNetwork {
            delay: TOO_LONG,
            ..perfect
        },
    ] {
        for enforcement in ["leased", "strict"] {
            let key = world.key(json!({"enforcement": enforcement})).await;
            let before = world.upstream.count();
            network(&world, away).await;
            is_unavailable(&world.send(&customers(&key.token)).await);
            assert_eq!(world.upstream.count(), before);
            network(&world, perfect).await;
            let answer = world.send(&customers(&key.token)).await;
            assert_eq!(answer.status, 200, "{away:?} {}", answer.text());
        }
    }
    assert_eq!(gate_id(&world).await, gate);
}

#[tokio::test(flavor = "multi_thread")]
async fn units_granted_in_an_answer_that_was_lost_stay_spent() {
    let world = world!();
    let key = world.key(json!({"rateLimits": {"requestsPerMinute": 1}}));
    let key = key.await;
    let lossy = GuardNetwork {
        lose_answers: 1.0,
        ..GuardNetwork::default()
    };
    network(&world, lossy).await;
    is_unavailable(&world.send(&customers(&key.token)).await);
    network(&world, GuardNetwork::default()).await;
    let answer = world.send(&customers(&key.token)).await;
    answer.refusal(429, "rate_limited");
    assert_eq!(world.upstream.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_allows_it_lets_known_keys_pass_while_the_guard_is_out_of_reach() {
    let world = world!();
    let patch = json!({"onGuardFailure": "allow"});
    assert!(world.admin.patch_api(&world.api, &patch).await.unwrap());
    let key = world.key(json!({"permissions": ["customers.read"]})).await;
    let revoked = world.key(json!({})).await;
    assert!(world.admin.revoke(&revoked.key.id).await.unwrap());
    let lost = GuardNetwork {
        lose: 1.0,
        ..GuardNetwork::default()
    };
    network(&world, lost).await;
    let answer = world.send(&customers(&key.token)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(world.upstream.count_of(&key.key.id), 1);
    // What the guard would have to confirm is refused all the same.
    is_unavailable(&world.send(&customers(&revoked.token)).await);
    let write = Call::post("/v1/customers").key(&key.token);
    is_unavailable(&world.send(&write).await);
    let unknown = world.secrets.unissued_token("prod", &world.account);
    is_unavailable(&world.send(&customers(&unknown)).await);
    world
        .send(&Call::get("/v1/customers"))
        .await
        .refusal(401, "missing_credential");
    assert_eq!(world.upstream.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_kv_fails_known_hosts_are_served_and_unknown_ones_are_unavailable() {
    let world = world!();
    let key = world.key(json!({})).await;
    world
        .send(&Call::get("/v1/customers"))
        .await
        .refusal(401, "missing_credential");
    world.edge.set_kv_broken(true).await;
    let answer = world.send(&customers(&key.token)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let elsewhere = Call::get("/").host("nobody.example.test");
    is_unavailable(&world.send(&elsewhere).await);
    world.edge.set_kv_broken(false).await;
    world.send(&elsewhere).await.refusal(404, "unknown_api");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_older_than_the_lease_time_admits_nobody() {
    let world = world!();
    for enforcement in ["leased", "strict"] {
        let key = world.key(json!({"enforcement": enforcement})).await;
        // The gate knows the key already: it needs one answer only.
        assert_eq!(world.send(&customers(&key.token)).await.status, 200);
        let before = world.upstream.count();
        let slow = GuardNetwork {
            delay: Duration::from_millis(1_500),
            ..GuardNetwork::default()
        };
        network(&world, slow).await;
        eventually("the lease is over", PATIENCE, || async {
            let answer = world.send(&customers(&key.token)).await;
            (answer.status == 503).then_some(())
        })
        .await;
        let passed = world.upstream.count() - before;
        assert!(enforcement == "leased" || passed == 0, "{passed} passed");
        network(&world, GuardNetwork::default()).await;
        assert_eq!(world.send(&customers(&key.token)).await.status, 200);
    }
}
