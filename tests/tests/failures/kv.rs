//! KV that fails, or does not answer.

use std::time::{Duration, Instant};

use keyward_tests::{Call, World, WorldOptions, world};
use serde_json::json;

use crate::{
    APP, FAULTS, FOR_EVER, PERFECT, customers, is_unavailable, is_unavailable_without_an_api,
    passes, send,
};

/// The two ways in which KV can fail.
#[derive(Debug, Clone, Copy)]
enum Kv {
    Broken,
    Silent,
}

impl Kv {
    const ALL: [Self; 2] = [Self::Broken, Self::Silent];

    async fn set(self, world: &World, fails: bool) {
        match self {
            Self::Broken => world.edge.set_kv_broken(fails).await,
            Self::Silent => {
                let slow = if fails { FOR_EVER } else { Duration::ZERO };
                world.edge.set_kv_slow_reads(slow).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_gate_has_never_seen_is_asked_of_the_guard_instead() {
    let world = world!();
    // The gate has the API in memory.
    let known = world.key(json!({})).await;
    passes(&send(&world, &customers(&known.token)).await);
    for kv in Kv::ALL {
        for enforcement in ["leased", "strict"] {
            let key = world.key(json!({"enforcement": enforcement})).await;
            let revoked = world.key(json!({"enforcement": enforcement})).await;
            assert!(world.admin.revoke(&revoked.key.id).await.unwrap());
            kv.set(&world, true).await;
            println!("{kv:?}, {enforcement}");
            let (key, revoked) = (customers(&key.token), customers(&revoked.token));
            let (good, bad) = tokio::join!(send(&world, &key), send(&world, &revoked));
            passes(&good);
            bad.refusal(401, "invalid_key");
            kv.set(&world, false).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_the_gate_has_never_seen_is_unavailable_until_kv_is_back() {
    let world = world!();
    let key = world.key(json!({})).await;
    for (kv, host) in Kv::ALL
        .into_iter()
        .zip(["a.example.test", "b.example.test"])
    {
        world.api(host, json!({})).await;
        kv.set(&world, true).await;
        let call = Call::get("/").host(host).key(&key.token).origin(APP);
        is_unavailable_without_an_api(&send(&world, &call).await);
        kv.set(&world, false).await;
        passes(&send(&world, &call).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn known_apis_serve_on_for_hours_while_kv_fails() {
    let world = world!();
    let key = world.key(json!({})).await;
    let call = customers(&key.token);
    passes(&send(&world, &call).await);
    for kv in Kv::ALL {
        kv.set(&world, true).await;
        // Past what a record may be old, and far past it.
        for seconds in [61, 4 * 3_600] {
            let ahead = Duration::from_secs(seconds);
            world.edge.set_clock_ahead(ahead).await;
            passes(&send(&world, &call).await);
        }
        kv.set(&world, false).await;
        world.edge.set_clock_ahead(Duration::ZERO).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_kv_is_silent_hot_requests_do_not_wait_for_it_and_read_it_once_a_second_at_most() {
    let world = world!();
    let key = world.key(json!({})).await;
    let call = customers(&key.token);
    passes(&send(&world, &call).await);
    Kv::Silent.set(&world, true).await;
    let ahead = Duration::from_secs(120);
    world.edge.set_clock_ahead(ahead).await;
    // The first finds out.
    passes(&send(&world, &call).await);
    let before = world.edge.counters().await.kv_reads;
    let began = Instant::now();
    for _ in 0..50 {
        passes(&send(&world, &call).await);
    }
    let seconds = began.elapsed().as_secs() + 1;
    let reads = world.edge.counters().await.kv_reads - before;
    assert!(reads <= seconds + 1, "{reads} reads in {seconds} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_an_api_arrives_once_kv_is_back() {
    let world = world!(WorldOptions {
        propagation_wait: Some(Duration::from_millis(300)),
        ..WorldOptions::default()
    });
    let key = world.key(json!({"permissions": []})).await;
    world.settle().await;
    let call = Call::get("/v1/elsewhere").key(&key.token).origin(APP);
    passes(&send(&world, &call).await);
    world.edge.set_kv_broken(true).await;
    let closed = json!({"unlisted": "closed"});
    assert!(!world.admin.patch_api(&world.api, &closed).await.unwrap());
    passes(&send(&world, &call).await);
    world.edge.set_kv_broken(false).await;
    keyward_tests::eventually("the route is closed", keyward_tests::PATIENCE, || async {
        let answer = send(&world, &call).await;
        (answer.status == 404).then(|| answer.refusal(404, "unknown_route"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_kv_and_guard_both_away_a_request_is_refused_in_time_and_passes_when_they_are_back() {
    let world = world!();
    let known = world.key(json!({})).await;
    passes(&send(&world, &customers(&known.token)).await);
    for kv in Kv::ALL {
        for (fault, network) in [FAULTS[0], FAULTS[3]] {
            let key = world.key(json!({})).await;
            let below = world.account_below(&world.account).await;
            kv.set(&world, true).await;
            world.edge.set_guard_network(network).await;
            println!("{kv:?}, {fault}");
            // The second needs an account's place in the tree as well.
            let agents = format!("/v1/accounts/{below}/agents");
            let agents = Call::get(&agents).key(&key.token).origin(APP);
            let customers = customers(&key.token);
            let answers = tokio::join!(send(&world, &customers), send(&world, &agents));
            is_unavailable(&answers.0);
            is_unavailable(&answers.1);
            kv.set(&world, false).await;
            world.edge.set_guard_network(PERFECT).await;
            passes(&send(&world, &customers).await);
            passes(&send(&world, &agents).await);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_in_the_path_is_asked_of_the_guard_while_kv_fails() {
    let world = world!();
    let known = world.key(json!({})).await;
    passes(&send(&world, &customers(&known.token)).await);
    for kv in Kv::ALL {
        let below = world.account_below(&world.account).await;
        let stranger = world.account_below(&root_of(&world).await).await;
        kv.set(&world, true).await;
        println!("{kv:?}");
        let agents = |account: &str| {
            let path = format!("/v1/accounts/{account}/agents");
            Call::get(&path).key(&known.token).origin(APP)
        };
        let (own, other) = (agents(&below), agents(&stranger));
        let (own, other) = tokio::join!(send(&world, &own), send(&world, &other));
        passes(&own);
        other.refusal(403, "account_not_allowed");
        kv.set(&world, false).await;
    }
}

/// The account above the demo account.
async fn root_of(world: &World) -> String {
    let path = format!("/v1/accounts/{}", world.account);
    let account = world.admin.send("GET", &path, None).await.unwrap().json();
    account["parentId"].as_str().expect("a parent").to_owned()
}
