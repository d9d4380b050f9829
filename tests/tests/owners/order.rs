//! Records that come in another order than they were made in, and copies in KV that are of no use.

use keyward_tests::{EdgeOptions, PATIENCE, World, WorldOptions, eventually, world};
use serde_json::json;

use crate::staff::{OwnedKey, Staff, open, read, write};

/// Two gates: the second one is cold.
fn two_gates() -> WorldOptions {
    WorldOptions {
        edge: EdgeOptions {
            gates: 2,
            ..EdgeOptions::default()
        },
        ..WorldOptions::default()
    }
}

async fn comes_to(staff: &Staff<'_>, key: &OwnedKey, code: &str) {
    eventually(&format!("the key comes to {code}"), PATIENCE, || async {
        (staff.code(key, read()).await == code).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_owner_or_role_has_not_come_yet_opens_nothing_until_it_comes() {
    let world = world!();
    let staff = Staff::of(&world);
    // Made in this order, and delivered the other way round.
    let role = staff.next(&staff.role("role_reader", &["customers.read"]));
    let member = staff.next(&staff.member("mem_1", "role_reader"));
    for enforcement in ["leased", "strict"] {
        let key = staff.key("mem_1", &json!({"enforcement": enforcement}));
        staff.push(std::slice::from_ref(&key.record)).await;
        for call in [open(), read()] {
            let answer = staff.send(&key, call).await;
            answer.refusal(401, "invalid_key");
        }
    }
    let key = staff.make("mem_1", &json!({})).await;
    assert_eq!(staff.code(&key, open()).await, "invalid_key");
    staff.deliver(&[member]).await;
    assert_eq!(staff.code(&key, open()).await, "invalid_key");
    staff.deliver(&[role]).await;
    comes_to(&staff, &key, "ok").await;
    assert_eq!(staff.code(&key, write()).await, "insufficient_permission");
}

/// Waits until a lease taken before cannot be what a request passes on.
async fn leases_end(world: &World) {
    let lease = world.edge.options().lease_ms;
    tokio::time::sleep(std::time::Duration::from_millis(lease + 150)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_in_force_although_they_overtake_each_other() {
    let world = world!(two_gates());
    let staff = Staff::of(&world);
    let role = |permissions: &[&str]| staff.role("role_1", permissions);
    staff
        .push(&[role(&["*"]), staff.member("mem_1", "role_1")])
        .await;
    let key = staff.make("mem_1", &json!({})).await;
    let strict = staff.make("mem_1", &json!({"enforcement": "strict"})).await;
    // The role is narrowed, then the keys are changed; the keys' changes are there first.
    let narrowed = staff.next(&role(&["customers.read"]));
    staff
        .push(&[key.record.clone(), strict.record.clone()])
        .await;
    for key in [&key, &strict] {
        assert_eq!(staff.code(key, write()).await, "ok");
    }
    staff.deliver(&[narrowed]).await;
    assert_eq!(
        staff.code(&strict, write()).await,
        "insufficient_permission"
    );
    leases_end(&world).await;
    assert_eq!(staff.code(&key, write()).await, "insufficient_permission");
    // And the other way round: a key is revoked, then the role is changed, which is there first.
    let revoked = staff.next(&key.with(&json!({"state": "revoked"})));
    let revoked_strict = staff.next(&strict.with(&json!({"state": "revoked"})));
    staff.push(&[role(&["*"])]).await;
    leases_end(&world).await;
    for key in [&key, &strict] {
        assert_eq!(staff.code(key, write()).await, "ok");
    }
    staff.deliver(&[revoked, revoked_strict]).await;
    assert_eq!(staff.code(&strict, open()).await, "invalid_key");
    leases_end(&world).await;
    assert_eq!(staff.code(&key, open()).await, "invalid_key");
    // A gate that has only what KV says of them.
    for key in [&key, &strict] {
        let answer = world.send_to(1, &key.on(open())).await;
        answer.refusal(401, "invalid_key");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_gate_asks_once_for_a_key_that_kv_has_as_it_is() {
    let world = world!(two_gates());
    let staff = Staff::of(&world);
    let role = staff.role("role_1", &["customers.read"]);
    staff.push(&[role, staff.member("mem_1", "role_1")]).await;
    let key = staff.make("mem_1", &json!({})).await;
    // The gate has the API already.
    let other = staff.make("mem_1", &json!({})).await;
    let known = std::time::Instant::now();
    assert_eq!(world.send_to(1, &other.on(read())).await.status, 200);
    leases_end(&world).await;
    leases_end(&world).await;
    let before = world.edge.counters().await;
    assert_eq!(world.send_to(1, &key.on(read())).await.status, 200);
    let after = world.edge.counters().await;
    // The API's record is read again when it is older than 5 s.
    let of_the_api = u64::from(known.elapsed() >= std::time::Duration::from_secs(5));
    let reads = after.kv_reads - before.kv_reads;
    assert!((1..=1 + of_the_api).contains(&reads), "{reads}");
    assert_eq!(after.guard_calls - before.guard_calls, 1);
}
