//! Headers that are too large, no text, or no headers at all.

use keyward_tests::{Answer, RawRequest, World, world};
use serde_json::json;

use crate::survival::Survival;

const GET: &str = "GET /v1/customers HTTP/1.1";

async fn send(world: &World, request: RawRequest) -> Answer {
    let answer = request.send(&world.edge.url()).await;
    answer.expect("an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn large_headers_pass_and_oversized_ones_are_refused_by_the_runtime() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    let good = RawRequest::new(GET).key(&survival.key.token);
    let large = format!("X-Large: {}", "a".repeat(100_000));
    let answer = send(&world, good.clone().header(large)).await;
    assert_eq!(answer.status, 200);
    let seen = world.upstream.last().expect("a request came through");
    assert_eq!(seen.headers["x-large"].len(), 100_000);
    let before = world.upstream.count();
    let oversized = format!("X-Large: {}", "a".repeat(1_000_000));
    let mut many = good.clone();
    for number in 0..20_000 {
        many = many.header(format!("X-{number}: a"));
    }
    for request in [good.header(oversized), many] {
        // It closes the connection while the rest is on its way, which may cut its answer off.
        let answer = request.send(&world.edge.url()).await;
        let status = answer.map(|answer| answer.status);
        assert!(matches!(status, None | Some(431)), "{status:?}");
    }
    assert_eq!(world.upstream.count(), before);
    survival.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_the_gate_reads_may_be_large_or_no_text() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    let token = &survival.key.token;
    let origins = json!({"allowedOrigins": ["https://shop.example.test"]});
    let by_origin = world.key(origins).await.token;
    let by_address = world.key(json!({"allowedIps": ["0.0.0.0/0"]})).await.token;
    let nonsense = [b"\xff\xfe\x80".to_vec(), "a".repeat(100_000).into_bytes()];
    for value in nonsense {
        let line = |name: &str| [name.as_bytes(), b": ", &value].concat();
        let get = |token: &str| RawRequest::new(GET).key(token);
        let answer = send(&world, get(token).header(line("Origin"))).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("access-control-allow-origin"), None);
        let answer = send(&world, get(&by_origin).header(line("Origin"))).await;
        answer.refusal(403, "origin_not_allowed");
        let answer = send(&world, get(&by_address).header(line("CF-Connecting-IP"))).await;
        answer.refusal(403, "ip_not_allowed");
        let preflight = RawRequest::new("OPTIONS /v1/customers HTTP/1.1")
            .header(line("Access-Control-Request-Method"));
        let answer = send(&world, preflight.clone().header(line("Origin"))).await;
        answer.refusal(403, "origin_not_allowed");
        let preflight = preflight
            .header("Origin: https://app.example.test")
            .header(line("Access-Control-Request-Headers"));
        let answer = send(&world, preflight).await;
        assert_eq!(answer.status, 204);
        assert_eq!(
            answer.header("access-control-allow-headers"),
            Some("Authorization, X-API-Key, Content-Type")
        );
    }
    survival.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_is_refused_by_the_runtime_and_reaches_nobody() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    let token = &survival.key.token;
    let before = world.upstream.count();
    let get = |line: &[u8]| RawRequest::new(GET).key(token).header(line);
    let line = |line: &[u8]| RawRequest::new(line).key(token);
    for (request, status) in [
        (get(b"X-Nul: a\0b"), 400),
        (get(b"X-Return: a\rb"), 400),
        (get(b"X Space: a"), 400),
        (get(b"X-Colon"), 400),
        (get(b": empty"), 400),
        (get(b"X-Fold: a\r\n b"), 400),
        (get(b"Content-Length: -1"), 400),
        (get(b"Content-Length: 99999999999999999999999"), 400),
        (get(b"Content-Length: 1\r\nContent-Length: 2"), 400),
        (get(b"Transfer-Encoding: bogus"), 400),
        (line(b"nonsense"), 400),
        (line(b"\x00\x01\x02\xff"), 400),
        (line(b"GET /v1/customers HTTP/2.0"), 400),
        (line(b"GET /v1/customers HTTP/9.9"), 400),
        (line(b"GET  /v1/customers HTTP/1.1"), 400),
        (line(b"BREW /v1/customers HTTP/1.1"), 501),
        (line(b"get /v1/customers HTTP/1.1"), 501),
        (line(b"CONNECT api.example.test:443 HTTP/1.1"), 500),
    ] {
        let shown = format!("{request:?}");
        let answer = send(&world, request).await;
        assert_eq!(answer.status, status, "{shown} {}", answer.text());
        assert!(!answer.text().contains(token.as_str()));
    }
    assert_eq!(world.upstream.count(), before);
    survival.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_can_not_smuggle_another_past_the_gate() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    let post = RawRequest::new("POST /v1/customers HTTP/1.1").key(&survival.key.token);
    let smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: api.example.test\r\n\r\n";
    for request in [
        post.clone()
            .header(format!("Content-Length: {}", smuggled.len()))
            .header("Transfer-Encoding: chunked")
            .tail(smuggled),
        post.clone()
            .header("Transfer-Encoding: chunked")
            .tail(smuggled),
        post.header("Content-Length: 0").tail(&smuggled[5..]),
    ] {
        let answer = send(&world, request).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["bodySize"], 0, "{}", answer.text());
    }
    let reached = world.upstream.requests();
    assert!(reached.iter().all(|seen| seen.target != "/smuggled"));
    survival.holds().await;
}
