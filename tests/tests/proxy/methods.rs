//! Every method.

use keyward_tests::{RawRequest, free_port, world};
use serde_json::json;

use crate::way::{DONE, HOST, Way};

#[tokio::test(flavor = "multi_thread")]
async fn every_method_of_http_reaches_the_upstream_as_it_is() {
    let way = Way::open(world!(), json!({})).await;
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let mut exchange = way.begin(&format!("{method} /thing"), &[], "").await;
        assert_eq!(exchange.asked.method(), method);
        exchange.upstream.send(DONE).await;
        assert_eq!(exchange.caller.head().await.status(), 204, "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_go_with_every_method_that_may_have_one() {
    let way = Way::open(world!(), json!({})).await;
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let request = format!("{method} /thing");
        let mut exchange = way.begin(&request, &["Content-Length: 5"], "hello").await;
        assert_eq!(
            exchange.asked.header("content-length"),
            Some("5"),
            "{method}"
        );
        assert_eq!(exchange.upstream.bytes(5).await, b"hello");
        exchange.upstream.send(DONE).await;
        assert_eq!(exchange.caller.head().await.status(), 204, "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_that_the_runtime_knows_beside_those_of_http_pass_too() {
    let way = Way::open(world!(), json!({})).await;
    for method in [
        "PROPFIND", "MKCOL", "MOVE", "LOCK", "REPORT", "PURGE", "QUERY",
    ] {
        let mut exchange = way.begin(&format!("{method} /thing"), &[], "").await;
        assert_eq!(exchange.asked.method(), method);
        exchange.upstream.send(DONE).await;
        assert_eq!(exchange.caller.head().await.status(), 204, "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_a_body_is_not_given_one() {
    let way = Way::open(world!(), json!({})).await;
    let zero = &["Content-Length: 0"][..];
    for (method, lines, length) in [
        ("GET", &[][..], None),
        ("HEAD", &[], None),
        // The runtime says it of every method but GET and HEAD.
        ("DELETE", &[], Some("0")),
        ("POST", &[], Some("0")),
        ("POST", zero, Some("0")),
        ("PUT", zero, Some("0")),
    ] {
        let mut exchange = way.begin(&format!("{method} /thing"), lines, "").await;
        let asked = &exchange.asked;
        assert_eq!(asked.header("content-length"), length, "{method}");
        assert_eq!(asked.header("transfer-encoding"), None, "{method}");
        exchange.upstream.send(DONE).await;
        assert_eq!(exchange.caller.head().await.status(), 204, "{method}");
    }
}

/// An upstream that answers TRACE would show the caller what the gate adds for the upstream alone.
#[tokio::test(flavor = "multi_thread")]
async fn trace_is_refused_and_reaches_nobody() {
    let way = Way::open(
        world!(),
        json!({"upstream": format!("http://127.0.0.1:{}", free_port())}),
    )
    .await;
    let request = RawRequest::without_host("TRACE / HTTP/1.1")
        .header(format!("Host: {HOST}"))
        .key(&way.token);
    let answer = request.send(&way.world.edge.url()).await;
    let answer = answer.expect("an answer");
    answer.refusal(405, "unknown_route");
    assert!(
        answer
            .header("allow")
            .is_some_and(|allow| !allow.contains("TRACE"))
    );
}

/// The runtime makes no such request; the caller is told so.
#[tokio::test(flavor = "multi_thread")]
async fn a_get_with_a_body_is_answered_as_what_no_upstream_gets() {
    let way = Way::open(world!(), json!({})).await;
    let request = RawRequest::without_host("GET /thing HTTP/1.1")
        .header(format!("Host: {HOST}"))
        .key(&way.token)
        .body("hello");
    let answer = request.send(&way.world.edge.url()).await;
    answer
        .expect("an answer")
        .refusal(502, "upstream_unreachable");
}
