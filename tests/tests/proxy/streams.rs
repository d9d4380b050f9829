//! Bodies are passed on as they come.

use keyward_tests::world;
use serde_json::json;

use crate::way::{DONE, Way};

#[tokio::test(flavor = "multi_thread")]
async fn the_first_byte_of_an_answer_arrives_before_the_last_is_sent() {
    let way = Way::open(world!(), json!({})).await;
    let mut exchange = way.begin("GET /", &[], "").await;
    exchange
        .upstream
        .send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
        .await;
    assert_eq!(
        exchange.caller.head().await.header("content-length"),
        Some("6")
    );
    for byte in ["a", "b", "c", "d", "e", "f"] {
        exchange.upstream.send(byte).await;
        assert_eq!(exchange.caller.bytes(1).await, byte.as_bytes());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_byte_of_a_request_arrives_before_the_last_is_sent() {
    let way = Way::open(world!(), json!({})).await;
    let mut exchange = way.begin("POST /", &["Content-Length: 6"], "").await;
    assert_eq!(exchange.asked.header("content-length"), Some("6"));
    for byte in ["a", "b", "c", "d", "e", "f"] {
        exchange.caller.send(byte).await;
        assert_eq!(exchange.upstream.bytes(1).await, byte.as_bytes());
    }
    exchange.upstream.send(DONE).await;
    assert_eq!(exchange.caller.head().await.status(), 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_unknown_length_flow_chunk_by_chunk_in_both_directions_at_once() {
    let way = Way::open(world!(), json!({})).await;
    let chunked = "Transfer-Encoding: chunked";
    let mut exchange = way.begin("POST /", &[chunked], "").await;
    assert_eq!(exchange.asked.header("transfer-encoding"), Some("chunked"));
    assert_eq!(exchange.asked.header("content-length"), None);
    let answer = format!("HTTP/1.1 200 OK\r\n{chunked}\r\n\r\n");
    exchange.upstream.send(answer).await;
    let head = exchange.caller.head().await;
    assert_eq!(head.header("transfer-encoding"), Some("chunked"));
    for word in ["one", "two", "three"] {
        let chunk = format!("{:x}\r\n{word}\r\n", word.len());
        exchange.caller.send(&chunk).await;
        assert_eq!(exchange.upstream.chunk().await, word.as_bytes());
        exchange.upstream.send(&chunk).await;
        assert_eq!(exchange.caller.chunk().await, word.as_bytes());
    }
    exchange.caller.send("0\r\n\r\n").await;
    assert!(exchange.upstream.chunk().await.is_empty());
    exchange.upstream.send("0\r\n\r\n").await;
    assert!(exchange.caller.chunk().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn server_sent_events_arrive_one_by_one() {
    let way = Way::open(world!(), json!({})).await;
    let mut exchange = way
        .begin(
            "GET /events",
            &["Accept: text/event-stream", "Last-Event-ID: 6"],
            "",
        )
        .await;
    assert_eq!(exchange.asked.header("accept"), Some("text/event-stream"));
    assert_eq!(exchange.asked.header("last-event-id"), Some("6"));
    let answer = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nX-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\n\r\n";
    exchange.upstream.send(answer).await;
    let head = exchange.caller.head().await;
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    assert_eq!(head.header("cache-control"), Some("no-cache"));
    assert_eq!(head.header("x-accel-buffering"), Some("no"));
    for id in 7..10 {
        let event = format!("id: {id}\ndata: {{\"n\":{id}}}\n\n");
        exchange
            .upstream
            .send(format!("{:x}\r\n{event}\r\n", event.len()))
            .await;
        assert_eq!(exchange.caller.chunk().await, event.as_bytes());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_may_come_before_the_request_is_all_there() {
    let way = Way::open(world!(), json!({})).await;
    for framing in [
        "Content-Length: 6",
        "Content-Length: 200000",
        "Transfer-Encoding: chunked",
    ] {
        let begun = if framing.starts_with('T') {
            "3\r\nabc\r\n"
        } else {
            "abc"
        };
        let mut exchange = way.begin("POST /", &[framing], begun).await;
        assert_eq!(exchange.upstream.bytes(begun.len()).await, begun.as_bytes());
        let head = "HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\nConnection: close\r\n\r\n";
        exchange.upstream.send(format!("{head}no")).await;
        let head = exchange.caller.head().await;
        assert_eq!(head.status(), 413, "{framing}");
        assert_eq!(exchange.caller.bytes(2).await, b"no");
        // The caller goes on, and gets the rest all the same.
        exchange.caller.send(begun).await;
        exchange.upstream.send("no").await;
        drop(exchange.upstream);
        assert_eq!(exchange.caller.bytes(2).await, b"no", "{framing}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_end_at_the_gate_and_the_body_is_whole() {
    let way = Way::open(world!(), json!({})).await;
    let body = "3\r\nabc\r\n0\r\nX-Checksum: 1\r\n\r\n";
    let mut exchange = way
        .begin(
            "POST /",
            &[
                "Transfer-Encoding: chunked",
                "Trailer: X-Checksum",
                "TE: trailers",
            ],
            body,
        )
        .await;
    assert_eq!(exchange.asked.header("trailer"), None);
    assert_eq!(exchange.asked.header("te"), None);
    assert_eq!(exchange.upstream.chunk().await, b"abc");
    assert!(exchange.upstream.chunk().await.is_empty());
    assert_eq!(exchange.upstream.line().await, "");
    let answer = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Checksum\r\n\r\n{body}"
    );
    exchange.upstream.send(answer).await;
    let head = exchange.caller.head().await;
    assert_eq!(head.header("trailer"), None);
    assert_eq!(exchange.caller.chunk().await, b"abc");
    assert!(exchange.caller.chunk().await.is_empty());
    assert_eq!(exchange.caller.line().await, "");
}
