//! Callers that claim to be the gate.

use keyward_tests::{Call, RawRequest, world};

use crate::survival::Survival;

#[tokio::test(flavor = "multi_thread")]
async fn what_says_who_the_caller_is_comes_from_the_gate_alone() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    let request = RawRequest::new("GET /v1/customers HTTP/1.1")
        .key(&survival.key.token)
        .header("X-Keyward-Key-Id: key_evil")
        .header("X-Keyward-Key-Id: key_evil_twice")
        .header("x-keyward-account-id: acc_evil")
        .header("X-KEYWARD-ENVIRONMENT: evil")
        .header("X-Keyward-Permissions: evil")
        .header("X-Keyward-Assertion: evil")
        .header("X-Keyward-Request-Id: evil")
        .header("X-Keyward-Admin: evil")
        .header("X_Keyward_Key_Id: evil")
        .header("X-Keyward_Account-Id: evil")
        .header("X-Forwarded-Host: evil")
        .header("Connection: X-Keyward-Key-Id, X-Keyward-Assertion, X-Keyward-Account-Id");
    let answer = request.send(&world.edge.url()).await.expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = world.upstream.last().expect("a request came through");
    let id = answer.header("x-keyward-request-id").unwrap_or_default();
    for (name, value) in [
        ("x-keyward-key-id", survival.key.key.id.as_str()),
        ("x-keyward-account-id", &world.account),
        ("x-keyward-environment", "production"),
        ("x-keyward-permissions", "*"),
        ("x-keyward-request-id", id),
        ("x-forwarded-host", "api.example.test"),
    ] {
        let values: Vec<_> = seen.headers.get_all(name).iter().collect();
        assert_eq!(values, [value], "{name}");
    }
    let assertions: Vec<_> = seen.headers.get_all("x-keyward-assertion").iter().collect();
    assert_eq!(assertions.len(), 1);
    for (name, value) in &seen.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        assert!(!value.contains("evil"), "{name}: {value}");
    }
    survival.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_can_not_speak_for_the_gate() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    let claims = "/with-headers?x-keyward-request-id=evil&x-keyward-anything=evil&x-ratelimit-limit=evil\
                  &ratelimit=evil&access-control-allow-origin=evil&access-control-anything=evil";
    let call = Call::get(claims).key(&survival.key.token);
    let answer = world.send(&call).await;
    assert_eq!(answer.status, 200);
    for (name, value) in &answer.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        assert!(!value.contains("evil"), "{name}: {value}");
    }
    assert!(answer.header("x-keyward-request-id").is_some());
    survival.holds().await;
}
