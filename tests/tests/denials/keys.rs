//! What a genuine key is refused for: its time, environment, permissions, account, resources, origins, addresses.

use std::time::Duration;

use keyward_tests::{Answer, Call, STAGING_HOST, World, now, rfc3339, world};
use serde_json::{Value, json};

async fn send(world: &World, token: &str, call: Call) -> Answer {
    world.send(&call.key(token)).await
}

async fn passes(world: &World, token: &str, call: Call) {
    let answer = send(world, token, call.clone()).await;
    assert_eq!(answer.status, 200, "{call:?} {}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_expires_at_its_very_second_without_a_push() {
    let world = world!();
    for enforcement in ["leased", "strict"] {
        let end = (now() / 1_000 + 8) * 1_000;
        let settings = json!({"enforcement": enforcement, "expiresAt": rfc3339(end)});
        let key = world.key(settings).await;
        assert!(key.propagated);
        let pushes = world.edge.counters().await.guard_pushes;
        let refused = loop {
            let sent = now();
            let answer = send(&world, &key.token, Call::get("/v1/customers")).await;
            // The gate decided some time between sending and reading.
            if answer.status != 200 {
                assert!(now() >= end, "refused before the end");
                break answer;
            }
            assert!(sent < end, "passed {} ms after the end", sent - end);
            tokio::time::sleep(Duration::from_millis(2)).await;
        };
        let body = refused.refusal(401, "expired_key");
        assert_eq!(body["detail"], "The API key has expired");
        assert_eq!(world.edge.counters().await.guard_pushes, pushes);
        let shown = world.admin.key(&key.key.id).await.unwrap();
        assert_eq!(shown.status, "expired");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_one_environment_opens_no_other_and_is_refused_without_io() {
    let world = world!();
    let production = world.key(json!({})).await;
    let staging = world.key(json!({"environment": "staging"})).await;
    let customers = || Call::get("/v1/customers");
    let on_staging = || customers().host(STAGING_HOST);
    for call in [customers(), on_staging()] {
        world.send(&call).await.refusal(401, "missing_credential");
    }
    let before = world.edge.counters().await;
    let answer = send(&world, &staging.token, customers()).await;
    let body = answer.refusal(401, "wrong_environment");
    let detail = "This endpoint takes keys of the environment `production`";
    assert_eq!(body["detail"], detail);
    let answer = send(&world, &production.token, on_staging()).await;
    let body = answer.refusal(401, "wrong_environment");
    let detail = "This endpoint takes keys of the environment `staging`";
    assert_eq!(body["detail"], detail);
    assert_eq!(world.edge.counters().await, before);
    passes(&world, &production.token, customers()).await;
    passes(&world, &staging.token, on_staging()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_is_named_in_body_and_challenge() {
    let world = world!();
    let key = world.key(json!({"permissions": ["customers.read", "agents.*"]}));
    let key = key.await;
    passes(&world, &key.token, Call::get("/v1/customers")).await;
    let agents = format!("/v1/accounts/{}/agents", world.account);
    passes(&world, &key.token, Call::get(&agents)).await;
    passes(&world, &key.token, Call::post("/v1/reports")).await;
    let answer = send(&world, &key.token, Call::post("/v1/customers")).await;
    let body = answer.refusal(403, "insufficient_permission");
    assert_eq!(body["requiredPermission"], "customers.write");
    assert_eq!(
        answer.header("www-authenticate"),
        Some(r#"Bearer realm="Demo API", error="insufficient_scope", scope="customers.write""#)
    );
    let none = world.key(json!({"permissions": []})).await;
    let answer = send(&world, &none.token, Call::get("/v1/customers")).await;
    let body = answer.refusal(403, "insufficient_permission");
    assert_eq!(body["requiredPermission"], "customers.read");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_reaches_its_account_and_those_below_and_no_other() {
    let world = world!();
    let parent = world.account.clone();
    let child = world.account_below(&parent).await;
    let sibling = world.account_below(&parent).await;
    let grandchild = world.account_below(&child).await;
    let key_of = async |account: &str| world.key(json!({"accountId": account})).await.token;
    let [of_parent, of_child, of_grandchild] = [
        key_of(&parent).await,
        key_of(&child).await,
        key_of(&grandchild).await,
    ];
    let agents_of = |account: &str| Call::get(&format!("/v1/accounts/{account}/agents"));
    for (token, account) in [
        (&of_parent, &parent),
        (&of_parent, &child),
        (&of_parent, &grandchild),
        (&of_child, &child),
        (&of_child, &grandchild),
        (&of_grandchild, &grandchild),
    ] {
        passes(&world, token, agents_of(account)).await;
    }
    for (token, account) in [
        (&of_child, parent.as_str()),
        (&of_child, sibling.as_str()),
        (&of_grandchild, child.as_str()),
        (&of_grandchild, parent.as_str()),
        (&of_grandchild, sibling.as_str()),
        (&of_parent, "acc_00000000"),
        (&of_child, "acc_00000000"),
        (&of_child, "not-an-account"),
        (&of_child, "*"),
    ] {
        let answer = send(&world, token, agents_of(account)).await;
        let body = answer.refusal(403, "account_not_allowed");
        assert_eq!(body["account"], account);
        let detail = format!("The API key does not reach the account `{account}`");
        assert_eq!(body["detail"], detail);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_bound_to_resources_of_a_kind_reaches_only_those_of_that_kind() {
    let world = world!();
    let bound = json!({"resources": ["customer:c_9", "customer:ä"]});
    let bound = world.key(bound).await.token;
    let elsewhere = world.key(json!({"resources": ["agent:a_17"]})).await.token;
    let customer = |id: &str| Call::get(&format!("/v1/customers/{id}"));
    passes(&world, &bound, customer("c_9")).await;
    passes(&world, &bound, customer("c%5F9")).await;
    passes(&world, &bound, customer("%C3%A4")).await;
    passes(&world, &bound, Call::get("/v1/customers")).await;
    passes(&world, &elsewhere, customer("c_10")).await;
    for (id, named) in [
        ("c_10", "customer:c_10"),
        ("C_9", "customer:C_9"),
        ("c_9%20", "customer:c_9 "),
        ("*", "customer:*"),
    ] {
        let answer = send(&world, &bound, customer(id)).await;
        let body = answer.refusal(403, "resource_not_allowed");
        assert_eq!(body["resource"], named);
        let detail = format!("The API key is not bound to `{named}`");
        assert_eq!(body["detail"], detail);
    }
}

async fn refused_for_origin(world: &World, token: &str, origin: Option<&str>) -> Value {
    let call = Call::get("/v1/customers");
    let call = match origin {
        Some(origin) => call.origin(origin),
        None => call,
    };
    let answer = send(world, token, call).await;
    answer.refusal(403, "origin_not_allowed")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_origins_works_from_those_only() {
    let world = world!();
    let shop = "https://shop.example.test";
    let origins = json!([shop, "https://*.partner.example.test"]);
    let key = world.key(json!({"allowedOrigins": origins})).await;
    let from = |origin: &str| Call::get("/v1/customers").origin(origin);
    passes(&world, &key.token, from(shop)).await;
    passes(&world, &key.token, from("https://a.b.partner.example.test")).await;
    for origin in [
        "http://shop.example.test",
        "https://shop.example.test:8443",
        "https://shop.example.test.evil.test",
        "https://partner.example.test",
        "https://evilpartner.example.test",
        "null",
        "nonsense",
        "HTTPS://SHOP.EXAMPLE.TEST",
    ] {
        let body = refused_for_origin(&world, &key.token, Some(origin)).await;
        let detail = format!("The origin `{origin}` is not allowed");
        assert_eq!(body["detail"], detail);
    }
    let body = refused_for_origin(&world, &key.token, None).await;
    let detail = "The API key may be used from its allowed origins only";
    assert_eq!(body["detail"], detail);
    let lenient = json!({"allowedOrigins": [shop], "allowMissingOrigin": true});
    let lenient = world.key(lenient).await;
    passes(&world, &lenient.token, Call::get("/v1/customers")).await;
    refused_for_origin(&world, &lenient.token, Some("null")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_addresses_works_from_those_only() {
    let world = world!();
    let mapped = "::ffff:192.0.2.0/127";
    let listed = json!(["203.0.113.7", "198.51.100.0/24", "2001:db8::/32", mapped]);
    let key = world.key(json!({"allowedIps": listed})).await;
    let from = |ip: &str| Call::get("/v1/customers").header("cf-connecting-ip", ip);
    for ip in [
        "203.0.113.7",
        "198.51.100.0",
        "198.51.100.255",
        "2001:db8::",
        "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
        "2001:0DB8:0::9",
        "::ffff:203.0.113.7",
        "192.0.2.1",
        "::ffff:192.0.2.1",
    ] {
        passes(&world, &key.token, from(ip)).await;
    }
    let unknown = Call::get("/v1/customers");
    let spoofed = unknown.clone().header("x-forwarded-for", "203.0.113.7");
    for call in [
        from("203.0.113.8"),
        from("198.51.101.0"),
        from("198.51.99.255"),
        from("2001:db9::"),
        from("2001:db7:ffff:ffff:ffff:ffff:ffff:ffff"),
        from("192.0.2.2"),
        from("::203.0.113.7"),
        from("nonsense"),
        from("203.0.113.7, 198.51.100.1"),
        unknown,
        spoofed,
    ] {
        let answer = send(&world, &key.token, call).await;
        let body = answer.refusal(403, "ip_not_allowed");
        assert_eq!(
            body["detail"],
            "The API key may not be used from this IP address"
        );
    }
}
