//! Scripts that hold a key, and scripts that send cookies.

use serde_json::json;

use crate::{APP, Scene, scene, with_key};

async fn admitted(scene: &Scene) -> String {
    let origin = scene.pages.origin(APP);
    scene.admit(json!([origin]), json!({})).await;
    origin
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_may_send_its_key_in_either_header() {
    let scene = scene!();
    let origin = admitted(&scene).await;
    let token = scene.token(json!({})).await;
    let page = scene.browser.page(&origin).await;
    for (header, value) in [
        ("Authorization", format!("Bearer {token}")),
        ("X-API-Key", token.clone()),
    ] {
        let init = json!({"method": "POST", "headers": {header: value}, "body": "{}"});
        let path = format!("/v1/{}", header.to_lowercase());
        let outcome = page.fetch(&scene.url(&path), init).await;
        outcome.has(200);
        assert_eq!(outcome.json()["path"], path);
        let heard = scene.tap.take();
        let [preflight, actual] = &heard[..] else {
            panic!("{heard:?}");
        };
        assert_eq!((&*preflight.method, &*actual.method), ("OPTIONS", "POST"));
        // The browser asks by itself: no key is in the question.
        let asked = preflight.header("access-control-request-headers");
        assert_eq!(asked, Some(header.to_lowercase().as_str()));
        assert_eq!(preflight.header(header), None);
        assert_eq!(preflight.header("origin"), Some(origin.as_str()));
    }
    assert_eq!(scene.world.upstream.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_reads_its_limits_and_what_the_policy_exposes_and_nothing_else() {
    let scene = scene!();
    let origin = scene.pages.origin(APP);
    let exposed = json!({"exposedHeaders": ["X-Total"]});
    scene.admit(json!([origin]), exposed).await;
    let limited = json!({"rateLimits": {"requestsPerMinute": 100}});
    let token = scene.token(limited).await;
    let page = scene.browser.page(&origin).await;
    let url = scene.url("/with-headers?x-total=7&x-secret=s");
    let outcome = page.fetch(&url, with_key(&token)).await;
    outcome.has(200);
    for (name, value) in [
        ("x-ratelimit-limit", Some("100")),
        ("x-ratelimit-remaining", Some("99")),
        ("ratelimit-policy", Some("\"minute\";q=100;w=60")),
        ("x-total", Some("7")),
        ("x-secret", None),
    ] {
        assert_eq!(outcome.header(name), value, "{outcome:?}");
    }
    for name in ["x-ratelimit-reset", "ratelimit", "x-keyward-request-id"] {
        assert!(outcome.header(name).is_some(), "{name}: {outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_may_be_sent_only_where_the_policy_says_so() {
    let scene = scene!();
    let origin = admitted(&scene).await;
    let [with, without] = ["with.keyward.test", "without.keyward.test"];
    for (host, allowed) in [(with, true), (without, false)] {
        let cors = json!({"allowedOrigins": [origin], "allowCredentials": allowed});
        scene.world.api(host, json!({"cors": cors})).await;
    }
    let token = scene.token(json!({})).await;
    let page = scene.browser.page(&origin).await;
    let port = scene.tap.port();
    let mut init = with_key(&token);
    init["credentials"] = json!("include");
    let url = |host: &str| format!("http://{host}:{port}/");
    page.fetch(&url(with), init.clone()).await.has(200);
    let before = scene.world.upstream.count();
    let outcome = page.fetch(&url(without), init).await;
    outcome.kept_back("PreflightInvalidAllowCredentials");
    assert_eq!(scene.world.upstream.count(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_bound_to_an_origin_works_in_the_scripts_of_that_origin_only() {
    let scene = scene!();
    let shop = scene.pages.origin("shop.example.test");
    let origins = json!([scene.pages.origin(APP), shop]);
    scene.admit(origins, json!({})).await;
    let bound = json!({"allowedOrigins": [shop]});
    let token = scene.token(bound).await;
    let url = scene.url("/v1/things");
    let page = scene.browser.page(&shop).await;
    page.fetch(&url, with_key(&token)).await.has(200);
    let page = scene.browser.page(&scene.pages.origin(APP)).await;
    // A script can't choose its origin: what it sets is not sent.
    let mut init = with_key(&token);
    init["headers"]["Origin"] = json!(shop);
    let outcome = page.fetch(&url, init).await;
    outcome.refuses(403, "origin_not_allowed");
    assert_eq!(scene.world.upstream.count(), 1);
}
