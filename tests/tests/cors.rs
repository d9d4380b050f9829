//! Browsers: preflights, actual answers, and who speaks for the API in the headers.

use keyward_tests::{
    API_HOST, Answer, Call, GuardNetwork, PATIENCE, World, eventually, free_port, world,
};
use serde_json::json;
use tokio::time::Instant;

const APP: &str = "https://app.example.test";
const EVIL: &str = "https://evil.example.test";
/// What scripts may read of every answer.
const EXPOSED: [&str; 8] = [
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "www-authenticate",
    "x-keyward-request-id",
];

fn preflight(origin: &str) -> Call {
    Call::new("OPTIONS", "/v1/customers")
        .origin(origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization, x-custom")
}

/// The members of a list, in lower case.
fn list(answer: &Answer, name: &str) -> Vec<String> {
    let value = answer.header(name).unwrap_or_default();
    let members = value.split(',').map(|one| one.trim().to_ascii_lowercase());
    members.filter(|one| !one.is_empty()).collect()
}

fn has_no_cors_headers(answer: &Answer) {
    for name in answer.headers.keys() {
        let name = name.as_str();
        assert!(!name.starts_with("access-control-"), "{name}");
    }
}

fn preflight_varies(answer: &Answer) {
    for name in [
        "origin",
        "access-control-request-method",
        "access-control-request-headers",
    ] {
        assert!(answer.varies_by(name), "{name}: {:?}", answer.headers);
    }
}

fn admits(answer: &Answer, origin: &str) {
    assert_eq!(
        answer.header("access-control-allow-origin"),
        Some(origin),
        "{:?}",
        answer.headers
    );
    let exposed = list(answer, "access-control-expose-headers");
    for name in EXPOSED {
        assert!(exposed.iter().any(|one| one == name), "{name}: {exposed:?}");
    }
    assert!(answer.varies_by("origin"), "{:?}", answer.headers);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_needs_no_key_and_costs_nothing() {
    let world = world!();
    let limited = world.key(json!({"rateLimits": {"requestsPerMinute": 1}}));
    let limited = limited.await;
    world.send(&preflight(APP)).await;
    let before = world.edge.counters().await;
    let began = Instant::now();
    for n in 0..50 {
        // A key in it is not looked at, be it good or bad.
        let call = match n % 3 {
            0 => preflight(APP),
            1 => preflight(APP).key(&limited.token),
            _ => preflight(APP).key("nonsense"),
        };
        let answer = world.send(&call).await;
        assert_eq!((answer.status, answer.text().as_str()), (204, ""));
        assert_eq!(answer.header("access-control-allow-origin"), Some(APP));
        assert_eq!(answer.header("access-control-max-age"), Some("600"));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        let methods = list(&answer, "access-control-allow-methods");
        assert!(methods.contains(&"post".to_owned()), "{methods:?}");
        let allowed = list(&answer, "access-control-allow-headers");
        assert_eq!(allowed, ["authorization", "x-api-key", "content-type"]);
        assert!(answer.header("x-keyward-request-id").is_some());
        assert_eq!(answer.header("x-ratelimit-limit"), None);
        preflight_varies(&answer);
    }
    let after = world.edge.counters().await;
    assert_eq!(after.guard_calls, before.guard_calls);
    // The API's record is read again every 5 s, whatever comes; it was last read before.
    let reads = after.kv_reads - before.kv_reads;
    assert!(reads <= began.elapsed().as_secs() / 5 + 1, "{reads}");
    assert_eq!(world.upstream.count(), 0);
    let call = Call::get("/v1/customers").key(&limited.token);
    let answer = world.send(&call).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    world.send(&call).await.refusal(429, "rate_limited");
    let usage = eventually("usage arrives", PATIENCE, || async {
        let usage = world.admin.usage(&limited.key.id).await.unwrap();
        (usage.len() >= 2).then_some(usage)
    });
    let expected = [("ok".to_owned(), 1), ("rate_limited".to_owned(), 1)];
    assert_eq!(usage.await, expected.into_iter().collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_from_elsewhere_is_refused_and_names_no_origin() {
    let world = world!();
    for origin in [
        EVIL,
        "http://app.example.test",
        "https://app.example.test:8443",
        "https://app.example.test.evil.test",
        "https://APP.example.test",
        "null",
        "nonsense",
        "*",
    ] {
        let answer = world.send(&preflight(origin)).await;
        let body = answer.refusal(403, "origin_not_allowed");
        let detail = format!("The origin `{origin}` is not allowed");
        assert_eq!(body["detail"], detail);
        has_no_cors_headers(&answer);
        preflight_varies(&answer);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_preflight_needs_a_key() {
    let world = world!();
    let options = || Call::new("OPTIONS", "/v1/customers");
    let requested = |call: Call| call.header("access-control-request-method", "POST");
    for call in [
        options(),
        options().origin(APP),
        requested(options()),
        requested(Call::get("/v1/customers").origin(APP)),
    ] {
        let answer = world.send(&call).await;
        answer.refusal(401, "missing_credential");
    }
    let elsewhere = preflight(APP).host("nobody.example.test");
    let answer = world.send(&elsewhere).await;
    answer.refusal(404, "unknown_api");
    has_no_cors_headers(&answer);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_to_an_admitted_origin_can_be_read_refusals_included() {
    let world = world!();
    let key = world.key(json!({"permissions": ["customers.read"]})).await;
    let limited = world.key(json!({"rateLimits": {"requestsPerMinute": 1}}));
    let limited = limited.await;
    let closed = "closed.example.test";
    let cors = json!({"allowedOrigins": [APP]});
    let routes = json!([{"method": "GET", "path": "/v1/orders"}]);
    let settings = json!({"unlisted": "closed", "routes": routes, "cors": cors});
    world.api(closed, settings).await;
    let away = "away.example.test";
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let settings = json!({"upstream": nobody, "cors": cors, "upstreamTimeoutMs": 60_000});
    world.api(away, settings).await;
    let get = |path: &str| Call::get(path);
    let customers = || get("/v1/customers");
    let first = customers().key(&limited.token);
    assert_eq!(world.send(&first).await.status, 200);
    for (call, status) in [
        (customers().key(&key.token), 200),
        (get("/status/404").key(&key.token), 404),
        (get("/status/500").key(&key.token), 500),
        (customers(), 401),
        (customers().key("nonsense"), 401),
        (Call::post("/v1/customers").key(&key.token), 403),
        (get("/a%2Fb").key(&key.token), 400),
        (first, 429),
        (get("/v1/nothing").host(closed).key(&key.token), 404),
        (Call::post("/v1/orders").host(closed).key(&key.token), 405),
        (get("/").host(away).key(&key.token), 502),
    ] {
        let shown = format!("{call:?}");
        let answer = world.send(&call.clone().origin(APP)).await;
        assert_eq!(answer.status, status, "{shown} {}", answer.text());
        admits(&answer, APP);
        for other in [Some(EVIL), Some("null"), None] {
            let call = match other {
                Some(origin) => call.clone().origin(origin),
                None => call.clone(),
            };
            let answer = world.send(&call).await;
            assert_eq!(answer.status, status, "{shown}");
            has_no_cors_headers(&answer);
            assert!(answer.varies_by("origin"), "{shown} {:?}", answer.headers);
        }
    }
    let lost = GuardNetwork {
        lose: 1.0,
        ..GuardNetwork::default()
    };
    let fresh = world.key(json!({})).await;
    world.edge.set_guard_network(lost).await;
    let answer = world.send(&customers().key(&fresh.token).origin(APP)).await;
    answer.refusal(503, "guard_unavailable");
    admits(&answer, APP);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wildcard_admits_subdomains_and_a_star_every_origin_but_null() {
    let world = world!();
    let key = world.key(json!({})).await;
    let [below, any] = ["below.example.test", "any.example.test"];
    let cors = json!({"allowedOrigins": ["https://*.example.com", "http://localhost:3000"]});
    world.api(below, json!({"cors": cors})).await;
    let cors = json!({"allowedOrigins": ["*"]});
    world.api(any, json!({"cors": cors})).await;
    for (host, origin, admitted) in [
        (below, "https://a.example.com", true),
        (below, "https://a.b.example.com", true),
        (below, "http://localhost:3000", true),
        (below, "https://example.com", false),
        (below, "https://evilexample.com", false),
        (below, "https://a.example.com.evil.test", false),
        (below, "https://a.example.com:8443", false),
        (below, "http://a.example.com", false),
        (below, "https://.example.com", false),
        (below, "http://localhost", false),
        (below, "null", false),
        (any, "https://a.example.com", true),
        (any, "http://127.0.0.1:8080", true),
        (any, "app://desktop", true),
        (any, "null", false),
        (any, "nonsense", false),
        (any, "https://a.example.com/", false),
        (any, "https://a.test, https://b.test", false),
    ] {
        let answer = world.send(&preflight(origin).host(host)).await;
        let call = Call::get("/").host(host).origin(origin).key(&key.token);
        let actual = world.send(&call).await;
        assert_eq!(actual.status, 200, "{}", actual.text());
        if admitted {
            assert_eq!(answer.status, 204, "{origin}");
            assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
            admits(&actual, origin);
        } else {
            answer.refusal(403, "origin_not_allowed");
            has_no_cors_headers(&answer);
            has_no_cors_headers(&actual);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_says_which_methods_headers_and_credentials_are_allowed() {
    let world = world!();
    let key = world.key(json!({})).await;
    let host = "policy.example.test";
    let cors = json!({
        "allowedOrigins": [APP],
        "allowedMethods": ["GET", "PURGE"],
        "allowedHeaders": ["X-Trace"],
        "exposedHeaders": ["X-Total"],
        "allowCredentials": true,
        "maxAgeSeconds": 5,
    });
    let api = world.api(host, json!({"cors": cors})).await;
    let answer = world.send(&preflight(APP).host(host)).await;
    assert_eq!(answer.status, 204);
    let methods = list(&answer, "access-control-allow-methods");
    assert_eq!(methods, ["get", "purge"]);
    let allowed = list(&answer, "access-control-allow-headers");
    assert_eq!(
        allowed,
        ["authorization", "x-api-key", "content-type", "x-trace"]
    );
    assert_eq!(answer.header("access-control-max-age"), Some("5"));
    let credentials = "access-control-allow-credentials";
    assert_eq!(answer.header(credentials), Some("true"));
    let call = Call::get("/").host(host).origin(APP).key(&key.token);
    let answer = world.send(&call).await;
    admits(&answer, APP);
    assert_eq!(answer.header(credentials), Some("true"));
    let exposed = list(&answer, "access-control-expose-headers");
    assert!(exposed.contains(&"x-total".to_owned()), "{exposed:?}");

    let cors = json!({"allowedOrigins": [APP], "allowedHeaders": ["*"]});
    let propagated = world.admin.patch_api(&api, &json!({"cors": cors})).await;
    assert!(propagated.unwrap());
    let answer = world.send(&preflight(APP).host(host)).await;
    let allowed = list(&answer, "access-control-allow-headers");
    assert!(allowed.contains(&"x-custom".to_owned()), "{allowed:?}");
    assert_eq!(answer.header(credentials), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upstreams_own_cors_headers_are_replaced_and_its_vary_is_kept() {
    let world = world!();
    let key = world.key(json!({})).await;
    let own = "access-control-allow-origin=*&access-control-allow-credentials=true\
               &access-control-expose-headers=x-secret&access-control-allow-private-network=true";
    let call = |query: &str| Call::get(&format!("/with-headers?{own}&{query}")).key(&key.token);
    let kept = call("vary=Accept-Encoding&x-own=kept");
    let answer = world.send(&kept.clone().origin(APP)).await;
    assert_eq!(answer.status, 200);
    admits(&answer, APP);
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    assert_eq!(answer.header("access-control-allow-private-network"), None);
    let exposed = list(&answer, "access-control-expose-headers");
    assert!(!exposed.contains(&"x-secret".to_owned()), "{exposed:?}");
    assert!(answer.varies_by("accept-encoding"), "{:?}", answer.headers);
    assert_eq!(answer.header("x-own"), Some("kept"));
    for call in [kept.clone(), kept.origin(EVIL)] {
        let answer = world.send(&call).await;
        has_no_cors_headers(&answer);
        assert!(answer.varies_by("accept-encoding") && answer.varies_by("origin"));
    }
    for (vary, expected) in [
        ("vary=*", vec!["*"]),
        ("vary=oRiGiN", vec!["origin"]),
        ("vary=a&vary=b", vec!["a", "b", "origin"]),
        ("vary=a, Origin, b", vec!["a", "origin", "b"]),
    ] {
        let answer = world.send(&call(vary).origin(APP)).await;
        let lines = answer.headers.get_all("vary").iter();
        let members: Vec<String> = lines
            .flat_map(|line| line.to_str().unwrap_or_default().split(','))
            .map(|one| one.trim().to_ascii_lowercase())
            .collect();
        assert_eq!(members, expected, "{vary}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(APP));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keys_own_origins_and_the_apis_policy_are_two_questions() {
    let world = world!();
    // The policy lets scripts of this origin read; the key may not be used from there.
    let settings = json!({"allowedOrigins": ["https://shop.example.test"]});
    let shop_only = world.key(settings).await;
    let call = Call::get("/v1/customers")
        .host(API_HOST)
        .key(&shop_only.token);
    let answer = world.send(&call.clone().origin(APP)).await;
    answer.refusal(403, "origin_not_allowed");
    admits(&answer, APP);
    // The key may be used from there; the policy lets scripts read nothing.
    let answer = world.send(&call.origin("https://shop.example.test")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    has_no_cors_headers(&answer);
}

/// Asserts what a browser asks of a world in which nothing is known yet.
async fn first_of_all(world: &World) {
    let answer = world.send(&preflight(APP)).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_very_first_request_to_a_gate_may_be_a_preflight() {
    let world = world!();
    first_of_all(&world).await;
    world.edge.restart().await;
    first_of_all(&world).await;
}
