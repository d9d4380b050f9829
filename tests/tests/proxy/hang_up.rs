//! Callers that hang up.
//!
//! They do so with a reset. Of a caller that closed in order the runtime, on its own, can't tell whether it still
//! listens (RFC 9112, section 9.6); Cloudflare's network can.

use std::time::Duration;

use keyward_tests::{PATIENCE, eventually, world};
use serde_json::json;
use tokio::time::timeout;

use crate::way::{Exchange, Way};

#[tokio::test(flavor = "multi_thread")]
async fn the_upstream_is_let_go_when_the_caller_hangs_up_before_the_answer() {
    let way = Way::open(world!(), json!({"upstreamTimeoutMs": 600_000})).await;
    let Exchange {
        caller,
        mut upstream,
        ..
    } = way.begin("GET /", &[], "").await;
    caller.reset();
    assert_eq!(upstream.rest().await, b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upstream_is_let_go_when_the_caller_hangs_up_in_the_middle_of_the_answer() {
    let way = Way::open(world!(), json!({})).await;
    let Exchange {
        mut caller,
        mut upstream,
        ..
    } = way.begin("GET /", &[], "").await;
    upstream
        .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        .await;
    assert_eq!(caller.head().await.status(), 200);
    assert_eq!(caller.chunk().await, b"abc");
    caller.reset();
    assert_eq!(upstream.rest().await, b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upstream_is_let_go_when_the_caller_hangs_up_in_the_middle_of_its_request() {
    let way = Way::open(world!(), json!({"upstreamTimeoutMs": 600_000})).await;
    let Exchange {
        caller,
        mut upstream,
        ..
    } = way.begin("POST /", &["Content-Length: 10"], "abc").await;
    assert_eq!(upstream.bytes(3).await, b"abc");
    caller.reset();
    assert_eq!(upstream.rest().await, b"");
}

/// Were it given an end, the upstream would take half an order for a whole one.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_breaks_off_has_no_end_for_the_upstream() {
    let way = Way::open(world!(), json!({"upstreamTimeoutMs": 600_000})).await;
    let long = "a".repeat(100_000);
    let length = format!("Content-Length: {}", 2 * long.len());
    let chunked = "Transfer-Encoding: chunked";
    let chunk = format!("{:x}\r\n{long}\r\n", long.len());
    let broken = format!("{chunk}zz\r\n\r\n");
    for (framing, body) in [
        ("Content-Length: 10", "abc"),
        (&length, &long),
        (chunked, "3\r\nabc\r\n"),
        (chunked, "3\r\nab"),
        (chunked, &chunk),
        (chunked, "zz\r\n\r\n"),
        (chunked, &broken),
    ] {
        let mut caller = way.connect().await;
        caller.send(way.head("POST /", &[framing]) + body).await;
        let mut upstream = way.upstream.accept().await;
        let begun = upstream.some().await;
        caller.reset();
        let rest = upstream.rest().await;
        let got = [begun, rest].concat();
        let shown = String::from_utf8_lossy(&got);
        assert!(!got.ends_with(b"0\r\n\r\n"), "{body:.20}: {shown:.900}");
        assert!(got.len() < 2 * long.len(), "{body:.20}: {}", got.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_caller_hung_up_is_counted_once_and_blames_nobody() {
    let way = Way::open(world!(), json!({"upstreamTimeoutMs": 600_000})).await;
    for (count, request) in [(1, "GET /"), (2, "POST /")] {
        let lines: &[&str] = if count == 1 {
            &[]
        } else {
            &["Content-Length: 10"]
        };
        let Exchange {
            caller,
            mut upstream,
            ..
        } = way.begin(request, lines, "").await;
        caller.reset();
        upstream.rest().await;
        eventually("it is counted", PATIENCE, || async {
            let usage = way.world.admin.usage(&way.key).await.unwrap();
            (usage.values().sum::<u64>() == count).then_some(())
        })
        .await;
    }
    let usage = way.world.admin.usage(&way.key).await.unwrap();
    assert_eq!(usage.get("ok"), Some(&2), "{usage:?}");
}

/// Only then does counting it begin work of its own, which must not keep the request going.
#[tokio::test(flavor = "multi_thread")]
async fn the_upstream_is_let_go_also_when_the_gate_has_nothing_else_to_do() {
    let way = Way::open(world!(), json!({"upstreamTimeoutMs": 600_000})).await;
    let (head, _) = way.answered("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(head.status(), 204);
    let mut exchange = way.begin("GET /", &[], "").await;
    eventually("nothing is left of the first request", PATIENCE, || async {
        let ledger = way.world.edge.storage().await.ledger(&way.key);
        let usage = way.world.admin.usage(&way.key).await.unwrap();
        (ledger.leased_out() == 0 && usage.get("ok") == Some(&1)).then_some(())
    })
    .await;
    exchange.caller.reset();
    let rest = timeout(Duration::from_secs(12), exchange.upstream.rest()).await;
    assert_eq!(rest.expect("the upstream is let go"), b"");
    eventually("it is counted", PATIENCE, || async {
        let usage = way.world.admin.usage(&way.key).await.unwrap();
        (usage.get("ok") == Some(&2)).then_some(())
    })
    .await;
}
