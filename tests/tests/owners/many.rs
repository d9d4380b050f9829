//! Thousands of keys, and one record that bounds them.

use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use keyward_tests::{EdgeOptions, World, WorldOptions, world};
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use crate::staff::{OwnedKey, Staff, read};

const KEYS: usize = 2_000;
const PER_PUSH: usize = 500;
const LEASE_MS: u64 = 1_000;
const SLACK: Duration = Duration::from_millis(150);
const AT_A_TIME: usize = 32;

/// What a request with each of the keys comes to.
async fn codes(world: &World, keys: &[OwnedKey]) -> Vec<String> {
    let sent = keys
        .iter()
        .map(|key| async { world.send(&key.on(read())).await.code() });
    stream::iter(sent)
        .buffer_unordered(AT_A_TIME)
        .collect()
        .await
}

fn all_are(codes: &[String], expected: &str) {
    let others = codes.iter().filter(|code| *code != expected);
    assert_eq!(others.collect::<Vec<_>>(), [""; 0], "all are {expected}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_keys_of_one_member_are_bound_by_one_pushed_record() {
    let edge = EdgeOptions {
        lease_ms: LEASE_MS,
        ..EdgeOptions::default()
    };
    let world = world!(WorldOptions {
        edge,
        ..WorldOptions::default()
    });
    let staff = Staff::of(&world);
    let role = |permissions: &[&str]| staff.role("role_1", permissions);
    staff
        .push(&[role(&["customers.*"]), staff.member("mem_1", "role_1")])
        .await;
    let settings =
        |n: usize| json!({"enforcement": if n.is_multiple_of(10) { "strict" } else { "leased" }});
    let keys: Vec<OwnedKey> = (0..KEYS)
        .map(|n| staff.key("mem_1", &settings(n)))
        .collect();
    for some in keys.chunks(PER_PUSH) {
        let records: Vec<_> = some.iter().map(|key| key.record.clone()).collect();
        staff.push(&records).await;
    }
    // Every key is known to the gate, and KV will show nothing new for a minute.
    all_are(&codes(&world, &keys).await, "ok");
    world.edge.set_kv_lag(Duration::from_secs(60)).await;

    for (role, expected) in [
        (role(&["orders.*"]), "insufficient_permission"),
        (role(&["customers.read"]), "ok"),
    ] {
        let before = world.edge.counters().await;
        staff.push(&[role]).await;
        let pushed = world.edge.counters().await;
        assert_eq!(pushed.guard_pushes - before.guard_pushes, 1);
        assert_eq!(pushed.kv_writes, before.kv_writes);
        let in_force = Instant::now();
        let strict: Vec<OwnedKey> = keys.iter().step_by(10).cloned().collect();
        all_are(&codes(&world, &strict).await, expected);
        sleep_until(in_force + Duration::from_millis(LEASE_MS) + SLACK).await;
        all_are(&codes(&world, &keys).await, expected);
    }
    let gone = json!({"removed": true, "version": staff.next(&json!({}))["version"]});
    let mut member = staff.member("mem_1", "role_1");
    member
        .as_object_mut()
        .expect("an object")
        .extend(gone.as_object().expect("an object").clone());
    staff.deliver(&[member]).await;
    sleep_until(Instant::now() + Duration::from_millis(LEASE_MS) + SLACK).await;
    all_are(&codes(&world, &keys).await, "invalid_key");
}
