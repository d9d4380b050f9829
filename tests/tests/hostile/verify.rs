//! Nonsense to `/.keyward/verify`.

use keyward_tests::{Answer, Call, World, world};
use serde_json::{Value, json};

use crate::survival::Survival;

const PATH: &str = "/.keyward/verify";

async fn verify(world: &World, described: Value) -> Answer {
    world.send(&Call::post(PATH).json(&described)).await
}

/// Asserts that a request was decided about, and refused.
async fn is_invalid(world: &World, described: Value, status: u16, code: &str) -> Value {
    let shown = described.to_string();
    let answer = verify(world, described).await;
    let body = answer.json();
    assert_eq!(answer.status, 200, "{shown} {body}");
    assert_eq!(body["valid"], false, "{shown} {body}");
    assert_eq!(body["status"], status, "{shown} {body}");
    assert_eq!(body["code"], code, "{shown} {body}");
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_no_description_of_a_request_are_refused() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    let token = &survival.key.token;
    let nested = "[".repeat(100_000);
    let deep = format!(r#"{{"key":{}"#, "[".repeat(100_000));
    for body in [
        &b""[..],
        b"{",
        b"nonsense",
        b"null",
        b"7",
        b"\"text\"",
        b"[]",
        br#"["a","GET","/","api.example.test","https://a.test","1.2.3.4"]"#,
        b"{\"key\":\"\xff\xfe\"}",
        br#"{"key":"\ud800"}"#,
        br#"{"key":"a","key":"b"}"#,
        br#"{"key":1e999}"#,
        br#"{"key":"a"} more"#,
        b"\xef\xbb\xbf{}",
        nested.as_bytes(),
        deep.as_bytes(),
    ] {
        let call = Call::post(PATH).header("content-type", "application/json");
        let answer = world.send(&call.body(body)).await;
        answer.problem(400, "bad_request");
    }
    for described in [
        json!({"key": -1}),
        json!({"key": 18_446_744_073_709_551_615_u64}),
        json!({"key": [token]}),
        json!({"key": {"token": token}}),
        json!({"key": token, "method": true}),
        json!({"key": token, "path": 7}),
        json!({"key": token, "colour": "red"}),
        json!({"key": token, "Path": "/"}),
        json!({"key": token, "path": "v1/customers"}),
        json!({"key": token, "path": "https://api.example.test/v1/customers"}),
        json!({"key": token, "path": "//api.example.test".trim_start_matches('/')}),
        json!({"key": token, "path": ""}),
        json!({"key": token, "path": "?query"}),
        json!({"key": token, "method": "G ET"}),
        json!({"key": token, "method": ""}),
        json!({"key": token, "method": "GET\r\nX: y"}),
        json!({"key": token, "ip": "nonsense"}),
        json!({"key": token, "ip": "203.0.113.7/8"}),
        json!({"key": token, "ip": ""}),
    ] {
        let shown = described.to_string();
        let body = verify(&world, described).await.problem(400, "bad_request");
        assert!(!body.to_string().contains(token.as_str()), "{shown} {body}");
    }
    survival.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_types_methods_and_sizes_are_refused() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    for kind in [
        "text/plain",
        "application/jsonx",
        "application/x-www-form-urlencoded",
        "",
    ] {
        let call = Call::post(PATH).header("content-type", kind).body("{}");
        world.send(&call).await.problem(415, "bad_request");
    }
    let without = Call::post(PATH).body("{}");
    world.send(&without).await.problem(415, "bad_request");
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"] {
        let answer = world.send(&Call::new(method, PATH)).await;
        answer.problem(405, "unknown_route");
        assert_eq!(answer.header("allow"), Some("GET, HEAD, POST"));
    }
    let large = Call::post(PATH).header("content-type", "application/json");
    let large = large.body(" ".repeat(4 * 1024 * 1024 + 1));
    let body = world.send(&large).await.problem(413, "bad_request");
    assert_eq!(body["detail"], "The body is larger than 4 MiB");
    // A tree of all these lists would take more memory than an isolate has.
    let lists = format!(r#"{{"key":[{}1]}}"#, "[1],".repeat(1024 * 1024 - 8));
    let many = Call::post(PATH).header("content-type", "application/json");
    world
        .send(&many.body(lists))
        .await
        .problem(400, "bad_request");
    survival.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn absurd_descriptions_are_decided_about_like_absurd_requests() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    let token = survival.key.token.as_str();
    for (described, status, code) in [
        (json!({}), 401, "missing_credential"),
        (json!({"key": null}), 401, "missing_credential"),
        (json!({"key": ""}), 401, "malformed_credential"),
        (json!({"key": "a\nb"}), 401, "malformed_credential"),
        (json!({"key": "ä"}), 401, "malformed_credential"),
        (
            json!({"key": "a".repeat(1_000_000)}),
            401,
            "malformed_credential",
        ),
        (
            json!({"key": format!("{token}, {token}")}),
            401,
            "malformed_credential",
        ),
        (json!({"key": token, "host": "a b"}), 400, "bad_request"),
        (json!({"key": token, "host": "ä.test"}), 400, "bad_request"),
        (
            json!({"key": token, "host": "a".repeat(100_000)}),
            400,
            "bad_request",
        ),
        (
            json!({"key": token, "host": "elsewhere.test"}),
            404,
            "unknown_api",
        ),
        (json!({"key": token, "path": "/a/../b"}), 400, "bad_request"),
        (
            json!({"key": token, "path": "/a\u{0}b"}),
            400,
            "bad_request",
        ),
        (json!({"key": token, "path": "/a\r\nb"}), 400, "bad_request"),
        (json!({"key": token, "path": "/a\\b"}), 400, "bad_request"),
        (
            json!({"key": token, "path": format!("/{}", "a".repeat(1_000_000))}),
            400,
            "bad_request",
        ),
    ] {
        let body = is_invalid(&world, described, status, code).await;
        assert!(!body.to_string().contains(token), "{body}");
    }
    survival.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_described_path_gets_around_the_permission_of_its_route() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    let nothing = world.key(json!({"permissions": []})).await.token;
    for path in [
        "/v1/customers",
        "/v1/customers?next=https://elsewhere.test/v1/open",
        "/v1/customers?next=://x/y",
        "/v1/customers#://x/y",
        "/v1//customers/",
        "/%761/customers",
        "/v1/customers/http://elsewhere.test",
    ] {
        let described = json!({"key": nothing, "path": path});
        let customers = path.trim_end_matches('/').ends_with("elsewhere.test");
        if customers {
            // Not the route of one customer, and not that of what follows the scheme.
            let body = verify(&world, described).await.json();
            assert_eq!(body["code"], "ok", "{body}");
            continue;
        }
        is_invalid(&world, described, 403, "insufficient_permission").await;
    }
    survival.holds().await;
}
