//! What a script can make of a refusal: status, code, and when to try again.

use keyward_tests::{forged_token, free_port};
use serde_json::json;

use crate::{APP, HOST, scene, with_key};

#[tokio::test(flavor = "multi_thread")]
async fn a_script_reads_a_401_and_its_challenge() {
    let scene = scene!();
    let origin = scene.pages.origin(APP);
    scene.admit(json!([origin]), json!({})).await;
    let page = scene.browser.page(&origin).await;
    let url = scene.url("/v1/things");
    let forged = forged_token("prod", &scene.world.account);
    let outcome = page.fetch(&url, with_key(&forged)).await;
    outcome.refuses(401, "invalid_key");
    let challenge = outcome.header("www-authenticate").unwrap_or_default();
    assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    let id = outcome.json()["requestId"].as_str().map(str::to_owned);
    assert_eq!(outcome.header("x-keyward-request-id"), id.as_deref());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_reads_a_403_and_what_was_missing() {
    let scene = scene!();
    let origin = scene.pages.origin(APP);
    let routes = json!([{"method": "GET", "path": "/v1/things", "permission": "things.read"}]);
    let cors = json!({"allowedOrigins": [origin]});
    let settings = json!({"routes": routes, "cors": cors});
    scene.world.api(HOST, settings).await;
    let token = scene.token(json!({"permissions": ["other.read"]})).await;
    let page = scene.browser.page(&origin).await;
    let outcome = page.fetch(&scene.url("/v1/things"), with_key(&token)).await;
    outcome.refuses(403, "insufficient_permission");
    let challenge = outcome.header("www-authenticate").unwrap_or_default();
    assert!(challenge.contains("insufficient_scope"), "{challenge}");
    assert!(outcome.body.contains("things.read"), "{}", outcome.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_reads_a_429_its_limits_and_when_to_try_again() {
    let scene = scene!();
    let origin = scene.pages.origin(APP);
    scene.admit(json!([origin]), json!({})).await;
    let limited = json!({"rateLimits": {"requestsPerMinute": 1, "requestsPerHour": 500}});
    let token = scene.token(limited).await;
    let page = scene.browser.page(&origin).await;
    let url = scene.url("/v1/things");
    page.fetch(&url, with_key(&token)).await.has(200);
    let outcome = page.fetch(&url, with_key(&token)).await;
    outcome.refuses(429, "rate_limited");
    let number = |name: &str| outcome.header(name)?.parse::<u64>().ok();
    let after = number("retry-after").expect("a number of seconds");
    // The window, the lease that the unit came with, and a bucket, in whole seconds.
    assert!((1..=62).contains(&after), "{after}");
    assert_eq!(outcome.json()["retryAfter"], after);
    assert_eq!(number("x-ratelimit-limit"), Some(1));
    assert_eq!(number("x-ratelimit-remaining"), Some(0));
    assert!(number("x-ratelimit-reset").is_some(), "{outcome:?}");
    let policy = outcome.header("ratelimit-policy").unwrap_or_default();
    for window in ["\"minute\";q=1;w=60", "\"hour\";q=500;w=3600"] {
        assert!(policy.contains(window), "{policy}");
    }
    let state = outcome.header("ratelimit").unwrap_or_default();
    assert!(state.contains("\"minute\";r=0;t="), "{state}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_reads_that_the_upstream_is_away() {
    let scene = scene!();
    let origin = scene.pages.origin(APP);
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let cors = json!({"allowedOrigins": [origin]});
    let settings = json!({"upstream": nobody, "cors": cors});
    scene.world.api(HOST, settings).await;
    let token = scene.token(json!({})).await;
    let page = scene.browser.page(&origin).await;
    let outcome = page.fetch(&scene.url("/v1/things"), with_key(&token)).await;
    outcome.refuses(502, "upstream_unreachable");
}
