//! Requests that are admitted: what the API gets of them, and what the caller gets besides the API's answer.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyward_tests::{Call, RawRequest, STAGING_HOST, World};
use serde_json::{Value, json};

use crate::front::Front;
use crate::{APP, number, readable, send, send_raw};

crate::behind_each_proxy!(
    the_api_hears_who_the_caller_is_and_never_sees_the_key,
    the_caller_gets_rate_limit_and_cors_headers_with_the_apis_answer,
    every_method_passes_with_its_body,
    the_api_gets_the_path_and_query_that_were_sent,
    the_apis_own_refusals_pass_as_they_are,
    each_request_costs_once_and_what_its_route_costs,
    a_staging_key_opens_the_staging_host,
    a_key_with_hundreds_of_permissions_is_admitted,
);

/// What a JWT claims; its signature is another test's.
fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("a JWT");
    let json = URL_SAFE_NO_PAD.decode(payload).expect("base64url");
    serde_json::from_slice(&json).expect("JSON")
}

async fn the_api_hears_who_the_caller_is_and_never_sees_the_key(world: &World, front: &Front) {
    let settings = json!({"permissions": ["customers.read", "agents.*"]});
    let key = world.key(settings).await;
    let get = Call::get("/v1/customers");
    for call in [
        get.clone().key(&key.token),
        get.clone().header("x-api-key", &key.token),
        get.key(&key.token).header("x-api-key", &key.token),
    ] {
        let answer = send(world, front, &call).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let seen = world.upstream.last().expect("it came through");
        let header = |name: &str| seen.headers.get(name).and_then(|v| v.to_str().ok());
        assert_eq!(header("x-keyward-key-id"), Some(key.key.id.as_str()));
        assert_eq!(header("x-keyward-account-id"), Some(world.account.as_str()));
        assert_eq!(header("x-keyward-environment"), Some("production"));
        let permissions = header("x-keyward-permissions");
        assert_eq!(permissions, Some("customers.read agents.*"));
        let id = header("x-keyward-request-id");
        assert!(id.is_some() && id == answer.header("x-keyward-request-id"));
        let claims = claims(header("x-keyward-assertion").expect("an assertion"));
        assert_eq!(claims["sub"], key.key.id.as_str());
        assert_eq!(
            (&claims["method"], &claims["path"]),
            (&json!("GET"), &json!("/v1/customers"))
        );
        let all = format!("{:?}", seen.headers);
        assert!(!all.contains(&key.token), "{all}");
        assert_eq!((header("authorization"), header("x-api-key")), (None, None));
    }
}

async fn the_caller_gets_rate_limit_and_cors_headers_with_the_apis_answer(
    world: &World,
    front: &Front,
) {
    let limits = json!({"requestsPerMinute": 3, "requestsPerDay": 100});
    let key = world.key(json!({"rateLimits": limits})).await;
    // The API says something of its own; Keyward speaks for it.
    let path = "/with-headers?x-ratelimit-limit=9&ratelimit=x&access-control-allow-origin=*&vary=Accept&x-own=1";
    for remaining in [2, 1, 0] {
        let call = Call::get(path).key(&key.token).origin(APP);
        let answer = send(world, front, &call).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(number(&answer, "x-ratelimit-limit"), 3);
        assert_eq!(number(&answer, "x-ratelimit-remaining"), remaining);
        assert!(number(&answer, "x-ratelimit-reset") > 0);
        let state = answer.header("ratelimit").unwrap_or_default();
        assert!(
            state.starts_with(&format!("\"minute\";r={remaining};t=")),
            "{state}"
        );
        assert_eq!(
            answer.header("ratelimit-policy"),
            Some("\"minute\";q=3;w=60, \"day\";q=100;w=86400")
        );
        readable(&answer);
        assert!(answer.varies_by("accept"), "{:?}", answer.headers);
        assert_eq!(answer.header("x-own"), Some("1"));
        assert_eq!(answer.header("x-keyward-key-id"), None);
    }
}

async fn every_method_passes_with_its_body(world: &World, front: &Front) {
    let key = world.key(json!({})).await;
    let body = vec![b'x'; 1024 * 1024];
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let call = Call::new(method, "/v1/things").key(&key.token);
        let answer = send(world, front, &call.body(body.clone())).await;
        let described = answer.json();
        assert_eq!(described["method"], method, "{}", answer.text());
        assert_eq!(described["bodySize"], body.len());
    }
    for method in ["GET", "HEAD", "OPTIONS", "DELETE", "PURGE"] {
        let call = Call::new(method, "/v1/things").key(&key.token);
        let answer = send(world, front, &call).await;
        assert_eq!(answer.status, 200, "{method} {}", answer.text());
        assert_eq!(
            world.upstream.last().map(|seen| seen.method),
            Some(method.to_owned())
        );
    }
}

async fn the_api_gets_the_path_and_query_that_were_sent(world: &World, front: &Front) {
    let key = world.key(json!({})).await;
    for target in [
        "/v1/customers/c%20d?x=%2F&x=a+b&y",
        "/v1/customers/%41%c3%a9?a=%00",
        "/v1/with;params=1/x:y@z?q=a%26b",
        "/v1//things/",
        "/v1/things?refuse=403",
        "/v1/things?next=https://elsewhere.example/v1/x?y",
        "/?",
    ] {
        let request = RawRequest::new(format!("GET {target} HTTP/1.1")).key(&key.token);
        let answer = send_raw(front, request).await;
        assert_eq!(answer.status, 200, "{target} {}", answer.text());
        let seen = world.upstream.last().map(|seen| seen.target);
        assert_eq!(seen.as_deref(), Some(target));
    }
}

async fn the_apis_own_refusals_pass_as_they_are(world: &World, front: &Front) {
    let key = world.key(json!({})).await;
    for status in [401, 403, 404, 429, 500, 502, 503] {
        let path = format!("/status/{status}");
        let answer = send(world, front, &Call::get(&path).key(&key.token).origin(APP)).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.text(), "");
        assert_eq!(answer.header("retry-after"), None);
        readable(&answer);
    }
}

async fn each_request_costs_once_and_what_its_route_costs(world: &World, front: &Front) {
    let key = world
        .key(json!({"rateLimits": {"requestsPerMinute": 7}}))
        .await;
    let reports = Call::post("/v1/reports").key(&key.token).body("{}");
    let answer = send(world, front, &reports).await;
    assert_eq!(
        number(&answer, "x-ratelimit-remaining"),
        2,
        "{}",
        answer.text()
    );
    let answer = send(world, front, &reports).await;
    answer.refusal(429, "rate_limited");
    let customers = Call::get("/v1/customers").key(&key.token);
    for remaining in [1, 0] {
        let answer = send(world, front, &customers).await;
        assert_eq!(number(&answer, "x-ratelimit-remaining"), remaining);
    }
    assert_eq!(world.upstream.count(), 3);
}

async fn a_staging_key_opens_the_staging_host(world: &World, front: &Front) {
    let key = world.key(json!({"environment": "staging"})).await;
    let call = Call::get("/v1/customers").key(&key.token);
    let answer = send(world, front, &call.clone().host(STAGING_HOST)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = world.upstream.last().expect("it came through");
    assert_eq!(seen.headers["x-keyward-environment"], "staging");
    let answer = send(world, front, &call).await;
    answer.refusal(401, "wrong_environment");
}

async fn a_key_with_hundreds_of_permissions_is_admitted(world: &World, front: &Front) {
    let name = "a".repeat(40);
    let permissions: Vec<String> = (0..200).map(|n| format!("{name}{n}.read")).collect();
    let key = world.key(json!({"permissions": permissions})).await;
    let answer = send(world, front, &Call::get("/v1/things").key(&key.token)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = world.upstream.last().expect("it came through");
    assert_eq!(seen.headers["x-keyward-permissions"], permissions.join(" "));
}
