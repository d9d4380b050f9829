//! What a key may do, by its owner.

use keyward_tests::{PATIENCE, eventually, world};
use serde_json::json;

use crate::staff::{Staff, open, read, write};

#[tokio::test(flavor = "multi_thread")]
async fn a_key_does_what_it_and_its_owners_role_both_allow_and_the_upstream_is_told_just_that() {
    let world = world!();
    let staff = Staff::of(&world);
    let role = staff.role("role_reader", &["customers.read", "agents.*"]);
    staff
        .push(&[role, staff.member("mem_1", "role_reader")])
        .await;
    for enforcement in ["leased", "strict"] {
        for (of_key, both) in [
            (json!(["*"]), "customers.read agents.*"),
            (json!(["customers.*", "orders.read"]), "customers.read"),
            (
                json!(["agents.read", "customers.read"]),
                "agents.read customers.read",
            ),
        ] {
            let settings = json!({"permissions": of_key, "enforcement": enforcement});
            let key = staff.make("mem_1", &settings).await;
            let answer = staff.send(&key, read()).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let seen = world.upstream.last().expect("a request came through");
            assert_eq!(seen.headers["x-keyward-permissions"], both);
            let refused = staff.send(&key, write()).await;
            let body = refused.refusal(403, "insufficient_permission");
            assert_eq!(body["requiredPermission"], "customers.write");
            let asked = json!({"method": "GET", "path": "/v1/customers", "key": key.token});
            let asked = keyward_tests::Call::post("/.keyward/verify").json(&asked);
            let verdict = world.send(&asked).await.json();
            let told: Vec<&str> = both.split(' ').collect();
            assert_eq!(verdict["permissions"], json!(told), "{verdict}");
            assert_eq!(verdict["ownerId"], "mem_1");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn built_in_roles_allow_all_but_a_viewers_which_allows_nothing() {
    let world = world!();
    let staff = Staff::of(&world);
    for role in ["owner", "admin", "developer"] {
        staff.push(&[staff.member("mem_1", role)]).await;
        let key = staff.make("mem_1", &json!({})).await;
        assert_eq!(staff.code(&key, write()).await, "ok", "{role}");
    }
    staff.push(&[staff.member("mem_2", "viewer")]).await;
    let key = staff.make("mem_2", &json!({})).await;
    assert_eq!(staff.code(&key, read()).await, "insufficient_permission");
    assert_eq!(staff.code(&key, open()).await, "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_members_keys_are_refused_like_revoked_ones_and_the_log_says_why() {
    let world = world!();
    let staff = Staff::of(&world);
    let member = staff.member("mem_1", "owner");
    let mut gone = member.clone();
    gone["removed"] = true.into();
    staff.push(&[member, gone]).await;
    for enforcement in ["leased", "strict"] {
        let key = staff
            .make("mem_1", &json!({"enforcement": enforcement}))
            .await;
        let body = staff.send(&key, open()).await.refusal(401, "invalid_key");
        assert_eq!(body["detail"], "Invalid or revoked API key");
        let told = format!("refused {}: its owner was removed", key.id);
        eventually("the log says why", PATIENCE, || async {
            world.edge.log().contains(&told).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn members_and_roles_are_not_written_to_kv_and_stand_in_the_guard_as_pushed() {
    let world = world!();
    let staff = Staff::of(&world);
    let before = world.edge.counters().await;
    let role = staff.next(&staff.role("role_reader", &["customers.read"]));
    let member = staff.next(&staff.member("mem_1", "role_reader"));
    staff.deliver(&[role.clone(), member.clone()]).await;
    let after = world.edge.counters().await;
    assert_eq!(after.kv_writes, before.kv_writes);
    assert_eq!(after.guard_pushes, before.guard_pushes + 1);
    let key = staff.next(&staff.key("mem_1", &json!({})).record);
    staff.deliver(std::slice::from_ref(&key)).await;
    let stored = world.edge.storage().await.records;
    for record in [role, member, key] {
        let text = |name: &str| record[name].as_str().expect("a text").to_owned();
        let place = (text("kind"), text("id"));
        for (name, value) in record.as_object().expect("an object") {
            if name != "kind" {
                assert_eq!(stored[&place][name], *value, "{name} of {place:?}");
            }
        }
        assert!(stored[&place]["rolePermissions"].is_null());
    }
}
