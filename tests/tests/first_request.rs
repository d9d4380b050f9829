//! The spine: a key made in the control plane opens the API at the edge, and stops when told.

use std::time::Duration;

use keyward_tests::{Call, PATIENCE, eventually, world};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_opens_the_api_at_once_and_is_stopped_by_revoking_it() {
    let world = world!();
    let key = world.key(json!({})).await;
    assert!(key.propagated);
    let call = Call::get("/v1/customers").key(&key.token);
    let answer = world.send(&call).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = world.upstream.last().expect("a request came through");
    assert_eq!(seen.target, "/v1/customers");
    assert_eq!(seen.headers["x-keyward-key-id"], key.key.id.as_str());
    assert_eq!(seen.headers["x-keyward-account-id"], world.account.as_str());
    assert!(!seen.headers.contains_key("authorization"));

    assert!(world.admin.revoke(&key.key.id).await.unwrap());
    let refused = eventually("the key is refused", PATIENCE, || async {
        let answer = world.send(&call).await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (401, "invalid_key")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_works_right_after_create_returned_although_kv_does_not_know_it_for_a_minute() {
    let world = world!();
    world.edge.set_kv_lag(Duration::from_secs(60)).await;
    for enforcement in ["leased", "strict"] {
        let key = world.key(json!({"enforcement": enforcement})).await;
        assert!(key.propagated);
        let call = Call::get("/v1/customers").key(&key.token);
        let answer = world.send(&call).await;
        assert_eq!(answer.status, 200, "{enforcement}: {}", answer.text());
    }
}
