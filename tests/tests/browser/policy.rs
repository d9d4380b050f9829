//! Methods and headers: the browser holds scripts to what the API's policy allows.

use serde_json::{Value, json};

use crate::chromium::{Outcome, Page};
use crate::{APP, Scene, scene};

const METHOD_REFUSED: &str = "MethodDisallowedByPreflightResponse";
const HEADER_REFUSED: &str = "HeaderDisallowedByPreflightResponse";

async fn page_with(scene: &Scene, policy: Value) -> Page<'_> {
    let origin = scene.pages.origin(APP);
    scene.admit(json!([origin]), policy).await;
    scene.browser.page(&origin).await
}

async fn send(
    scene: &Scene,
    page: &Page<'_>,
    token: &str,
    method: &str,
    header: Option<&str>,
) -> Outcome {
    let mut init = json!({"method": method, "headers": {"X-API-Key": token}});
    if let Some(header) = header {
        init["headers"][header] = json!("1");
    }
    page.fetch(&scene.url("/v1/things"), init).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_the_policy_leaves_out_is_not_sent() {
    let scene = scene!();
    let policy = json!({"allowedMethods": ["GET", "put", "PURGE"]});
    let page = page_with(&scene, policy).await;
    let token = scene.token(json!({})).await;
    for method in ["GET", "PUT", "PURGE"] {
        let outcome = send(&scene, &page, &token, method, None).await;
        assert_eq!(outcome.has(200).json()["method"], method);
    }
    for method in ["DELETE", "PATCH", "purge"] {
        let outcome = send(&scene, &page, &token, method, None).await;
        outcome.kept_back(METHOD_REFUSED);
    }
    assert_eq!(scene.world.upstream.count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_without_methods_allows_those_that_apis_use() {
    let scene = scene!();
    let page = page_with(&scene, json!({})).await;
    let token = scene.token(json!({})).await;
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let outcome = send(&scene, &page, &token, method, None).await;
        outcome.has(200);
    }
    let outcome = send(&scene, &page, &token, "PURGE", None).await;
    outcome.kept_back(METHOD_REFUSED);
    let seen = scene.world.upstream.requests();
    let methods: Vec<&str> = seen.iter().map(|one| one.method.as_str()).collect();
    let all = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    assert_eq!(methods, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_star_allows_every_method_and_beside_cookies_those_that_apis_use() {
    let scene = scene!();
    let origin = scene.pages.origin(APP);
    let policy = json!({"allowedMethods": ["*"], "allowCredentials": true});
    scene.admit(json!([origin]), policy).await;
    let token = scene.token(json!({})).await;
    let page = scene.browser.page(&origin).await;
    send(&scene, &page, &token, "PURGE", None).await.has(200);
    let with_cookies = |method: &str| {
        let headers = json!({"X-API-Key": token});
        json!({"method": method, "headers": headers, "credentials": "include"})
    };
    let url = scene.url("/v1/things");
    page.fetch(&url, with_cookies("PATCH")).await.has(200);
    // Browsers take a star for a method of that name when there are cookies.
    let outcome = page.fetch(&url, with_cookies("REPORT")).await;
    outcome.kept_back(METHOD_REFUSED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_the_policy_leaves_out_is_not_sent() {
    let scene = scene!();
    let policy = json!({"allowedHeaders": ["X-Trace"]});
    let page = page_with(&scene, policy).await;
    let token = scene.token(json!({})).await;
    for header in ["x-trace", "X-TRACE", "Content-Type"] {
        let outcome = send(&scene, &page, &token, "POST", Some(header)).await;
        outcome.has(200);
    }
    let outcome = send(&scene, &page, &token, "POST", Some("X-Other")).await;
    outcome.kept_back(HEADER_REFUSED);
    assert_eq!(scene.world.upstream.count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_star_allows_every_header_the_credentials_included() {
    let scene = scene!();
    let policy = json!({"allowedHeaders": ["*"]});
    let page = page_with(&scene, policy).await;
    let token = scene.token(json!({})).await;
    let headers = json!({
        "Authorization": format!("Bearer {token}"),
        "X-One": "1",
        "x-two": "2",
        "Content-Type": "application/json",
    });
    let init = json!({"method": "POST", "headers": headers, "body": "{}"});
    page.fetch(&scene.url("/v1/things"), init).await.has(200);
    let seen = scene.world.upstream.last().expect("it arrived");
    for name in ["x-one", "x-two"] {
        assert!(seen.headers.contains_key(name), "{seen:?}");
    }
}
