//! Hosts, paths and methods that an API does not have, and input that is nonsense.

use keyward_tests::{Call, RawRequest, world};
use serde_json::json;

const CLOSED: &str = "closed.example.test";

#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_an_api_is_unknown_with_and_without_a_key() {
    let world = world!();
    let key = world.key(json!({})).await;
    for host in [
        "nobody.example.test",
        "example.test",
        "deep.api.example.test",
        "127.0.0.1",
        "[::1]:8080",
    ] {
        let call = Call::get("/v1/customers").host(host);
        for call in [call.clone(), call.key(&key.token)] {
            let answer = world.send(&call).await;
            let body = answer.refusal(404, "unknown_api");
            assert_eq!(body["detail"], "No API is served on this host");
        }
    }
    assert_eq!(world.upstream.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_are_matched_exactly_then_by_wildcard_whatever_their_case_port_or_last_dot() {
    let world = world!();
    let key = world.key(json!({})).await;
    world.api("*.wild.example.test", json!({})).await;
    for host in [
        "api.example.test",
        "API.Example.Test",
        "api.example.test:8443",
        "api.example.test.",
        "a.wild.example.test",
        "a.b.wild.example.test",
    ] {
        let call = Call::get("/v1/anything").host(host).key(&key.token);
        let answer = world.send(&call).await;
        assert_eq!(answer.status, 200, "{host}: {}", answer.text());
    }
    let call = Call::get("/v1/anything").host("wild.example.test");
    world.send(&call).await.refusal(404, "unknown_api");
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_that_are_not_listed_are_told_only_to_those_with_a_good_key() {
    let world = world!();
    let routes = json!([
        {"method": "GET", "path": "/v1/orders"},
        {"method": "POST", "path": "/v1/orders"},
        {"method": "*", "path": "/v1/any"},
    ]);
    let closed = json!({"unlisted": "closed", "routes": routes});
    world.api(CLOSED, closed).await;
    let key = world.key(json!({})).await;
    let call = |method: &str, path: &str| Call::new(method, path).host(CLOSED);
    for (method, path) in [
        ("GET", "/v1/orders"),
        ("HEAD", "/v1/orders"),
        ("POST", "/v1/orders"),
        ("GET", "/v1//orders/"),
        ("PATCH", "/v1/any"),
    ] {
        let answer = world.send(&call(method, path).key(&key.token)).await;
        assert_eq!(answer.status, 200, "{method} {path} {}", answer.text());
    }
    for path in ["/", "/v1", "/v1/orders/7", "/V1/orders", "/v1/orders;x"] {
        let unlisted = call("GET", path);
        world
            .send(&unlisted)
            .await
            .refusal(401, "missing_credential");
        let answer = world.send(&unlisted.key(&key.token)).await;
        let body = answer.refusal(404, "unknown_route");
        assert_eq!(body["title"], "Unknown route");
        assert_eq!(answer.header("allow"), None);
    }
    for method in ["DELETE", "PUT", "PATCH", "OPTIONS"] {
        let other = call(method, "/v1/orders");
        world.send(&other).await.refusal(401, "missing_credential");
        let answer = world.send(&other.key(&key.token)).await;
        let body = answer.refusal(405, "unknown_route");
        assert_eq!(body["title"], "Method not allowed");
        assert_eq!(answer.header("allow"), Some("GET, POST"));
    }
    assert_eq!(world.upstream.count(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_two_servers_could_read_differently_is_a_bad_request() {
    let world = world!();
    let key = world.key(json!({})).await;
    let unclear =
        "The path has an encoded slash, a backslash, a control character or a dot segment";
    let encoding = "The path is not valid percent-encoded UTF-8";
    for (path, detail) in [
        ("/v1%2Fcustomers", unclear),
        ("/v1/../v1/customers", unclear),
        ("/v1/%2e%2e/customers", unclear),
        ("/v1/./customers", unclear),
        ("/v1%5Ccustomers", unclear),
        ("/v1\\customers", unclear),
        ("/v1/a%00b", unclear),
        ("/v1/a%0D%0Ab", unclear),
        ("/v1/%", encoding),
        ("/v1/%zz", encoding),
        ("/v1/%ff", encoding),
        ("/v1/%C3", encoding),
    ] {
        let request = RawRequest::new(format!("GET {path} HTTP/1.1")).key(&key.token);
        let answer = request.send(&world.edge.url()).await.expect("an answer");
        let body = answer.refusal(400, "bad_request");
        assert_eq!(body["detail"], detail, "{path}");
    }
    assert_eq!(world.upstream.count(), 0);
}
