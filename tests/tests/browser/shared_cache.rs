//! Answers that caches keep: an origin never gets what was meant for another.

use keyward_tests::{Answer, Call, Parts, need, world};
use reqwest::Client;
use serde_json::json;

use crate::nginx::Cache;
use crate::{APP, HOST, scene, with_key};

const OTHER: &str = "other.example.test";
/// An answer of the upstream that any cache may keep.
const KEPT: &str = "/with-headers?cache-control=public,max-age=600&vary=Accept-Encoding";

struct Asked<'a> {
    client: &'a Client,
    base: String,
    token: &'a str,
    path: String,
}

impl Asked<'_> {
    /// Asks the cache; gives where the answer came from, and the origin that it names.
    async fn from(&self, origin: Option<&str>) -> (String, Option<String>) {
        let call = Call::get(&self.path).host(HOST).key(self.token);
        let call = match origin {
            Some(origin) => call.origin(origin),
            None => call,
        };
        let response = call.request(self.client, &self.base).send().await;
        let answer = Answer::read(response.expect("an answer")).await;
        let answer = answer.expect("a whole answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.varies_by("origin"), "{:?}", answer.headers);
        let of = |name: &str| answer.header(name).map(str::to_owned);
        let from = of("x-cache").expect("nginx says where it came from");
        (from, of("access-control-allow-origin"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_cache_never_gives_an_origin_the_answer_of_another() {
    let nginx = need!(Parts::nginx());
    let world = world!();
    let cache = Cache::start(&nginx, world.folder(), &world.edge.url()).await;
    let [app, other, evil] = ["http://a.test", "http://b.test", "http://evil.test"];
    let cors = json!({"allowedOrigins": [app, other]});
    world.api(HOST, json!({"cors": cors})).await;
    let token = world.key(json!({})).await.token;
    let orders = [
        [Some(app), Some(other), None, Some(evil)],
        [None, Some(app), Some(evil), Some(other)],
        [Some(evil), Some(other), Some(app), None],
    ];
    for (n, order) in orders.iter().enumerate() {
        let asked = Asked {
            client: &world.client,
            base: format!("http://127.0.0.1:{}", cache.port()),
            token: &token,
            path: format!("{KEPT}&n={n}"),
        };
        for expected in ["MISS", "HIT"] {
            for origin in order {
                let (from, named) = asked.from(*origin).await;
                assert_eq!(from, expected, "{origin:?} of {order:?}");
                let admitted = origin.filter(|one| *one != evil);
                assert_eq!(named.as_deref(), admitted, "{order:?}");
            }
        }
    }
    assert_eq!(world.upstream.count(), 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_of_two_origins_read_through_one_shared_cache() {
    let nginx = need!(Parts::nginx());
    let scene = scene!();
    let edge = scene.world.edge.url();
    let cache = Cache::start(&nginx, scene.world.folder(), &edge).await;
    let origins = [scene.pages.origin(APP), scene.pages.origin(OTHER)];
    scene.admit(json!(origins), json!({})).await;
    let token = scene.token(json!({})).await;
    // The browser's own cache is not asked, so that nginx's is.
    let mut init = with_key(&token);
    init["cache"] = json!("no-store");
    // The trap: an answer to nobody's script is in the cache first. Its address is the browser's, port and all.
    let host = format!("{HOST}:{}", cache.port());
    let call = Call::get(KEPT).host(&host).key(&token);
    let base = format!("http://127.0.0.1:{}", cache.port());
    let first = call.request(&scene.world.client, &base).send().await;
    assert_eq!(first.expect("an answer").status(), 200);
    let url = format!("http://{host}{KEPT}");
    for _ in 0..2 {
        for origin in &origins {
            let page = scene.browser.page(origin).await;
            page.fetch(&url, init.clone()).await.has(200);
        }
    }
    // Once for nobody's script, once for each origin.
    assert_eq!(scene.world.upstream.count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_browsers_own_cache_tells_origins_of_one_site_apart() {
    let scene = scene!();
    // One site, so Chromium keeps one cache for both.
    let origins = [scene.pages.origin(APP), scene.pages.origin(OTHER)];
    scene.admit(json!(origins), json!({})).await;
    let token = scene.token(json!({})).await;
    let url = scene.url(KEPT);
    let [app, other] = &origins;
    let page = scene.browser.page(app).await;
    for _ in 0..2 {
        page.fetch(&url, with_key(&token)).await.has(200);
    }
    assert_eq!(scene.tap.methods(), ["OPTIONS", "GET"], "it is not kept");
    let page = scene.browser.page(other).await;
    page.fetch(&url, with_key(&token)).await.has(200);
    assert_eq!(scene.tap.methods(), ["OPTIONS", "GET"]);
}
