//! When a browser asks beforehand, how often, and what that costs.

use keyward_tests::{PATIENCE, eventually};
use serde_json::{Value, json};

use crate::chromium::Page;
use crate::{APP, Scene, scene, with_key};

/// Lets the app's scripts call the API, and gives a page of it.
async fn page_with(scene: &Scene, policy: Value) -> Page<'_> {
    let origin = scene.pages.origin(APP);
    scene.admit(json!([origin]), policy).await;
    scene.browser.page(&origin).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_needs_no_key_and_costs_no_quota() {
    let scene = scene!();
    // Not remembered: there is a preflight before every request.
    let page = page_with(&scene, json!({"maxAgeSeconds": 0})).await;
    let two = json!({"rateLimits": {"requestsPerMinute": 2}});
    let token = scene.token(two).await;
    let url = scene.url("/v1/things");
    for remaining in ["1", "0"] {
        let outcome = page.fetch(&url, with_key(&token)).await;
        outcome.has(200);
        assert_eq!(outcome.header("x-ratelimit-remaining"), Some(remaining));
    }
    let outcome = page.fetch(&url, with_key(&token)).await;
    outcome.refuses(429, "rate_limited");
    let heard = scene.tap.methods();
    let both = ["OPTIONS", "GET"];
    assert_eq!(heard, [both, both, both].concat());
    assert_eq!(scene.world.upstream.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_is_remembered_for_as_long_as_the_policy_says() {
    let scene = scene!();
    let page = page_with(&scene, json!({"maxAgeSeconds": 600})).await;
    let token = scene.token(json!({})).await;
    let url = scene.url("/v1/things");
    for _ in 0..3 {
        page.fetch(&url, with_key(&token)).await.has(200);
    }
    assert_eq!(scene.tap.methods(), ["OPTIONS", "GET", "GET", "GET"]);
    // One answer covers either credential header, for one address.
    let other = json!({"headers": {"X-API-Key": token}});
    page.fetch(&url, other).await.has(200);
    assert_eq!(scene.tap.methods(), ["GET"]);
    let elsewhere = scene.url("/v1/others");
    page.fetch(&elsewhere, with_key(&token)).await.has(200);
    assert_eq!(scene.tap.methods(), ["OPTIONS", "GET"]);
    assert_eq!(scene.world.upstream.count(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_is_asked_again_when_its_time_is_over() {
    let scene = scene!();
    let page = page_with(&scene, json!({"maxAgeSeconds": 1})).await;
    let token = scene.token(json!({})).await;
    let url = scene.url("/v1/things");
    page.fetch(&url, with_key(&token)).await.has(200);
    assert_eq!(scene.tap.methods(), ["OPTIONS", "GET"]);
    eventually("the browser asks again", PATIENCE, || async {
        page.fetch(&url, with_key(&token)).await.has(200);
        let heard = scene.tap.methods();
        (heard == ["OPTIONS", "GET"]).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simple_request_needs_no_preflight_and_its_refusal_can_be_read() {
    let scene = scene!();
    let page = page_with(&scene, json!({})).await;
    // A gate that has not met the API yet would refuse without asking storage for the policy.
    let token = scene.token(json!({})).await;
    let first = page.fetch(&scene.url("/"), with_key(&token)).await;
    first.has(200);
    scene.tap.take();
    let text = json!({"method": "POST", "body": "text"});
    for (init, method) in [(json!({}), "GET"), (text, "POST")] {
        let outcome = page.fetch(&scene.url("/v1/things"), init).await;
        outcome.refuses(401, "missing_credential");
        assert_eq!(scene.tap.methods(), [method]);
    }
    assert_eq!(scene.world.upstream.count(), 1);
}
