//! Nonsense to the control plane's admin API.

use keyward_tests::{Answer, Call, RawRequest, World, forged_token, world};
use serde_json::{Value, json};

use crate::signed::to_control_plane;
use crate::survival::Survival;

fn call(world: &World, method: &str, path: &str) -> Call {
    Call::new(method, path).key(&world.secrets.admin_token)
}

async fn post(world: &World, path: &str, body: impl Into<Vec<u8>>) -> Answer {
    let call = call(world, "POST", path).header("content-type", "application/json");
    to_control_plane(world, &call.body(body)).await
}

async fn lives_on(world: &World, keys: usize) {
    assert_eq!(world.admin.keys().await.unwrap().len(), keys);
    assert!(!world.control_plane.log().contains("panic"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_one_right_admin_token_nothing_is_told_or_done() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    let right = format!("Bearer {}", world.secrets.admin_token);
    let api_key = format!("Bearer {}", survival.key.token);
    let forged = format!("Bearer {}", forged_token("prod", &world.account));
    let cut = right[..right.len() - 1].to_owned();
    let another = format!("Bearer kwa_{}", "a".repeat(40));
    let long = format!("Bearer {}", "a".repeat(8_000));
    for values in [
        vec![],
        vec![""],
        vec!["Bearer"],
        vec!["Basic dTpw"],
        vec![api_key.as_str()],
        vec![&forged],
        vec![&cut],
        vec![&another],
        vec![&long],
        vec![&right, &right],
        vec![&right, &another],
    ] {
        for (method, path) in [
            ("GET", "/v1/keys"),
            ("POST", "/v1/keys"),
            ("GET", "/v1/apis"),
        ] {
            let mut call = Call::new(method, path).json(&json!({"name": "key"}));
            for value in &values {
                call = call.header("authorization", value);
            }
            let answer = to_control_plane(&world, &call).await;
            answer.problem(401, "unauthorized");
            assert!(answer.header("www-authenticate").is_some());
        }
    }
    // About as much as is read of a request's head: whether it is looked at depends on how it arrives.
    let longer = "a".repeat(100_000);
    let call = Call::get("/v1/keys").header("authorization", &longer);
    let answer = to_control_plane(&world, &call).await;
    assert!([401, 431].contains(&answer.status), "{}", answer.status);
    lives_on(&world, 1).await;
    survival.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_bodies_are_refused_and_make_nothing() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    let deep = format!(r#"{{"name":"k","metadata":{{"a":{}"#, "[".repeat(100_000));
    for body in [
        &b""[..],
        b"{",
        b"nonsense",
        b"{\"name\":\"\xff\xfe\"}",
        b"{\"name\":\"a\"} more",
        deep.as_bytes(),
    ] {
        let answer = post(&world, "/v1/keys", body).await;
        answer.problem(400, "invalid_json");
    }
    let huge: Value = serde_json::from_str("99999999999999999999999").expect("JSON");
    for body in [
        json!(null),
        json!([]),
        json!({}),
        json!({"name": "k", "colour": "red"}),
        json!({"name": ""}),
        json!({"name": "a".repeat(100_000)}),
        json!({"name": "\u{0}"}),
        json!({"name": "k", "accountId": -1}),
        json!({"name": "k", "rateLimits": {"requestsPerMinute": -1}}),
        json!({"name": "k", "rateLimits": {"requestsPerMinute": 0}}),
        json!({"name": "k", "rateLimits": {"requestsPerMinute": huge}}),
        json!({"name": "k", "expiresAt": "yesterday"}),
        json!({"name": "k", "permissions": ["Ä"]}),
        json!({"name": "k", "allowedIps": ["10.0.0.0/99"]}),
        json!({"name": "k", "allowedOrigins": ["null"]}),
    ] {
        let answer = post(&world, "/v1/keys", body.to_string()).await;
        answer.problem(422, "validation_failed");
    }
    let large = " ".repeat(1024 * 1024 + 1);
    let answer = post(&world, "/v1/keys", large).await;
    answer.problem(413, "payload_too_large");
    for kind in ["text/plain", "application/jsonx", ""] {
        let call = call(&world, "POST", "/v1/keys").header("content-type", kind);
        let answer = to_control_plane(&world, &call.body(r#"{"name":"k"}"#)).await;
        answer.problem(415, "unsupported_media_type");
    }
    lives_on(&world, 1).await;
    survival.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn absurd_methods_paths_and_ids_find_nothing() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    for (method, path) in [
        ("PUT", "/v1/keys"),
        ("DELETE", "/v1/accounts"),
        ("TRACE", "/v1/keys"),
    ] {
        let answer = to_control_plane(&world, &call(&world, method, path)).await;
        answer.problem(405, "method_not_allowed");
        assert!(answer.header("allow").is_some());
    }
    let long = format!("/v1/keys/{}", "a".repeat(10_000));
    for path in [
        "/",
        "/v1",
        "/v1/nothing",
        "/v1/keys/",
        "/v1/keys/nothing",
        "/v1/keys/key_%00",
        "/v1/keys/%ff",
        "/v1/keys/a%2Fb",
        "/v1/keys/%2e%2e%2fapis",
        "/v1/keys/'%20or%201=1--",
        "//v1/keys",
        &long,
    ] {
        let line = format!("GET {path} HTTP/1.1");
        let request = RawRequest::new(line).key(&world.secrets.admin_token);
        let answer = request.send(&world.control_plane.url()).await;
        answer.expect("an answer").problem(404, "not_found");
    }
    lives_on(&world, 1).await;
    survival.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_is_refused_by_the_server() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    let line = "GET /v1/keys HTTP/1.1";
    let with = |header: &[u8]| RawRequest::new(line).header(header);
    for (request, statuses) in [
        (with(b"Authorization: Bearer \xff\xfe"), vec![401]),
        (with(b"X-Nul: a\0b"), vec![400]),
        (with(b"X Space: a"), vec![400]),
        (with(b"Content-Length: -1"), vec![400]),
        (RawRequest::new("nonsense"), vec![400]),
        (RawRequest::new("GET /a\0b HTTP/1.1"), vec![400]),
    ] {
        let answer = request.send(&world.control_plane.url()).await;
        let status = answer.map_or(0, |answer| answer.status);
        assert!(statuses.contains(&status), "{status}");
    }
    lives_on(&world, 1).await;
    survival.holds().await;
}
