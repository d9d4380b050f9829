//! A guard that can't be asked.

use keyward_tests::{Call, PATIENCE, eventually, forged_token, world};
use serde_json::json;

use crate::{APP, FAULTS, FOR_EVER, PERFECT, customers, is_unavailable, passes, send};
use keyward_tests::GuardNetwork;

#[tokio::test(flavor = "multi_thread")]
async fn however_the_guard_fails_requests_are_refused_in_both_modes_and_pass_when_it_is_back() {
    let world = world!();
    for (fault, network) in FAULTS {
        let leased = world.key(json!({"enforcement": "leased"})).await;
        let strict = world.key(json!({"enforcement": "strict"})).await;
        let before = world.upstream.count();
        world.edge.set_guard_network(network).await;
        let (leased_call, strict_call) = (customers(&leased.token), customers(&strict.token));
        let answers = tokio::join!(send(&world, &leased_call), send(&world, &strict_call));
        println!("{fault}");
        is_unavailable(&answers.0);
        is_unavailable(&answers.1);
        assert_eq!(world.upstream.count(), before, "{fault}");
        world.edge.set_guard_network(PERFECT).await;
        passes(&send(&world, &leased_call).await);
        passes(&send(&world, &strict_call).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_allows_it_passes_good_keys_in_both_modes_however_the_guard_fails() {
    let world = world!();
    let patch = json!({"onGuardFailure": "allow"});
    assert!(world.admin.patch_api(&world.api, &patch).await.unwrap());
    for (fault, network) in FAULTS {
        for enforcement in ["leased", "strict"] {
            let settings = json!({"enforcement": enforcement, "permissions": ["customers.read"]});
            let key = world.key(settings).await;
            world.edge.set_guard_network(network).await;
            let read = customers(&key.token);
            let write = Call::post("/v1/customers").key(&key.token).origin(APP);
            let (read, write) = tokio::join!(send(&world, &read), send(&world, &write));
            println!("{fault}, {enforcement}");
            passes(&read);
            // Whether the key may do this by now only the guard could say.
            is_unavailable(&write);
            assert_eq!(world.upstream.count_of(&key.key.id), 1);
            world.edge.set_guard_network(PERFECT).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passed_while_the_guard_was_away_is_in_the_usage_once() {
    let world = world!();
    let patch = json!({"onGuardFailure": "allow"});
    assert!(world.admin.patch_api(&world.api, &patch).await.unwrap());
    let key = world.key(json!({})).await;
    world.edge.set_guard_network(FAULTS[0].1).await;
    for _ in 0..5 {
        passes(&send(&world, &customers(&key.token)).await);
    }
    world.edge.set_guard_network(PERFECT).await;
    eventually("all five are counted", PATIENCE, || async {
        // Reports go out with requests, or soon after them.
        passes(&send(&world, &customers(&world.key(json!({})).await.token)).await);
        let counted = world.admin.usage(&key.key.id).await.unwrap();
        let ok = counted.get("ok").copied().unwrap_or(0);
        assert!(ok <= 5, "{counted:?}");
        (ok == 5).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_no_guard_is_answered_as_ever() {
    let world = world!();
    let staging = world.key(json!({"environment": "staging"})).await;
    let fine = world.key(json!({})).await;
    // The gate has the API in memory; else it would have to read KV, too.
    passes(&send(&world, &customers(&fine.token)).await);
    let silent = GuardNetwork {
        delay: FOR_EVER,
        ..PERFECT
    };
    world.edge.set_guard_network(silent).await;
    world.edge.set_kv_broken(true).await;
    let bare = Call::get("/v1/customers").origin(APP);
    let preflight = Call::new("OPTIONS", "/v1/customers")
        .origin(APP)
        .header("access-control-request-method", "GET");
    assert_eq!(send(&world, &preflight).await.status, 204);
    for (call, code) in [
        (bare.clone(), "missing_credential"),
        (bare.clone().key("kw_prod_sk_short"), "malformed_credential"),
        (
            bare.clone().key(&forged_token("prod", &world.account)),
            "invalid_key",
        ),
        (bare.clone().key(&staging.token), "wrong_environment"),
    ] {
        send(&world, &call).await.refusal(401, code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_waits_for_a_silent_guard_holds_up_no_other_and_is_answered_in_time() {
    let world = world!();
    let key = world.key(json!({"enforcement": "strict"})).await;
    let call = customers(&key.token);
    passes(&send(&world, &call).await);
    let silent = GuardNetwork {
        delay: FOR_EVER,
        ..PERFECT
    };
    world.edge.set_guard_network(silent).await;
    let before = world.edge.counters().await.guard_calls;
    let waiting = send(&world, &call);
    let others = async {
        eventually("the request asks the guard", PATIENCE, || async {
            (world.edge.counters().await.guard_calls > before).then_some(())
        })
        .await;
        world.edge.set_guard_network(PERFECT).await;
        passes(&send(&world, &call).await);
    };
    let (answer, ()) = tokio::join!(waiting, others);
    is_unavailable(&answer);
    assert_eq!(world.upstream.count_of(&key.key.id), 2);
}
