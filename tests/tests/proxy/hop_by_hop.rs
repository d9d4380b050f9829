//! Headers that concern one hop only (RFC 9110, section 7.6.1).

use keyward_tests::world;
use serde_json::json;

use crate::way::{Way, ok};

const OF_ONE_HOP: [&str; 6] = [
    "Keep-Alive: timeout=5",
    "Proxy-Authorization: Basic YTpi",
    "Proxy-Authenticate: Basic",
    "Proxy-Connection: keep-alive",
    "TE: gzip",
    "Upgrade: h2c",
];

/// What must not go on, in either direction.
const ENDS_HERE: [&str; 9] = [
    "keep-alive",
    "proxy-authorization",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "upgrade",
    "x-hop",
    "x-other-hop",
    "connection",
];

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_one_hop_and_those_named_in_connection_do_not_reach_the_upstream() {
    let way = Way::open(world!(), json!({})).await;
    let mut lines = OF_ONE_HOP.to_vec();
    lines.extend([
        "Connection: keep-alive, X-Hop,  x-other-hop ",
        "Connection: X-Second",
        "X-Hop: a",
        "X-Other-Hop: b",
        "X-Second: c",
        "X-End: d",
    ]);
    let asked = way.asked(&lines).await;
    for name in ENDS_HERE.into_iter().chain(["x-second"]) {
        assert_eq!(asked.header(name), None, "{name}");
    }
    assert_eq!(asked.header("x-end"), Some("d"));
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_one_hop_and_those_named_in_connection_do_not_reach_the_caller() {
    let way = Way::open(world!(), json!({})).await;
    let mut lines = OF_ONE_HOP.to_vec();
    lines.extend([
        "Connection: X-Hop, x-other-hop",
        "X-Hop: a",
        "X-Other-Hop: b",
        "X-End: d",
        "Proxy-Status: kept",
    ]);
    let (head, body) = way.answered(&ok(&lines, "body")).await;
    for name in ENDS_HERE {
        assert_eq!(head.header(name), None, "{name}");
    }
    assert_eq!(head.header("x-end"), Some("d"));
    assert_eq!(head.header("proxy-status"), Some("kept"));
    assert_eq!(body, b"body");
}

#[tokio::test(flavor = "multi_thread")]
async fn naming_an_identity_header_in_connection_does_not_remove_it() {
    let way = Way::open(world!(), json!({})).await;
    let asked = way
        .asked(&["Connection: x-keyward-key-id, x-keyward-assertion, x-forwarded-host"])
        .await;
    assert_eq!(asked.header("x-keyward-key-id"), Some(way.key.as_str()));
    assert!(asked.header("x-keyward-assertion").is_some());
    assert!(asked.header("x-forwarded-host").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_closes_its_connection_does_not_close_the_callers() {
    let way = Way::open(world!(), json!({})).await;
    let mut exchange = way.begin("GET /", &[], "").await;
    exchange
        .upstream
        .send(ok(&["Connection: close"], "one"))
        .await;
    drop(exchange.upstream);
    let head = exchange.caller.head().await;
    assert_eq!(exchange.caller.body(&head).await, b"one");
    exchange.caller.send(way.head("GET /", &[])).await;
    let mut upstream = way.upstream.accept().await;
    upstream.head().await;
    upstream.send(ok(&[], "two")).await;
    let head = exchange.caller.head().await;
    assert_eq!(exchange.caller.body(&head).await, b"two");
}
