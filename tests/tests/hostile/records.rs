//! Pushes, rightly signed, of records that can't be.

use keyward_tests::{Answer, Call, World, world};
use serde_json::{Value, json};

use crate::signed::Message;
use crate::survival::Survival;

async fn push(world: &World, records: &[Value]) -> Answer {
    let message = Message::new(world, json!({"records": records}).to_string());
    world.send(&message.post("/.keyward/push")).await
}

fn account(id: &str) -> Value {
    json!({"kind": "account", "id": id, "version": 1, "ancestors": []})
}

fn key(account: &str) -> Value {
    json!({
        "kind": "key", "id": "key_made_up", "version": 1, "account": account, "environment": "prod",
        "state": "active", "credentials": [{"hash": "ab".repeat(32)}],
    })
}

fn api(account: &str) -> Value {
    json!({
        "kind": "api", "id": "api_made_up", "version": 1, "account": account, "name": "Made up",
        "endpoints": [{"host": "made-up.test", "environment": "production", "code": "prod"}],
        "upstream": "http://127.0.0.1:1",
    })
}

fn member(account: &str) -> Value {
    json!({"kind": "member", "id": "mem_made_up", "version": 1, "account": account, "role": "owner"})
}

fn role(account: &str) -> Value {
    json!({"kind": "role", "id": "role_made_up", "version": 1, "account": account, "permissions": ["*"]})
}

fn with(mut record: Value, field: &str, value: Value) -> Value {
    record[field] = value;
    record
}

/// Every record that can't be, and why.
fn absurd(own: &str) -> Vec<Value> {
    let long = "a".repeat(100_000);
    let huge: Value = serde_json::from_str("99999999999999999999999").expect("JSON");
    let mut records = Vec::new();
    for id in ["", "acc_1", "acc_Ab3dE6g/", "../../etc", "acc_ä", &long] {
        records.push(account(id));
        records.push(key(id));
        records.push(api(id));
        records.push(member(id));
        records.push(role(id));
        records.push(with(account(own), "ancestors", json!([id])));
    }
    for id in ["", "key id", "key/../x", "key_ä", "\u{0}", &long] {
        records.push(with(key(own), "id", id.into()));
        records.push(with(api(own), "id", id.into()));
        records.push(with(member(own), "id", id.into()));
        records.push(with(role(own), "id", id.into()));
    }
    for version in [
        json!(0),
        json!(-1),
        json!(1.5),
        json!(1_u64 << 53),
        json!(u64::MAX),
        huge,
        json!("1"),
        json!(null),
    ] {
        for record in [account(own), key(own), api(own), member(own), role(own)] {
            records.push(with(record, "version", version.clone()));
        }
    }
    for hash in [
        "",
        "zz",
        &"zz".repeat(32),
        &"ab".repeat(31),
        &"ab".repeat(33),
        &long,
    ] {
        records.push(with(key(own), "credentials", json!([{"hash": hash}])));
    }
    let ancestors = vec![own; 9];
    records.extend([
        with(account(own), "ancestors", json!(ancestors)),
        with(key(own), "credentials", json!(null)),
        with(key(own), "credentials", json!([{"hash": 7}])),
        with(key(own), "permissions", json!(["not a permission"])),
        with(key(own), "permissions", json!("*")),
        with(key(own), "resources", json!(["no colon"])),
        with(key(own), "allowedOrigins", json!(["null"])),
        with(key(own), "allowedIps", json!(["10.0.0.0/99"])),
        with(key(own), "limits", json!({"requestsPerMinute": -1})),
        with(key(own), "limits", json!({"requestsPerMinute": u64::MAX})),
        with(key(own), "expiresAt", json!(-1)),
        with(key(own), "expiresAt", json!("tomorrow")),
        with(member(own), "role", json!(7)),
        with(member(own), "role", json!(null)),
        with(member(own), "removed", json!("yes")),
        with(role(own), "permissions", json!("*")),
        with(role(own), "permissions", json!(["not a permission"])),
        with(role(own), "deleted", json!(1)),
        with(api(own), "endpoints", json!({})),
        with(api(own), "upstream", json!(7)),
        with(api(own), "upstreamTimeoutMs", json!(-1)),
        with(api(own), "routes", json!([{"method": "GET"}])),
        with(api(own), "cors", json!({"allowedOrigins": ["nonsense"]})),
    ]);
    records
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_with_a_record_that_can_not_be_is_refused_whole() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    let storage = world.edge.storage().await;
    let history = world.edge.kv_history().await;
    let good = with(account(&world.account), "version", json!(99));
    for record in absurd(&world.account) {
        let answer = push(&world, &[good.clone(), record]).await;
        answer.problem(400, "bad_request");
    }
    assert_eq!(world.edge.storage().await.records, storage.records);
    assert_eq!(world.edge.kv_history().await, history);
    survival.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_records_are_taken_and_one_more_is_too_many() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    let record = account(&world.account);
    let answer = push(&world, &vec![record.clone(); 501]).await;
    let body = answer.problem(413, "bad_request");
    assert_eq!(body["detail"], "A push holds at most 500 records");
    let answer = push(&world, &vec![record; 500]).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json(), json!({"applied": 0, "known": 500}));
    survival.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_the_future_are_taken_and_read_as_the_safest() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    let token = world.secrets.unissued_token("prod", &world.account);
    let hash = shared::token::KeyHash::of(&token).to_hex();
    let novel = with(key(&world.account), "credentials", json!([{"hash": hash}]));
    let novel = with(novel, "state", json!("quarantined"));
    let novel = with(novel, "novelty", json!({"a": [1, -1, 1e300]}));
    let answer = push(&world, &[novel]).await;
    assert_eq!(answer.json(), json!({"applied": 1, "known": 0}));
    let call = Call::get("/v1/customers").key(&token);
    world.send(&call).await.refusal(401, "invalid_key");
    survival.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_another_tenant_open_nothing_here() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    let stranger = "acc_stranger";
    let locator = "acc_Strange1";
    assert_eq!(push(&world, &[key(stranger)]).await.status, 200);
    let token = world.secrets.unissued_token("prod", locator);
    let hash = shared::token::KeyHash::of(&token).to_hex();
    let foreign = with(key(locator), "credentials", json!([{"hash": hash}]));
    let foreign = with(foreign, "permissions", json!(["*"]));
    let answer = push(&world, &[foreign]).await;
    assert_eq!(answer.json(), json!({"applied": 1, "known": 0}));
    let call = Call::get("/v1/customers").key(&token);
    world.send(&call).await.refusal(401, "invalid_key");
    survival.holds().await;
}
