//! A guard, or an edge, that can't be asked: nobody is admitted, and callers are told to come back.

use keyward_tests::{
    Call, GuardNetwork, PATIENCE, Parts, World, eventually, free_port, need, world,
};
use serde_json::json;

use crate::front::Front;
use crate::{APP, number, readable, send};

crate::behind_each_proxy!(
    while_the_guard_is_out_of_reach_callers_get_503_and_after_that_they_pass,
    while_the_edge_is_down_callers_get_503_and_after_that_they_pass,
);

async fn while_the_guard_is_out_of_reach_callers_get_503_and_after_that_they_pass(
    world: &World,
    front: &Front,
) {
    let key = world.key(json!({"enforcement": "strict"})).await;
    let call = Call::get("/v1/customers").key(&key.token).origin(APP);
    assert_eq!(send(world, front, &call).await.status, 200);
    let lost = GuardNetwork {
        lose: 1.0,
        ..GuardNetwork::default()
    };
    world.edge.set_guard_network(lost).await;
    let answer = send(world, front, &call).await;
    answer.refusal(503, "guard_unavailable");
    assert_eq!(number(&answer, "retry-after"), 1);
    readable(&answer);
    world.edge.set_guard_network(GuardNetwork::default()).await;
    assert_eq!(send(world, front, &call).await.status, 200);
    assert_eq!(world.upstream.count(), 2);
}

async fn while_the_edge_is_down_callers_get_503_and_after_that_they_pass(
    world: &World,
    front: &Front,
) {
    let key = world.key(json!({})).await;
    let call = Call::post("/v1/things").key(&key.token).body("{}");
    assert_eq!(send(world, front, &call).await.status, 200);
    world.edge.kill();
    let answer = send(world, front, &call).await;
    answer.refusal(503, "guard_unavailable");
    assert_eq!(number(&answer, "retry-after"), 1);
    assert_eq!(world.upstream.count(), 1);
    world.edge.restart().await;
    // A proxy may leave a server alone for a while after it failed.
    eventually("requests pass again", PATIENCE, || async {
        (send(world, front, &call).await.status == 200).then_some(())
    })
    .await;
}

/// An address where no API listens.
fn nowhere() -> String {
    format!("http://127.0.0.1:{}", free_port())
}

async fn a_502_that_is_no_refusal_of_keywards(world: &World, front: &Front) {
    let key = world.key(json!({})).await;
    let call = Call::get("/v1/things").key(&key.token);
    let answer = send(world, front, &call).await;
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert_ne!(answer.code(), "guard_unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_is_down_is_a_502_of_nginx() {
    let nginx = need!(Parts::nginx());
    let world = world!();
    let front = Front::nginx(&nginx, &world, &nowhere()).await;
    a_502_that_is_no_refusal_of_keywards(&world, &front).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_is_down_is_a_502_of_caddy() {
    let caddy = need!(Parts::caddy());
    let world = world!();
    let front = Front::caddy(&caddy, &world, &nowhere()).await;
    a_502_that_is_no_refusal_of_keywards(&world, &front).await;
}
