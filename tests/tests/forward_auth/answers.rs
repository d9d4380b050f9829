//! `GET /.keyward/verify` itself: what its answers say.

use keyward_tests::{API_HOST, Call, PATIENCE, eventually, world};
use serde_json::{Value, json};

use crate::described::{admitted, ask_about, reader};
use crate::{APP, number, readable};

const CLOSED: &str = "closed.example.test";

#[tokio::test(flavor = "multi_thread")]
async fn an_admitting_answer_names_the_caller_and_spends_what_the_route_costs() {
    let world = world!();
    for enforcement in ["leased", "strict"] {
        let limits = json!({"requestsPerMinute": 7});
        let settings = json!({"rateLimits": limits, "enforcement": enforcement});
        let key = world.key(settings).await;
        let ask = ask_about("POST", "/v1/reports").key(&key.token).origin(APP);
        let answer = world.send(&ask).await;
        admitted(&answer);
        let header = |name: &str| answer.header(name);
        assert_eq!(header("x-keyward-key-id"), Some(key.key.id.as_str()));
        assert_eq!(header("x-keyward-account-id"), Some(world.account.as_str()));
        assert_eq!(header("x-keyward-environment"), Some("production"));
        assert_eq!(header("x-keyward-permissions"), Some("*"));
        assert!(header("x-keyward-assertion").is_some_and(|jwt| jwt.split('.').count() == 3));
        assert!(header("x-keyward-request-id").is_some());
        assert_eq!(header("cache-control"), Some("no-store"));
        assert_eq!(number(&answer, "x-ratelimit-remaining"), 2);
        assert_eq!(header("ratelimit-policy"), Some("\"minute\";q=7;w=60"));
        readable(&answer);
        let answer = world.send(&ask).await;
        answer.refusal(429, "rate_limited");
        assert_eq!(number(&answer, "x-ratelimit-remaining"), 2);
        let usage = format!("/v1/keys/{}/usage?step=minute", key.key.id);
        eventually("it is in the usage", PATIENCE, || async {
            let usage = world.admin.send("GET", &usage, None).await.unwrap().json();
            (usage["data"][0]["cost"] == 5 && usage["data"][0]["requests"] == 2).then_some(())
        })
        .await;
    }
    assert_eq!(world.upstream.count(), 0);
}

/// A question about a request to a host.
fn ask_at(path: &str, (host, method, uri): (&str, &str, &str), key: &str) -> Call {
    Call::get(path)
        .header("x-forwarded-method", method)
        .header("x-forwarded-uri", uri)
        .header("x-forwarded-host", host)
        .key(key)
        .origin(APP)
}

#[tokio::test(flavor = "multi_thread")]
async fn for_proxies_that_know_401_and_403_only_the_true_refusal_stands_in_headers() {
    let world = world!();
    let limited = json!({"rateLimits": {"requestsPerMinute": 1}});
    let limited = world.key(limited).await.token;
    admitted(
        &world
            .send(&ask_about("GET", "/v1/customers").key(&limited))
            .await,
    );
    let reader = reader(&world).await;
    let closed = json!({"unlisted": "closed", "routes": [{"method": "GET", "path": "/v1/orders"}]});
    world.api(CLOSED, closed).await;
    for (described, key, status) in [
        ((API_HOST, "GET", "/v1/customers"), "nonsense", 401),
        ((API_HOST, "POST", "/v1/customers"), &reader, 403),
        ((API_HOST, "GET", "/v1%2Fcustomers"), &reader, 400),
        ((CLOSED, "GET", "/v1/nothing"), &reader, 404),
        ((CLOSED, "PUT", "/v1/orders"), &reader, 405),
        ((API_HOST, "GET", "/v1/customers"), &limited, 429),
    ] {
        let plain = ask_at("/.keyward/verify", described, key);
        let mapped = ask_at("/.keyward/verify?refuse=403", described, key);
        let (plain, mapped) = (world.send(&plain).await, world.send(&mapped).await);
        assert_eq!(plain.status, status, "{}", plain.text());
        let expected = if status == 401 { 401 } else { 403 };
        assert_eq!(mapped.status, expected, "{}", mapped.text());
        for answer in [&plain, &mapped] {
            assert_eq!(number(answer, "x-keyward-status"), u64::from(status));
            let code = answer.header("x-keyward-code");
            assert_eq!(code, answer.json()["code"].as_str());
        }
        // Such a proxy drops the body.
        let problem = mapped.header("x-keyward-problem").expect("the problem");
        let problem: Value = serde_json::from_str(problem).expect("JSON");
        assert_eq!(
            (&problem, &problem["status"]),
            (&mapped.json(), &json!(status))
        );
        assert_eq!(plain.header("x-keyward-problem"), None);
        for name in [
            "retry-after",
            "allow",
            "www-authenticate",
            "x-ratelimit-limit",
        ] {
            let (in_plain, in_mapped) = (plain.header(name), mapped.header(name));
            assert_eq!(in_plain.is_some(), in_mapped.is_some(), "{status} {name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_described_preflight_is_answered_as_one() {
    let world = world!();
    let preflight = |origin: &str| {
        ask_about("OPTIONS", "/v1/customers")
            .origin(origin)
            .header("access-control-request-method", "POST")
    };
    let answer = world.send(&preflight(APP)).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    assert_eq!(answer.header("access-control-allow-origin"), Some(APP));
    assert_eq!(answer.header("access-control-max-age"), Some("600"));
    let answer = world.send(&preflight("https://evil.example.test")).await;
    answer.refusal(403, "origin_not_allowed");
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_reads_ask_by_headers_and_a_question_by_head_gets_the_same_headers() {
    let world = world!();
    let key = world
        .key(json!({"rateLimits": {"requestsPerMinute": 2}}))
        .await;
    let described = |method: &str| {
        Call::new(method, "/.keyward/verify")
            .header("x-forwarded-method", "GET")
            .header("x-forwarded-uri", "/v1/customers")
            .key(&key.token)
    };
    for (method, remaining) in [("HEAD", 1), ("GET", 0)] {
        let answer = world.send(&described(method)).await;
        assert_eq!(answer.status, 200, "{method}");
        assert_eq!(answer.header("x-keyward-key-id"), Some(key.key.id.as_str()));
        assert_eq!(number(&answer, "x-ratelimit-remaining"), remaining);
    }
    let answer = world.send(&described("HEAD")).await;
    assert_eq!(answer.status, 429);
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let answer = world.send(&described(method)).await;
        assert!(
            (400..500).contains(&answer.status),
            "{method} {}",
            answer.status
        );
        assert_eq!(answer.header("x-keyward-key-id"), None);
    }
}
