//! Imported keys: their tokens have any form, so nothing tells them from garbage but a look-up. An API that takes them does
//! so within a budget for what is nobody's.

use std::time::Duration;

use keyward_tests::{
    Answer, Call, Counters, PATIENCE, World, eventually, forged_token, letters, mistyped_token,
    world,
};
use serde_json::{Value, json};
use shared::token::KeyHash;
use tokio::time::Instant;

/// The host of an API that takes imported keys, and its host for staging.
const HOST: &str = "imports.example.test";
const STAGING: &str = "staging.imports.example.test";
const LEASE: Duration = Duration::from_secs(1);
/// A gate reads its clock some time after the caller's, and to the millisecond.
const SLACK: Duration = Duration::from_millis(150);
const MINUTE: Duration = Duration::from_secs(60);

/// A world with an API that takes imported keys.
async fn with_api(world: &World) {
    let settings = json!({
        "name": "Imports", "acceptImported": true,
        "endpoints": [
            {"host": HOST, "environment": "production"}, {"host": STAGING, "environment": "staging"},
        ],
        "routes": [
            {"method": "GET", "path": "/v1/customers", "permission": "customers.read"},
            {"method": "POST", "path": "/v1/customers", "permission": "customers.write"},
        ],
    });
    world.api(HOST, settings).await;
    // From here on the API is in memory.
    let answer = world.send(&get().host(HOST)).await;
    answer.refusal(401, "missing_credential");
}

fn get() -> Call {
    Call::get("/v1/customers").host(HOST)
}

/// From a client of its own.
fn from(ip: &str) -> Call {
    get().header("cf-connecting-ip", ip)
}

/// Imports a key, with `settings` over one that may do everything. Gives its id.
async fn import(world: &World, account: &str, token: &str, settings: Value) -> String {
    let mut line = json!({
        "hash": KeyHash::of(token).to_hex(), "name": token.len().to_string(), "permissions": ["*"],
        "rateLimits": {"requestsPerMinute": 1_000_000},
    });
    let (Value::Object(members), Value::Object(settings)) = (&mut line, settings) else {
        panic!("objects");
    };
    members.extend(settings);
    let told = world.admin.import(account, &[line]).await.unwrap();
    assert_eq!(
        (&told["created"], &told["refused"]),
        (&json!(1), &json!(0)),
        "{told}"
    );
    eventually("the edge has what was imported", PATIENCE, || async {
        (world.control_plane.undelivered().await == 0).then_some(())
    })
    .await;
    let path = format!("/v1/keys?account={account}&limit=1");
    let keys = world.admin.send("GET", &path, None).await.unwrap().json();
    keys["data"][0]["id"].as_str().expect("a key").to_owned()
}

/// A token such as others make.
fn foreign() -> String {
    format!("sk_live_{}!~", letters(24))
}

async fn counted(world: &World, before: &Counters) -> (u64, u64) {
    let after = world.edge.counters().await;
    (
        after.kv_reads - before.kv_reads,
        after.guard_calls - before.guard_calls,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_imported_key_works_at_once_within_its_permissions_and_limits_in_either_header() {
    let world = world!();
    with_api(&world).await;
    world.edge.set_kv_lag(MINUTE).await;
    let token = foreign();
    let limits = json!({"requestsPerMinute": 3});
    let settings = json!({"permissions": ["customers.read"], "rateLimits": limits});
    let id = import(&world, &world.account, &token, settings).await;
    let answer = world.send(&get().key(&token)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = world.upstream.last().expect("it came through");
    assert_eq!(seen.headers["x-keyward-key-id"], id.as_str());
    assert!(!seen.headers.contains_key("authorization"));
    let answer = world.send(&get().header("x-api-key", &token)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(
        !world
            .upstream
            .last()
            .unwrap()
            .headers
            .contains_key("x-api-key")
    );
    let both = get().key(&token).header("x-api-key", &format!("{token}x"));
    world.send(&both).await.refusal(401, "malformed_credential");
    let write = Call::post("/v1/customers")
        .host(HOST)
        .key(&token)
        .body("{}");
    world
        .send(&write)
        .await
        .refusal(403, "insufficient_permission");
    assert_eq!(world.send(&get().key(&token)).await.status, 200);
    world
        .send(&get().key(&token))
        .await
        .refusal(429, "rate_limited");
    assert_eq!(world.upstream.count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_an_account_below_works_as_soon_as_kv_has_it() {
    let world = world!();
    with_api(&world).await;
    let below = world.account_below(&world.account).await;
    let token = foreign();
    import(&world, &below, &token, json!({})).await;
    eventually("the key works", PATIENCE, || async {
        let answer = world.send(&get().key(&token)).await;
        (answer.status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_does_not_take_imported_keys_refuses_their_tokens_without_looking() {
    let world = world!();
    with_api(&world).await;
    let token = foreign();
    import(&world, &world.account, &token, json!({})).await;
    // The key is in memory, and so is the API that does not take it.
    assert_eq!(world.send(&get().key(&token)).await.status, 200);
    let closed = Call::get("/v1/customers");
    world.send(&closed).await.refusal(401, "missing_credential");
    let before = world.edge.counters().await;
    let began = Instant::now();
    for token in [token, foreign()] {
        for _ in 0..20 {
            let answer = world.send(&closed.clone().key(&token)).await;
            answer.refusal(401, "malformed_credential");
        }
    }
    let (reads, _) = counted(&world, &before).await;
    assert!(
        u128::from(reads) <= began.elapsed().as_millis() / 5_000,
        "{reads}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_our_form_is_not_looked_up_if_it_is_forged() {
    let world = world!();
    with_api(&world).await;
    let before = world.edge.counters().await;
    let began = Instant::now();
    for _ in 0..50 {
        let forged = forged_token("prod", &world.account);
        world
            .send(&get().key(&forged))
            .await
            .refusal(401, "invalid_key");
    }
    let (reads, calls) = counted(&world, &before).await;
    assert_eq!(calls, 0);
    assert!(
        u128::from(reads) <= began.elapsed().as_millis() / 5_000,
        "{reads}"
    );
    // A mistyped one may be another's key of the same form.
    let own = world.key(json!({})).await.token;
    let other = mistyped_token(&own, 3);
    world
        .send(&from("192.0.2.1").key(&other))
        .await
        .refusal(401, "invalid_key");
    import(&world, &world.account, &other, json!({})).await;
    eventually("the key of the same form works", PATIENCE, || async {
        let answer = world.send(&from("192.0.2.1").key(&other)).await;
        (answer.status == 200).then_some(())
    })
    .await;
    let closed = Call::get("/v1/customers").key(&other);
    world
        .send(&closed)
        .await
        .refusal(401, "malformed_credential");
    assert_eq!(world.send(&get().key(&own)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_tokens_that_nobody_has_is_looked_up_twenty_times_and_then_once_a_second() {
    let world = world!();
    with_api(&world).await;
    let token = foreign();
    import(&world, &world.account, &token, json!({})).await;
    let good = from("192.0.2.1").key(&token);
    assert_eq!(world.send(&good).await.status, 200);
    let before = world.edge.counters().await;
    let began = Instant::now();
    let mut codes = std::collections::BTreeMap::<String, usize>::new();
    for _ in 0..200 {
        let answer = world.send(&from("192.0.2.1").key(&foreign())).await;
        if answer.status == 429 {
            assert_eq!(answer.header("retry-after"), Some("1"));
        }
        *codes.entry(answer.code()).or_default() += 1;
    }
    let (reads, calls) = counted(&world, &before).await;
    let seconds = began.elapsed().as_secs() + 1;
    println!(
        "{codes:?}: {reads} reads of KV, {calls} calls of guards in {:?}",
        began.elapsed()
    );
    // The API is read again every five seconds.
    assert!(reads <= 20 + seconds + seconds / 5, "{reads}");
    // What the good key spent is reported.
    assert!(calls <= 10 + 2 * seconds + 2, "{calls}");
    // Who has a good key is not held up by those behind the same address.
    for _ in 0..20 {
        assert_eq!(world.send(&good).await.status, 200);
        let unknown = from("192.0.2.1").key(&foreign());
        assert_ne!(world.send(&unknown).await.status, 200);
    }
    let named: Vec<&str> = codes.keys().map(String::as_str).collect();
    assert_eq!(named, ["invalid_key", "rate_limited"]);
    assert!(
        (20..=20 + seconds as usize).contains(&codes["invalid_key"]),
        "{codes:?}"
    );
    // Another client has a budget of its own, and what is nobody's is remembered.
    let unknown = from("198.51.100.1").key(&foreign());
    let before = world.edge.counters().await;
    let began = Instant::now();
    for _ in 0..50 {
        world.send(&unknown).await.refusal(401, "invalid_key");
    }
    let (reads, _) = counted(&world, &before).await;
    let spans = began.elapsed().as_secs() / 5;
    assert!((1..=1 + 2 * spans).contains(&reads), "{reads}");
}

#[tokio::test(flavor = "multi_thread")]
async fn good_keys_that_are_not_in_memory_cost_their_client_nothing() {
    let world = world!();
    with_api(&world).await;
    let tokens: Vec<String> = (0..60).map(|_| foreign()).collect();
    let lines: Vec<Value> = tokens
        .iter()
        .map(
            |token| json!({"hash": KeyHash::of(token).to_hex(), "name": "k", "permissions": ["*"]}),
        )
        .collect();
    world.admin.import(&world.account, &lines).await.unwrap();
    eventually("the edge has them", PATIENCE, || async {
        (world.control_plane.undelivered().await == 0).then_some(())
    })
    .await;
    for token in &tokens {
        let answer = world.send(&from("2001:db8::1").key(token)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

/// Asserts that a key is refused from the lease time after its change on, and for a second.
async fn is_refused_within_the_lease_time(world: &World, changed: Instant, call: &Call) {
    let in_force = changed + LEASE + SLACK;
    let mut refused = 0;
    while Instant::now() < in_force + Duration::from_secs(1) {
        let asked = Instant::now();
        let answer: Answer = world.send(call).await;
        if asked >= in_force {
            answer.refusal(401, "invalid_key");
            refused += 1;
        }
    }
    assert!(refused > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_or_deleted_imported_key_is_refused_within_the_lease_time_however_far_kv_lags() {
    let world = world!();
    with_api(&world).await;
    let below = world.account_below(&world.account).await;
    for (account, deletes) in [(&world.account, false), (&below, false), (&below, true)] {
        world.edge.set_kv_lag(Duration::ZERO).await;
        let token = foreign();
        let id = import(&world, account, &token, json!({})).await;
        let call = get().key(&token);
        eventually("the key works", PATIENCE, || async {
            (world.send(&call).await.status == 200).then_some(())
        })
        .await;
        world.edge.set_kv_lag(MINUTE).await;
        let changed = if deletes {
            world.admin.delete_key(&id).await
        } else {
            world.admin.revoke(&id).await
        };
        assert!(changed.unwrap());
        is_refused_within_the_lease_time(&world, Instant::now(), &call).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_imported_key_opens_endpoints_of_its_environment_only() {
    let world = world!();
    with_api(&world).await;
    let token = foreign();
    import(
        &world,
        &world.account,
        &token,
        json!({"environment": "staging"}),
    )
    .await;
    world
        .send(&get().key(&token))
        .await
        .refusal(401, "wrong_environment");
    let staging = get().host(STAGING).key(&token);
    assert_eq!(world.send(&staging).await.status, 200);
    world
        .send(&get().key(&token))
        .await
        .refusal(401, "wrong_environment");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_services_may_ask_about_imported_keys_too() {
    let world = world!();
    with_api(&world).await;
    let token = foreign();
    let id = import(&world, &world.account, &token, json!({})).await;
    let asked = Call::get("/.keyward/verify")
        .host(HOST)
        .header("x-forwarded-method", "GET")
        .header("x-forwarded-uri", "/v1/customers");
    let answer = world.send(&asked.clone().key(&token)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-keyward-key-id"), Some(id.as_str()));
    let answer = world.send(&asked.key(&foreign())).await;
    answer.refusal(401, "invalid_key");
    for (token, valid) in [(token, true), (foreign(), false)] {
        let body = json!({"key": token, "method": "GET", "path": "/v1/customers"});
        let verify = Call::post("/.keyward/verify").host(HOST).json(&body);
        assert_eq!(world.send(&verify).await.json()["valid"], valid);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_kv_fails_an_unknown_token_is_neither_admitted_nor_called_invalid() {
    let world = world!();
    with_api(&world).await;
    let below = world.account_below(&world.account).await;
    let (known, unseen) = (foreign(), foreign());
    import(&world, &below, &known, json!({})).await;
    import(&world, &below, &unseen, json!({})).await;
    eventually("the key works", PATIENCE, || async {
        (world.send(&get().key(&known)).await.status == 200).then_some(())
    })
    .await;
    world.edge.set_kv_broken(true).await;
    let answer = world.send(&get().key(&unseen)).await;
    answer.refusal(503, "guard_unavailable");
    assert!(answer.header("retry-after").is_some());
    assert_eq!(world.send(&get().key(&known)).await.status, 200);
    world.edge.set_kv_broken(false).await;
    eventually("the key works", PATIENCE, || async {
        (world.send(&get().key(&unseen)).await.status == 200).then_some(())
    })
    .await;
}
