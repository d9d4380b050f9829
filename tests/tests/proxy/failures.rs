//! Upstreams that fail.

use std::time::Duration;

use keyward_tests::{Answer, Call, free_port, world};
use serde_json::json;

use crate::way::{APP, DONE, HOST, Way};

async fn refused(way: &Way, host: &str, status: u16, code: &str) -> Answer {
    let call = Call::get("/").host(host).key(&way.token).origin(APP);
    let answer = way.world.send(&call).await;
    answer.refusal(status, code);
    assert_eq!(answer.header("access-control-allow-origin"), Some(APP));
    assert!(answer.header("x-ratelimit-limit").is_some());
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_where_nobody_listens_is_a_502() {
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let way = Way::open(world!(), json!({"upstream": nobody})).await;
    refused(&way, HOST, 502, "upstream_unreachable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_does_not_speak_tls_is_a_502() {
    let way = Way::open(world!(), json!({})).await;
    let url = way.upstream.url().replace("http:", "https:");
    let host = "tls.example.test";
    let settings = json!({"upstream": url, "cors": {"allowedOrigins": [APP]}});
    way.world.api(host, settings).await;
    let plain = async {
        let mut upstream = way.upstream.accept().await;
        // The gate may have closed already.
        let _ = upstream.try_send("HTTP/1.1 400 Bad Request\r\n\r\n").await;
        upstream.rest().await;
    };
    tokio::join!(refused(&way, host, 502, "upstream_unreachable"), plain);
}

/// A resolver that is out of reach itself lets one wait, so that the limit may come first.
#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_whose_name_does_not_exist_is_a_502_or_a_504() {
    let settings =
        json!({"upstream": "http://does-not-exist.invalid", "upstreamTimeoutMs": 10_000});
    let way = Way::open(world!(), settings).await;
    let call = Call::get("/").host(HOST).key(&way.token).origin(APP);
    let answer = way.world.send(&call).await;
    match answer.status {
        504 => answer.refusal(504, "upstream_timeout"),
        _ => answer.refusal(502, "upstream_unreachable"),
    };
    assert_eq!(answer.header("access-control-allow-origin"), Some(APP));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_breaks_off_before_its_answer_is_a_502() {
    let way = Way::open(world!(), json!({})).await;
    for (beginning, reset) in [
        ("", false),
        ("", true),
        ("HTTP/1.1 200 OK\r\nX-A: b\r\nX-", false),
        ("HTTP/1.1 200 OK\r\nX-A: b\r\nX-", true),
        ("nonsense\r\n\r\n", false),
        ("SSH-2.0-OpenSSH_9.2\r\n", false),
    ] {
        let answer = refused(&way, HOST, 502, "upstream_unreachable");
        let serve = async {
            let mut upstream = way.upstream.accept().await;
            upstream.head().await;
            upstream.send(beginning).await;
            if reset {
                upstream.reset();
            } else {
                drop(upstream);
            }
        };
        tokio::join!(answer, serve);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_is_seen_to_be_cut_by_the_caller() {
    let way = Way::open(world!(), json!({})).await;
    for framing in ["Content-Length: 10", "Transfer-Encoding: chunked"] {
        for reset in [false, true] {
            let mut exchange = way.begin("GET /", &[], "").await;
            let body = if framing.starts_with('C') {
                "abc"
            } else {
                "3\r\nabc\r\n"
            };
            exchange
                .upstream
                .send(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{body}"))
                .await;
            assert_eq!(exchange.caller.head().await.status(), 200);
            exchange.caller.bytes(body.len()).await;
            if reset {
                exchange.upstream.reset();
            } else {
                drop(exchange.upstream);
            }
            let rest = exchange.caller.rest().await;
            assert_eq!(rest, b"", "{framing}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_does_not_answer_in_time_is_a_504_and_is_let_go() {
    let way = Way::open(world!(), json!({"upstreamTimeoutMs": 100})).await;
    for beginning in ["", "HTTP/1.1 200 OK\r\nX-A: "] {
        let answer = refused(&way, HOST, 504, "upstream_timeout");
        let serve = async {
            let mut upstream = way.upstream.accept().await;
            upstream.head().await;
            upstream.send(beginning).await;
            upstream.rest().await;
        };
        tokio::join!(answer, serve);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_takes_longer_to_arrive_than_the_time_limit_is_no_time_out() {
    const LIMIT: Duration = Duration::from_secs(6);
    const PIECES: usize = 30;
    let settings = json!({"upstreamTimeoutMs": LIMIT.as_millis() as u64});
    let way = Way::open(world!(), settings).await;
    let piece = "a".repeat(10_000);
    let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
    let length = format!("Content-Length: {}", PIECES * piece.len());
    let mut known = way.begin("POST /", &[&length], "").await;
    let chunked = ["Transfer-Encoding: chunked"];
    let mut unknown = way.begin("POST /", &chunked, "").await;
    for _ in 0..PIECES {
        tokio::time::sleep(LIMIT / 20).await;
        known.caller.send(&piece).await;
        unknown.caller.send(&chunk).await;
    }
    unknown.caller.send("0\r\n\r\n").await;
    for mut exchange in [known, unknown] {
        let body = exchange.upstream.body(&exchange.asked).await;
        assert_eq!(body.len(), PIECES * piece.len());
        exchange.upstream.send(DONE).await;
        assert_eq!(exchange.caller.head().await.status(), 204);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_silent_after_a_long_request_is_a_504() {
    let way = Way::open(world!(), json!({"upstreamTimeoutMs": 100})).await;
    let body = "a".repeat(200_000);
    let length = format!("Content-Length: {}", body.len());
    let mut exchange = way.begin("POST /", &[&length], &body).await;
    assert_eq!(
        exchange.upstream.body(&exchange.asked).await.len(),
        body.len()
    );
    assert_eq!(exchange.caller.head().await.status(), 504);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_answers_with_too_many_headers_is_a_502() {
    let way = Way::open(world!(), json!({})).await;
    let answer = refused(&way, HOST, 502, "upstream_unreachable");
    let serve = async {
        let mut upstream = way.upstream.accept().await;
        upstream.head().await;
        let _ = upstream
            .try_send(format!(
                "HTTP/1.1 200 OK\r\nX: {}\r\n\r\n",
                "a".repeat(2_000_000)
            ))
            .await;
    };
    tokio::join!(answer, serve);
}
