//! Members and roles of the control plane bound keys at the edge: one change there is one push, for however many keys.

use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use keyward_tests::{Call, EdgeOptions, NewKey, World, WorldOptions, world};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

const KEYS: usize = 500;
const LEASE_MS: u64 = 1_000;
/// A gate reads its clock some time after the caller's, and to the millisecond.
const SLACK: Duration = Duration::from_millis(150);
const AT_A_TIME: usize = 32;

async fn call(world: &World, method: &str, path: &str, body: Value) -> Value {
    let answer = world.admin.send(method, path, Some(&body)).await.unwrap();
    assert!(answer.status < 300, "{}", answer.text());
    answer.json()
}

async fn role(world: &World, permissions: &[&str]) -> String {
    let body = json!({
        "name": "Partners", "accountId": world.account, "managementPermissions": [],
        "apiPermissions": permissions,
    });
    let made = call(world, "POST", "/v1/roles", body).await;
    made["role"]["id"].as_str().unwrap().to_owned()
}

async fn member(world: &World, email: &str, role: &str) -> String {
    let body = json!({"email": email, "name": email, "role": role, "accountId": world.account});
    let made = call(world, "POST", "/v1/members", body).await;
    made["member"]["id"].as_str().unwrap().to_owned()
}

/// What a request with each of the keys comes to, in no order.
async fn codes(world: &World, keys: &[NewKey], call: fn() -> Call) -> Vec<String> {
    let sent = keys
        .iter()
        .map(|key| async { world.send(&call().key(&key.token)).await.code() });
    stream::iter(sent)
        .buffer_unordered(AT_A_TIME)
        .collect()
        .await
}

fn all_are(codes: &[String], expected: &str) {
    let others = codes.iter().filter(|code| *code != expected);
    assert_eq!(others.collect::<Vec<_>>(), [""; 0], "all are {expected}");
}

fn read() -> Call {
    Call::get("/v1/customers")
}

fn write() -> Call {
    Call::post("/v1/customers")
}

/// A change that must be one push, and in force for every key when the lease time is over.
async fn changed(world: &World, method: &str, path: &str, body: Value) -> Value {
    let before = world.edge.counters().await;
    let answer = call(world, method, path, body).await;
    assert_eq!(answer["propagated"], true, "{answer}");
    let after = world.edge.counters().await;
    assert_eq!(
        after.guard_pushes - before.guard_pushes,
        1,
        "{method} {path}"
    );
    let in_force = Instant::now();
    sleep_until(in_force + Duration::from_millis(LEASE_MS) + SLACK).await;
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_role_and_a_removed_member_bound_five_hundred_keys_by_one_push_each() {
    let edge = EdgeOptions {
        lease_ms: LEASE_MS,
        ..EdgeOptions::default()
    };
    let world = world!(WorldOptions {
        edge,
        ..WorldOptions::default()
    });
    let role = role(&world, &["customers.*"]).await;
    let owner = member(&world, "ada@example.com", &role).await;
    let settings = json!({"ownerId": owner, "permissions": ["customers.*"]});
    let made = (0..KEYS).map(|_| world.key(settings.clone()));
    let keys: Vec<NewKey> = stream::iter(made)
        .buffer_unordered(AT_A_TIME)
        .collect()
        .await;
    // Every key is known to the gate, and KV will show nothing new for a minute.
    all_are(&codes(&world, &keys, read).await, "ok");
    all_are(&codes(&world, &keys, write).await, "ok");
    world.edge.set_kv_lag(Duration::from_secs(60)).await;

    let path = format!("/v1/roles/{role}");
    let smaller = json!({"apiPermissions": ["customers.read"]});
    changed(&world, "PATCH", &path, smaller).await;
    all_are(&codes(&world, &keys, read).await, "ok");
    all_are(
        &codes(&world, &keys, write).await,
        "insufficient_permission",
    );

    let path = format!("/v1/members/{owner}");
    changed(&world, "PATCH", &path, json!({"role": "viewer"})).await;
    all_are(&codes(&world, &keys, read).await, "insufficient_permission");
    changed(&world, "PATCH", &path, json!({"role": "developer"})).await;
    all_are(&codes(&world, &keys, write).await, "ok");

    let removed = changed(&world, "DELETE", &path, json!({})).await;
    assert_eq!(removed["refusedKeys"], KEYS);
    all_are(&codes(&world, &keys, read).await, "invalid_key");

    // One of them finds another owner.
    let heir = member(&world, "bob@example.com", "developer").await;
    let adopted = &keys[0];
    let patch = json!({"ownerId": heir});
    assert!(
        world
            .admin
            .patch_key(&adopted.key.id, &patch)
            .await
            .unwrap()
    );
    sleep_until(Instant::now() + Duration::from_millis(LEASE_MS) + SLACK).await;
    let answer = world.send(&read().key(&adopted.token)).await;
    assert_eq!(answer.code(), "ok", "{}", answer.text());
}
