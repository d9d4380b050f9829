//! Which origins' scripts may read answers.

use serde_json::json;

use crate::{APP, EVIL, NO_ORIGIN, NO_ORIGIN_IN_PREFLIGHT, scene, with_key};

#[tokio::test(flavor = "multi_thread")]
async fn a_script_of_another_origin_reads_nothing_and_its_key_is_never_sent() {
    let scene = scene!();
    let app = scene.pages.origin(APP);
    scene.admit(json!([app]), json!({})).await;
    let token = scene.token(json!({})).await;
    let url = scene.url("/v1/things");
    for origin in [
        scene.pages.origin(EVIL),
        scene.pages.origin("app.example.test.evil.test"),
        scene.pages.other_port(APP),
    ] {
        let page = scene.browser.page(&origin).await;
        let outcome = page.fetch(&url, with_key(&token)).await;
        outcome.kept_back(NO_ORIGIN_IN_PREFLIGHT);
        assert_eq!(scene.tap.methods(), ["OPTIONS"], "{origin}");
        // Without a key there is no preflight, and the refusal stays unread.
        let outcome = page.fetch(&url, json!({})).await;
        outcome.kept_back(NO_ORIGIN);
        assert_eq!(scene.tap.methods(), ["GET"], "{origin}");
    }
    assert_eq!(scene.world.upstream.count(), 0);
    let page = scene.browser.page(&app).await;
    page.fetch(&url, with_key(&token)).await.has(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandboxed_frame_reads_nothing_even_where_every_origin_may() {
    let scene = scene!();
    scene.admit(json!(["*"]), json!({})).await;
    let token = scene.token(json!({})).await;
    let url = scene.url("/v1/things");
    let origin = scene.pages.origin(EVIL);
    let frame = scene.browser.sandbox(&origin).await;
    for (init, method) in [(with_key(&token), "OPTIONS"), (json!({}), "GET")] {
        let outcome = frame.fetch(&url, init).await;
        assert_eq!(outcome.origin, "null");
        assert!(outcome.error.is_some(), "{outcome:?}");
        let heard = scene.tap.take();
        let [request] = &heard[..] else {
            panic!("{heard:?}");
        };
        assert_eq!(request.method, method);
        assert_eq!(request.header("origin"), Some("null"));
    }
    assert_eq!(scene.world.upstream.count(), 0);
    // The page around it is as good as any other.
    let page = scene.browser.page(&origin).await;
    page.fetch(&url, with_key(&token)).await.has(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wildcard_admits_subdomains_at_any_depth_never_the_bare_domain_nor_a_look_alike() {
    let scene = scene!();
    let pattern = scene.pages.origin("*.shop.test");
    scene.admit(json!([pattern]), json!({})).await;
    let token = scene.token(json!({})).await;
    let url = scene.url("/v1/things");
    for (host, admitted) in [
        ("a.shop.test", true),
        ("a.b.shop.test", true),
        ("xn--bcher-kva.shop.test", true),
        ("shop.test", false),
        ("evilshop.test", false),
        ("a.shop.test.evil.test", false),
        ("shop.test.evil.test", false),
    ] {
        let page = scene.browser.page(&scene.pages.origin(host)).await;
        let outcome = page.fetch(&url, with_key(&token)).await;
        if admitted {
            outcome.has(200);
        } else {
            outcome.kept_back(NO_ORIGIN_IN_PREFLIGHT);
        }
    }
    let page = scene.pages.other_port("a.shop.test");
    let page = scene.browser.page(&page).await;
    let outcome = page.fetch(&url, with_key(&token)).await;
    outcome.kept_back(NO_ORIGIN_IN_PREFLIGHT);
    assert_eq!(scene.world.upstream.count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_is_part_of_an_origin_and_a_pattern_names_one() {
    let scene = scene!();
    let [one, other] = [scene.pages.origin(APP), scene.pages.other_port(APP)];
    // As people write them: the name alone is the origin of port 80, where no page is.
    let api = scene.admit(json!([format!("http://{APP}")]), json!({}));
    let api = api.await;
    let token = scene.token(json!({})).await;
    let url = |n: u8| scene.url(&format!("/v1/things/{n}"));
    for origin in [&one, &other] {
        let page = scene.browser.page(origin).await;
        let outcome = page.fetch(&url(0), with_key(&token)).await;
        outcome.kept_back(NO_ORIGIN_IN_PREFLIGHT);
    }
    let cors = json!({"cors": {"allowedOrigins": [other]}});
    assert!(scene.world.admin.patch_api(&api, &cors).await.unwrap());
    let page = scene.browser.page(&other).await;
    page.fetch(&url(1), with_key(&token)).await.has(200);
    let page = scene.browser.page(&one).await;
    let outcome = page.fetch(&url(1), with_key(&token)).await;
    outcome.kept_back(NO_ORIGIN_IN_PREFLIGHT);
}
