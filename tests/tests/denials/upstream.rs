//! Upstreams that do not answer.

use keyward_tests::{Answer, Call, PATIENCE, World, eventually, free_port, world};
use serde_json::json;

const APP: &str = "https://app.example.test";

fn settings(upstream: &str) -> serde_json::Value {
    json!({"upstream": upstream, "cors": {"allowedOrigins": [APP]}, "upstreamTimeoutMs": 100})
}

fn has_the_headers_of_an_actual_answer(answer: &Answer) {
    assert_eq!(answer.header("access-control-allow-origin"), Some(APP));
    assert_eq!(answer.header("x-ratelimit-limit"), Some("1000000000"));
    assert_eq!(answer.header("retry-after"), None);
}

async fn is_counted(world: &World, key: &str, code: &str) {
    eventually("the outcome is counted", PATIENCE, || async {
        let usage = world.admin.usage(key).await.unwrap();
        (usage.get(code) == Some(&1)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_out_of_reach_is_a_502_that_is_counted() {
    let world = world!();
    let host = "away.example.test";
    let nobody = format!("http://127.0.0.1:{}", free_port());
    world.api(host, settings(&nobody)).await;
    let key = world.key(json!({})).await;
    let call = Call::post("/v1/orders").host(host).key(&key.token);
    let answer = world.send(&call.origin(APP).body("order")).await;
    let body = answer.refusal(502, "upstream_unreachable");
    assert_eq!(body["detail"], "The API could not be reached");
    has_the_headers_of_an_actual_answer(&answer);
    is_counted(&world, &key.key.id, "upstream_unreachable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_takes_too_long_to_begin_is_a_504_that_is_counted() {
    let world = world!();
    let host = "slow.example.test";
    world.api(host, settings(&world.upstream.url())).await;
    let key = world.key(json!({})).await;
    let call = |path: &str| Call::get(path).host(host).origin(APP).key(&key.token);
    let answer = world.send(&call("/slow/20000")).await;
    let body = answer.refusal(504, "upstream_timeout");
    assert_eq!(body["detail"], "The API took too long to answer");
    has_the_headers_of_an_actual_answer(&answer);
    is_counted(&world, &key.key.id, "upstream_timeout").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_limit_ends_when_the_answer_begins() {
    let world = world!();
    let host = "stream.example.test";
    world.api(host, json!({"upstreamTimeoutMs": 1_000})).await;
    let key = world.key(json!({})).await;
    let call = Call::get("/stream/15/100").host(host).key(&key.token);
    let answer = world.send(&call).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.text().lines().count(), 15);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_upstream_itself_refuses_comes_through_as_it_is() {
    let world = world!();
    let key = world.key(json!({})).await;
    for status in [400, 401, 403, 404, 429, 500, 503] {
        let call = Call::get(&format!("/status/{status}")).key(&key.token);
        let answer = world.send(&call).await;
        assert_eq!((answer.status, answer.text().as_str()), (status, ""));
        assert_eq!(answer.header("www-authenticate"), None);
        assert!(answer.header("x-ratelimit-limit").is_some());
    }
}
