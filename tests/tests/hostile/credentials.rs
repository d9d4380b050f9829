//! Credential headers that come more than once, contradict each other, or are no text.

use keyward_tests::{Call, RawRequest, world};
use serde_json::json;

use crate::survival::Survival;

#[tokio::test(flavor = "multi_thread")]
async fn duplicate_and_conflicting_credentials_are_malformed_and_cost_no_io() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    let other = world.key(json!({})).await;
    let (a, b) = (survival.key.token.as_str(), other.token.as_str());
    let [bearer_a, bearer_b] = [a, b].map(|token| format!("Bearer {token}"));
    let before = world.upstream.count();
    for (authorization, x_api_key) in [
        (vec![bearer_a.as_str(), &bearer_a], vec![]),
        (vec![&bearer_a, &bearer_b], vec![]),
        (vec![&bearer_a, "Basic dTpw"], vec![]),
        (vec!["Basic dTpw", &bearer_a], vec![]),
        (vec![], vec![a, a]),
        (vec![], vec![a, b]),
        (vec![&bearer_a], vec![b]),
        (vec![&bearer_a], vec![a, a]),
        (vec![&bearer_a, &bearer_a], vec![a]),
        (vec!["Basic dTpw"], vec![a]),
        (vec![&bearer_a], vec![""]),
    ] {
        let mut call = Call::get("/v1/customers");
        for value in &authorization {
            call = call.header("authorization", value);
        }
        for value in &x_api_key {
            call = call.header("x-api-key", value);
        }
        let answer = world.send(&call).await;
        let body = answer.refusal(401, "malformed_credential").to_string();
        assert!(!body.contains(a) && !body.contains(b), "{body}");
    }
    assert_eq!(world.upstream.count(), before);
    survival.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_are_no_text_or_far_too_long_are_malformed() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    let before = world.upstream.count();
    let long = "a".repeat(100_000);
    for line in [
        b"Authorization: Bearer \xff\xfe\x80".to_vec(),
        b"Authorization: \xff\xfe".to_vec(),
        "Authorization: Bearer kw_prod_sk_ä".as_bytes().to_vec(),
        b"Authorization: Bearer a\tb".to_vec(),
        b"X-API-Key: \xff\xfe\x80".to_vec(),
        "X-API-Key: 🔑".as_bytes().to_vec(),
        format!("Authorization: Bearer {long}").into_bytes(),
        format!("Authorization: {long}").into_bytes(),
        format!("X-API-Key: {long}").into_bytes(),
    ] {
        let request = RawRequest::new("GET /v1/customers HTTP/1.1").header(line);
        let answer = request.send(&world.edge.url()).await.expect("an answer");
        answer.refusal(401, "malformed_credential");
    }
    assert_eq!(world.upstream.count(), before);
    survival.holds().await;
}
