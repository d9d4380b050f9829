//! Absurd hosts.

use keyward_tests::{Answer, RawRequest, World, world};

use crate::survival::Survival;

const GET: &str = "GET /v1/customers HTTP/1.1";

async fn with_host(world: &World, token: &str, host: &[u8]) -> Answer {
    let line = [b"Host: ", host].concat();
    let request = RawRequest::without_host(GET).header(line).key(token);
    let answer = request.send(&world.edge.url()).await;
    answer.expect("an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_can_be_none_is_a_bad_request_and_an_unknown_one_is_not_found() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    let token = &survival.key.token;
    let before = world.upstream.count();
    let long = "a".repeat(10_000);
    for host in [
        "a b",
        "user@api.example.test",
        "*",
        "..",
        ".api.example.test",
        ":8080",
        "%61pi.example.test",
        "api.example.test, elsewhere.test",
        &long,
        "[::1",
        "]",
        "api.example.test:-1",
    ] {
        let answer = with_host(&world, token, host.as_bytes()).await;
        let body = answer.refusal(400, "bad_request");
        assert_eq!(body["detail"], "The Host header is not a host", "{host}");
    }
    for host in [
        "elsewhere.test",
        "test",
        "xn--",
        "999.1.1.1",
        "0x7f.1",
        "api.example.test.elsewhere.test",
        "a.b.c.d.e.f.g.h.i.j.k.l.m.n.api.example.test",
    ] {
        let answer = with_host(&world, token, host.as_bytes()).await;
        answer.refusal(404, "unknown_api");
    }
    assert_eq!(world.upstream.count(), before);
    survival.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_host_two_hosts_and_hosts_that_are_no_text_reach_nobody() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    let token = &survival.key.token;
    let before = world.upstream.count();
    for host in [
        &b""[..],
        b"\xff\xfe",
        b"api.example.test\x80",
        b"\xc3\xa4.test",
    ] {
        let answer = with_host(&world, token, host).await;
        assert_eq!(answer.status, 400, "{host:?} {}", answer.text());
    }
    let without = RawRequest::without_host(GET).key(token);
    let answer = without.send(&world.edge.url()).await.expect("an answer");
    assert_eq!(answer.status, 400, "{}", answer.text());
    for second in ["elsewhere.test", "api.example.test"] {
        let request = RawRequest::new(GET).key(token);
        let request = request.header(format!("Host: {second}"));
        let answer = request.send(&world.edge.url()).await.expect("an answer");
        answer.refusal(400, "bad_request");
    }
    assert_eq!(world.upstream.count(), before);
    survival.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_with_a_path_in_it_is_judged_by_the_path_that_the_upstream_will_see() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    let answer = with_host(&world, &survival.key.token, b"api.example.test/x").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = world.upstream.last().expect("a request came through");
    let assertion = seen.headers["x-keyward-assertion"].to_str().unwrap();
    let claims = assertion.split('.').nth(1).expect("three parts");
    let claims = base64_json(claims);
    assert_eq!(claims["path"], seen.target.as_str());
    survival.holds().await;
}

fn base64_json(text: &str) -> serde_json::Value {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text);
    serde_json::from_slice(&bytes.expect("base64")).expect("JSON")
}
