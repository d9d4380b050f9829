//! Plans, identities and credits that are set through the admin API bind at the real Worker.

use keyward_tests::{Call, NewKey, PATIENCE, World, eventually, world};
use serde_json::{Value, json};

async fn call(world: &World, method: &str, path: &str, body: Value) -> Value {
    let answer = world.admin.send(method, path, Some(&body)).await.unwrap();
    assert!(answer.status < 300, "{}", answer.text());
    answer.json()
}

/// Sends a request that must pass, several times, with the keys in turn.
async fn passes(world: &World, keys: &[&NewKey], times: usize) {
    for key in keys.iter().cycle().take(times) {
        let answer = world
            .send(&Call::get("/v1/customers").key(&key.token))
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

/// Sends a request that must be refused for these policies.
async fn is_refused(world: &World, key: &NewKey, code: &str, policies: Value) {
    let request = Call::get("/v1/customers").key(&key.token);
    let body = world.send(&request).await.refusal(429, code);
    assert_eq!(body["violatedPolicies"], policies);
}

/// Waits until a request passes that was refused: a gate may remember the refusal for a moment.
async fn passes_again(world: &World, key: &NewKey) {
    let request = Call::get("/v1/customers").key(&key.token);
    eventually("a request passes", PATIENCE, || async {
        (world.send(&request).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_an_identity_share_its_limit() {
    let world = world!();
    let body = json!({
        "name": "Acme", "accountId": world.account, "rateLimits": {"requestsPerHour": 5},
    });
    let made = call(&world, "POST", "/v1/identities", body).await;
    let id = made["identity"]["id"].as_str().unwrap();
    let shared = json!({"identityId": id});
    let (one, two) = (world.key(shared.clone()).await, world.key(shared).await);
    let free = world.key(json!({})).await;
    passes(&world, &[&one, &two], 5).await;
    for key in [&one, &two] {
        is_refused(&world, key, "rate_limited", json!(["identity-hour"])).await;
    }
    passes(&world, &[&free], 3).await;

    let more = json!({"rateLimits": {"requestsPerHour": 7}});
    let changed = call(&world, "PATCH", &format!("/v1/identities/{id}"), more).await;
    assert_eq!(changed["propagated"], true);
    passes_again(&world, &one).await;
    passes(&world, &[&two], 1).await;
    is_refused(&world, &two, "rate_limited", json!(["identity-hour"])).await;

    let free = json!({"identityId": null});
    let propagated = world.admin.patch_key(&one.key.id, &free).await;
    assert!(propagated.unwrap());
    passes_again(&world, &one).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_five_refuses_the_sixth_request_of_an_accounts_keys() {
    let world = world!();
    let path = format!("/v1/accounts/{}", world.account);
    let plan = |limit: Value| json!({"plan": {"requestsPerMonth": limit}});
    let changed = call(&world, "PATCH", &path, plan(json!(5))).await;
    assert_eq!(changed["propagated"], true);
    let (one, two) = (world.key(json!({})).await, world.key(json!({})).await);
    passes(&world, &[&one, &two], 5).await;
    for key in [&one, &two] {
        is_refused(&world, key, "quota_exceeded", json!(["month"])).await;
    }
    call(&world, "PATCH", &path, plan(Value::Null)).await;
    passes_again(&world, &one).await;
    passes(&world, &[&one, &two], 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credits_are_spent_added_to_and_set_again() {
    let world = world!();
    let key = world.key(json!({"credits": {"remaining": 3}})).await;
    passes(&world, &[&key], 3).await;
    let refused = || is_refused(&world, &key, "quota_exceeded", json!(["credits"]));
    refused().await;
    let path = format!("/v1/keys/{}", key.key.id);
    let add = format!("{path}/credits");
    let added = call(&world, "POST", &add, json!({"add": 2})).await;
    assert_eq!(added["key"]["credits"]["granted"], 5);
    passes_again(&world, &key).await;
    passes(&world, &[&key], 1).await;
    refused().await;
    // The same number that was granted: it starts over.
    let again = json!({"credits": {"remaining": 5}});
    call(&world, "PATCH", &path, again).await;
    passes_again(&world, &key).await;
    passes(&world, &[&key], 4).await;
    refused().await;
}
