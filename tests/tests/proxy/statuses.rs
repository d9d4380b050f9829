//! Answers that are more or less than a body.

use keyward_tests::world;
use serde_json::json;

use crate::way::{Way, ok};

#[tokio::test(flavor = "multi_thread")]
async fn head_keeps_the_length_and_has_no_body() {
    let way = Way::open(world!(), json!({})).await;
    let mut exchange = way.begin("HEAD /", &[], "").await;
    let answer =
        "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\nContent-Type: text/x\r\nETag: \"a\"\r\n\r\n";
    exchange.upstream.send(answer).await;
    let head = exchange.caller.head().await;
    assert_eq!(head.status(), 200);
    assert_eq!(head.header("content-length"), Some("12345"));
    assert_eq!(head.header("content-type"), Some("text/x"));
    assert_eq!(head.header("etag"), Some("\"a\""));
    // The next answer on this connection begins where this one ends.
    exchange.caller.send(way.head("GET /", &[])).await;
    exchange.upstream.head().await;
    exchange.upstream.send(ok(&[], "next")).await;
    let head = exchange.caller.head().await;
    assert_eq!(exchange.caller.body(&head).await, b"next");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_content_has_neither_body_nor_length() {
    let way = Way::open(world!(), json!({})).await;
    let (head, _) = way
        .answered("HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n")
        .await;
    assert_eq!(head.status(), 204);
    assert_eq!(head.header("x-a"), Some("b"));
    assert_eq!(head.header("content-length"), None);
    assert_eq!(head.header("transfer-encoding"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn conditional_requests_and_304_pass() {
    let way = Way::open(world!(), json!({})).await;
    let conditions = [
        "If-None-Match: W/\"a\", \"b\"",
        "If-Modified-Since: Sat, 21 Nov 2026 00:00:00 GMT",
    ];
    let mut exchange = way.begin("GET /", &conditions, "").await;
    assert_eq!(
        exchange.asked.header("if-none-match"),
        Some("W/\"a\", \"b\"")
    );
    assert_eq!(
        exchange.asked.header("if-modified-since"),
        Some("Sat, 21 Nov 2026 00:00:00 GMT")
    );
    let answer = "HTTP/1.1 304 Not Modified\r\nETag: \"b\"\r\nCache-Control: max-age=60\r\n\r\n";
    exchange.upstream.send(answer).await;
    let head = exchange.caller.head().await;
    assert_eq!(head.status(), 304);
    assert_eq!(head.header("etag"), Some("\"b\""));
    assert_eq!(head.header("cache-control"), Some("max-age=60"));
    assert_eq!(head.header("transfer-encoding"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_pass_both_ways() {
    let way = Way::open(world!(), json!({})).await;
    let mut exchange = way
        .begin("GET /", &["Range: bytes=2-4", "If-Range: \"a\""], "")
        .await;
    assert_eq!(exchange.asked.header("range"), Some("bytes=2-4"));
    assert_eq!(exchange.asked.header("if-range"), Some("\"a\""));
    let answer = "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-4/9\r\nAccept-Ranges: bytes\r\nContent-Length: 3\r\n\r\ncde";
    exchange.upstream.send(answer).await;
    let head = exchange.caller.head().await;
    assert_eq!(head.status(), 206);
    assert_eq!(head.header("content-range"), Some("bytes 2-4/9"));
    assert_eq!(head.header("accept-ranges"), Some("bytes"));
    assert_eq!(exchange.caller.body(&head).await, b"cde");
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_the_callers_to_follow() {
    let way = Way::open(world!(), json!({})).await;
    for status in [300, 301, 302, 303, 307, 308] {
        let elsewhere = format!("{}/elsewhere", way.upstream.url());
        for to in [elsewhere.as_str(), "/else?where#there", "../else"] {
            let answer = format!(
                "HTTP/1.1 {status} Else\r\nLocation: {to}\r\nContent-Length: 4\r\n\r\nelse"
            );
            let (head, body) = way.answered(&answer).await;
            assert_eq!(head.status(), status);
            assert_eq!(head.header("location"), Some(to));
            assert_eq!(body, b"else");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statuses_that_nobody_has_heard_of_pass() {
    let way = Way::open(world!(), json!({})).await;
    for status in [207, 226, 299, 418, 451, 499, 511, 599] {
        let answer = format!("HTTP/1.1 {status} Strange Reason\r\nContent-Length: 1\r\n\r\nx");
        let (head, body) = way.answered(&answer).await;
        assert_eq!(head.line, format!("HTTP/1.1 {status} Strange Reason"));
        assert_eq!(body, b"x");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn interim_answers_are_dropped_and_the_final_one_passes() {
    let way = Way::open(world!(), json!({})).await;
    let answer = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfinal";
    let (head, body) = way.answered(answer).await;
    assert_eq!(head.line, "HTTP/1.1 200 OK");
    assert_eq!(body, b"final");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_expects_100_continue_gets_it_and_its_body_passes() {
    let way = Way::open(world!(), json!({})).await;
    let headers = ["Content-Length: 5", "Expect: 100-continue"];
    let mut exchange = way.begin("POST /", &headers, "").await;
    assert_eq!(exchange.asked.header("expect"), Some("100-continue"));
    let interim = exchange.caller.head().await;
    assert_eq!(interim.status(), 100);
    exchange.caller.send("hello").await;
    exchange
        .upstream
        .send("HTTP/1.1 100 Continue\r\n\r\n")
        .await;
    assert_eq!(exchange.upstream.bytes(5).await, b"hello");
    exchange.upstream.send(ok(&[], "done")).await;
    let head = exchange.caller.head().await;
    assert_eq!(head.status(), 200);
    assert_eq!(exchange.caller.body(&head).await, b"done");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_ends_with_the_connection_is_whole() {
    let way = Way::open(world!(), json!({})).await;
    let mut exchange = way.begin("GET /", &[], "").await;
    exchange
        .upstream
        .send("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold but whole")
        .await;
    drop(exchange.upstream);
    let head = exchange.caller.head().await;
    assert_eq!(exchange.caller.body(&head).await, b"old but whole");
}
