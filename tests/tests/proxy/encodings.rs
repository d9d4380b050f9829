//! Compressed bodies are nobody's business on the way.

use keyward_tests::world;
use serde_json::json;

use crate::way::{DONE, Way};

#[tokio::test(flavor = "multi_thread")]
async fn compressed_answers_pass_byte_by_byte() {
    let way = Way::open(world!(), json!({})).await;
    let gzip: &[u8] = &[
        31, 139, 8, 0, 0, 0, 0, 0, 2, 255, 203, 72, 205, 201, 201, 87, 200, 64, 39, 0, 58, 78, 53,
        17, 17, 0, 0, 0,
    ];
    for (coding, bytes) in [
        ("gzip", gzip),
        ("br", &b"\x0b\x08\x80hello hello hello\x03"[..]),
        ("zstd", b"\x28\xb5\x2f\xfd"),
        ("gzip, br", b"no such thing"),
        ("deflate", b"\x78\x9c\x03"),
        ("identity", b"plain"),
        ("gzip", b"not gzip at all"),
    ] {
        let mut exchange = way.begin("GET /", &["Accept-Encoding: gzip, br"], "").await;
        assert_eq!(exchange.asked.header("accept-encoding"), Some("gzip, br"));
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\nETag: \"strong\"\r\n\r\n",
            bytes.len()
        );
        exchange
            .upstream
            .send([head.as_bytes(), bytes].concat())
            .await;
        let head = exchange.caller.head().await;
        assert_eq!(head.header("content-encoding"), Some(coding));
        assert_eq!(head.header("etag"), Some("\"strong\""));
        assert_eq!(exchange.caller.body(&head).await, bytes, "{coding}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_requests_pass_byte_by_byte() {
    let way = Way::open(world!(), json!({})).await;
    let headers = ["Content-Encoding: gzip", "Content-Length: 15"];
    let mut exchange = way.begin("POST /", &headers, "not gzip at all").await;
    assert_eq!(exchange.asked.header("content-encoding"), Some("gzip"));
    assert_eq!(exchange.upstream.bytes(15).await, b"not gzip at all");
    exchange.upstream.send(DONE).await;
    assert_eq!(exchange.caller.head().await.status(), 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gate_asks_for_no_coding_that_the_caller_did_not_ask_for() {
    let way = Way::open(world!(), json!({})).await;
    assert_eq!(way.asked(&[]).await.header("accept-encoding"), None);
    let asked = way.asked(&["Accept-Encoding: identity;q=1, *;q=0"]).await;
    assert_eq!(asked.header("accept-encoding"), Some("identity;q=1, *;q=0"));
}
