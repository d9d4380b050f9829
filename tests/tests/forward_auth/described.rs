//! `GET /.keyward/verify` itself: how a request is described in headers.

use keyward_tests::{API_HOST, Answer, Call, STAGING_HOST, World, world};
use serde_json::json;

/// A proxy's question about the request that these headers describe.
pub fn ask(headers: &[(&str, &str)]) -> Call {
    let ask = Call::get("/.keyward/verify");
    headers
        .iter()
        .fold(ask, |ask, (name, value)| ask.header(name, value))
}

/// A proxy's question about a request to the demo API.
pub fn ask_about(method: &str, uri: &str) -> Call {
    ask(&[("x-forwarded-method", method), ("x-forwarded-uri", uri)])
}

/// Asserts the answer that lets a request pass.
pub fn admitted(answer: &Answer) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.text(), "");
}

/// A key that may read customers.
pub async fn reader(world: &World) -> String {
    let settings = json!({"permissions": ["customers.read"]});
    world.key(settings).await.token
}

/// Header fields of a question.
type Described<'a> = &'a [(&'a str, &'a str)];

/// Questions of a key that may read customers: each part of a description makes another decision.
const REFUSED: [(Described<'_>, u16, &str); 7] = [
    (
        &[
            ("x-forwarded-method", "POST"),
            ("x-forwarded-uri", "/v1/customers"),
        ],
        403,
        "insufficient_permission",
    ),
    (
        &[
            ("x-original-method", "POST"),
            ("x-original-uri", "/v1/customers"),
        ],
        403,
        "insufficient_permission",
    ),
    (
        &[
            ("x-forwarded-method", "GET"),
            ("x-forwarded-uri", "/v1/accounts/acc_00000000/agents"),
        ],
        403,
        "account_not_allowed",
    ),
    (
        &[
            ("x-forwarded-method", "GET"),
            ("x-forwarded-uri", "/v1/customers"),
            ("x-forwarded-host", STAGING_HOST),
        ],
        401,
        "wrong_environment",
    ),
    (
        &[
            ("x-original-method", "GET"),
            ("x-original-uri", "/v1/customers"),
            ("x-original-host", STAGING_HOST),
        ],
        401,
        "wrong_environment",
    ),
    (
        &[
            ("x-original-method", "GET"),
            ("x-original-url", "http://staging.example.test/v1/customers"),
        ],
        401,
        "wrong_environment",
    ),
    // What proxies set themselves stands over what a caller may have sent along.
    (
        &[
            ("x-forwarded-method", "POST"),
            ("x-original-method", "GET"),
            ("x-forwarded-uri", "/v1/customers"),
            ("x-original-uri", "/v1/anything"),
            ("x-original-url", "http://staging.example.test/v1/anything"),
        ],
        403,
        "insufficient_permission",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_request_is_described_in_the_words_of_nginx_caddy_and_traefik() {
    let world = world!();
    let key = reader(&world).await;
    let at = |headers: Described<'_>| ask(headers).key(&key);
    let url = format!("https://{API_HOST}/v1/customers?x=1");
    for headers in [
        [
            ("x-forwarded-method", "GET"),
            ("x-forwarded-uri", "/v1/customers?x=1"),
        ],
        [
            ("x-original-method", "GET"),
            ("x-original-uri", "/v1/customers"),
        ],
        [
            ("x-original-method", "GET"),
            ("x-original-url", url.as_str()),
        ],
    ] {
        admitted(&world.send(&at(&headers)).await);
    }
    for (headers, status, code) in REFUSED {
        let answer = world.send(&at(headers)).await;
        answer.refusal(status, code);
        assert_eq!(answer.header("x-keyward-code"), Some(code), "{headers:?}");
    }
    assert_eq!(world.upstream.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_whole_description_admits_nobody() {
    let world = world!();
    let key = world.key(json!({})).await.token;
    for headers in [
        vec![],
        vec![("x-forwarded-method", "GET")],
        vec![("x-forwarded-uri", "/v1/customers")],
        vec![("x-forwarded-method", ""), ("x-forwarded-uri", "/")],
        vec![("x-forwarded-method", "G T"), ("x-forwarded-uri", "/")],
        vec![
            ("x-forwarded-method", "GET, POST"),
            ("x-forwarded-uri", "/"),
        ],
        // Some APIs would take it for POST.
        vec![("x-forwarded-method", "post"), ("x-forwarded-uri", "/")],
        vec![
            ("x-forwarded-method", "GET"),
            ("x-forwarded-uri", "v1/customers"),
        ],
        vec![
            ("x-forwarded-method", "GET"),
            ("x-forwarded-uri", "http://api.example.test/"),
        ],
        vec![("x-forwarded-method", "GET"), ("x-forwarded-uri", "")],
        vec![
            ("x-forwarded-method", "GET"),
            ("x-forwarded-uri", "/v1/x#/customers"),
        ],
        vec![
            ("x-forwarded-method", "GET"),
            ("x-forwarded-uri", "/v1/../customers"),
        ],
        vec![
            ("x-forwarded-method", "GET"),
            ("x-forwarded-uri", "/v1%2Fcustomers"),
        ],
        vec![
            ("x-forwarded-method", "GET"),
            ("x-original-url", "/v1/customers"),
        ],
        vec![
            ("x-forwarded-method", "GET"),
            ("x-original-url", "http://me@api.example.test/v1/customers"),
        ],
        vec![
            ("x-forwarded-method", "GET"),
            ("x-forwarded-uri", "/"),
            ("x-forwarded-host", "two hosts"),
        ],
    ] {
        let answer = world.send(&ask(&headers).key(&key)).await;
        let body = answer.problem(400, "bad_request");
        assert!(body["detail"].is_string(), "{headers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_callers_address_is_the_last_that_the_proxy_names() {
    let world = world!();
    let key = world
        .key(json!({"allowedIps": ["203.0.113.0/24", "2001:db8::/32"]}))
        .await;
    let from = |headers: &[(&str, &str)]| {
        let ask = ask_about("GET", "/v1/customers").key(&key.token);
        headers
            .iter()
            .fold(ask, |ask, (name, value)| ask.header(name, value))
    };
    for headers in [
        vec![("x-real-ip", "203.0.113.7")],
        vec![("x-real-ip", "2001:db8::7")],
        vec![("x-forwarded-for", "203.0.113.7")],
        vec![("x-forwarded-for", "198.51.100.1, 203.0.113.7")],
        vec![
            ("x-forwarded-for", "198.51.100.1"),
            ("x-forwarded-for", "203.0.113.7"),
        ],
        vec![
            ("x-real-ip", "203.0.113.7"),
            ("x-forwarded-for", "198.51.100.1"),
        ],
    ] {
        let answer = world.send(&from(&headers)).await;
        assert_eq!(answer.status, 200, "{headers:?} {}", answer.text());
    }
    for headers in [
        vec![],
        vec![("x-real-ip", "198.51.100.1")],
        vec![
            ("x-real-ip", "nonsense"),
            ("x-forwarded-for", "203.0.113.7"),
        ],
        vec![("x-forwarded-for", "203.0.113.7, 198.51.100.1")],
        vec![("x-forwarded-for", "203.0.113.7, ")],
        vec![
            ("x-real-ip", "198.51.100.1"),
            ("x-forwarded-for", "203.0.113.7"),
        ],
    ] {
        let answer = world.send(&from(&headers)).await;
        answer.refusal(403, "ip_not_allowed");
    }
}
