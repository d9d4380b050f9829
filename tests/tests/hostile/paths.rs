//! Absurd paths.

use keyward_tests::{Answer, RawRequest, World, world};
use serde_json::json;

use crate::survival::Survival;

async fn get(world: &World, token: &str, target: impl AsRef<[u8]>) -> Answer {
    let line = [b"GET ", target.as_ref(), b" HTTP/1.1"].concat();
    let request = RawRequest::new(line).key(token);
    let answer = request.send(&world.edge.url()).await;
    answer.expect("an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_of_ten_kilobytes_is_a_bad_request_and_a_longer_one_the_runtime_refuses() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    let token = &survival.key.token;
    let before = world.upstream.count();
    for path in ["a".repeat(10_000), "a/".repeat(5_000), "%41".repeat(3_400)] {
        let answer = get(&world, token, format!("/{path}")).await;
        let body = answer.refusal(400, "bad_request");
        assert_eq!(body["detail"], "The path is longer than 4096 bytes");
    }
    let answer = get(&world, token, format!("/{}", "a".repeat(100_000))).await;
    assert_eq!(answer.status, 414);
    assert_eq!(world.upstream.count(), before);
    let query = "q".repeat(10_000);
    let answer = get(&world, token, format!("/v1/customers?{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    survival.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_no_path_has_are_refused_by_the_runtime() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    let before = world.upstream.count();
    for path in [
        &b"/a\0b"[..],
        b"/a\x01b",
        b"/a\x7fb",
        b"/a\tb",
        b"/a b",
        b"/a\xffb",
        b"/?\0",
        b"?query",
        b"",
    ] {
        let answer = get(&world, &survival.key.token, path).await;
        assert_eq!(answer.status, 400, "{path:?} {}", answer.text());
    }
    assert_eq!(world.upstream.count(), before);
    survival.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_a_path_gets_around_the_permission_of_its_route() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    let nothing = world.key(json!({"permissions": []})).await.token;
    let before = world.upstream.count();
    for path in [
        "/v1/customers",
        "/v1/customers/",
        "//v1/customers",
        "/v1//customers",
        "/v1/customers?a=b",
        "/v1/customers?next=https://elsewhere.test/v1/open",
        "/v1/customers#fragment",
        "/v1/%63ustomers",
        "/%76%31/customers",
        "http://api.example.test/v1/customers",
        "http://elsewhere.test/v1/customers",
    ] {
        let answer = get(&world, &nothing, path).await;
        let body = answer.refusal(403, "insufficient_permission");
        assert_eq!(body["requiredPermission"], "customers.read", "{path}");
    }
    for path in [
        "/v1%2fcustomers",
        "/v1/./customers",
        "/v1/x/../customers",
        "/v1/x/%2e%2e/customers",
        "/.keyward/../v1/customers",
        "/v1\\customers",
        "/v1/customers%00",
        "/v1/customers%0a",
        "/v1/customers/%2e",
    ] {
        let answer = get(&world, &nothing, path).await;
        answer.refusal(400, "bad_request");
    }
    assert_eq!(world.upstream.count(), before);
    survival.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reserved_paths_are_reserved_in_every_spelling() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    let token = &survival.key.token;
    let before = world.upstream.count();
    for path in [
        "/.keyward/health",
        "/.keyward/health/",
        "//.keyward//health",
        "/%2ekeyward/health",
        "/.%6beyward/health",
        "/.keyward/%68ealth",
        "/.keyward/health?x",
    ] {
        let answer = get(&world, token, path).await;
        assert_eq!(answer.json()["status"], "ok", "{path} {}", answer.text());
    }
    for path in ["/.keyward/nothing", "/.%6beyward/a/b", "/.keyward/verify/x"] {
        let answer = get(&world, token, path).await;
        let body = answer.problem(404, "unknown_route");
        assert_eq!(body["detail"], "There is nothing here");
    }
    for path in [
        "/.keyward/./health",
        "/x/../.keyward/health",
        "/.keyward%2fhealth",
    ] {
        get(&world, token, path).await.refusal(400, "bad_request");
    }
    assert_eq!(world.upstream.count(), before);
    survival.holds().await;
}
