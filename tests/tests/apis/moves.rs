//! A host that goes from an API of one account to an API of another.

use keyward_tests::{Answer, EdgeOptions, PATIENCE, World, WorldOptions, eventually, world};
use serde_json::json;

use crate::{account, api, get, reached};

const HOST: &str = "moving.example.test";

/// Whether a gate gives the host to the new API: its key passes there and the former one's is unknown.
async fn has_moved(world: &World, gate: usize, old: &str, new: &str) -> bool {
    let new = world.send_to(gate, &get(HOST, new)).await;
    let old: Answer = world.send_to(gate, &get(HOST, old)).await;
    old.code() == "invalid_key" && new.status == 200
}

/// Nobody's request ever reaches the upstream of another account's API.
fn nobody_crossed_over(world: &World, a: &str, b: &str) {
    for seen in world.upstream.requests() {
        let account = seen.headers["x-keyward-account-id"].to_str().unwrap();
        let own = if seen.target.starts_with("/a/") { a } else { b };
        assert_eq!(account, own, "{}", seen.target);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_moves_between_accounts_is_closed_to_the_keys_of_the_former_at_every_gate() {
    let world = world!(WorldOptions {
        edge: EdgeOptions {
            gates: 2,
            ..EdgeOptions::default()
        },
        ..WorldOptions::default()
    });
    let (a, b) = (account(&world, "a").await, account(&world, "b").await);
    let of_a = world.key(json!({"accountId": a})).await.token;
    let of_b = world.key(json!({"accountId": b})).await.token;
    let first = api(&world, "a", HOST, json!({"accountId": a})).await;
    for gate in 0..2 {
        // Hot there: leases are held.
        for _ in 0..10 {
            let answer = world.send_to(gate, &get(HOST, &of_a)).await;
            assert_eq!(reached(&answer), "a");
        }
        let foreign = world.send_to(gate, &get(HOST, &of_b)).await;
        foreign.refusal(401, "invalid_key");
    }
    // Given up by the one in a change, taken by the other when it is made.
    let elsewhere =
        json!({"endpoints": [{"host": "left.example.test", "environment": "production"}]});
    assert!(world.admin.patch_api(&first, &elsewhere).await.unwrap());
    let second = api(&world, "b", HOST, json!({"accountId": b})).await;
    for gate in 0..2 {
        eventually("the host has moved", PATIENCE, || async {
            has_moved(&world, gate, &of_a, &of_b).await.then_some(())
        })
        .await;
    }
    // And back, by deletion.
    let path = format!("/v1/apis/{second}");
    let deleted = world.admin.send("DELETE", &path, None).await.unwrap();
    assert_eq!(deleted.json()["propagated"], true);
    let again = json!({"endpoints": [{"host": HOST, "environment": "production"}]});
    assert!(world.admin.patch_api(&first, &again).await.unwrap());
    for gate in 0..2 {
        eventually("the host has moved back", PATIENCE, || async {
            has_moved(&world, gate, &of_b, &of_a).await.then_some(())
        })
        .await;
    }
    nobody_crossed_over(&world, &a, &b);
}
