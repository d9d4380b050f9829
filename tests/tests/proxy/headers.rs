//! End-to-end headers.

use keyward_tests::{Head, world};
use serde_json::json;

use crate::way::{Way, ok};

/// The headers that a test made up, by name.
fn of_the_test(head: &Head) -> Vec<(String, String)> {
    let lines = head.headers.iter();
    let ours = lines.filter(|(name, _)| name.to_lowercase().starts_with("x-test"));
    let mut ours: Vec<(String, String)> = ours.cloned().collect();
    // A stable sort: lines of one name stay as they are.
    ours.sort_by(|(a, _), (b, _)| a.cmp(b));
    ours
}

/// Among headers of different names order means nothing (RFC 9110, section 5.3); the runtime sorts them.
#[tokio::test(flavor = "multi_thread")]
async fn headers_keep_their_case_and_repeated_ones_their_order() {
    let way = Way::open(world!(), json!({})).await;
    let lines = [
        "X-Test-B: 1",
        "x-test-a: 2",
        "X-TEST-C: 3",
        "X-Test-B: 4",
        "X-Test-Empty:",
        "X-Test-Comma: a, b",
    ];
    let expected = [
        ("X-TEST-C", "3"),
        ("X-Test-B", "1"),
        ("X-Test-B", "4"),
        ("X-Test-Comma", "a, b"),
        ("X-Test-Empty", ""),
        ("x-test-a", "2"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(of_the_test(&way.asked(&lines).await), expected);
    let (head, _) = way.answered(&ok(&lines, "")).await;
    assert_eq!(of_the_test(&head), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_set_cookie_stays_a_line_of_its_own() {
    let way = Way::open(world!(), json!({})).await;
    let cookies = [
        "a=1; Expires=Sat, 21 Nov 2026 00:00:00 GMT; Path=/",
        "b=2; HttpOnly",
        "a=3",
    ];
    let lines: Vec<String> = cookies
        .iter()
        .map(|cookie| format!("Set-Cookie: {cookie}"))
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let (head, _) = way.answered(&ok(&lines, "")).await;
    assert_eq!(head.all("set-cookie"), cookies);
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_of_the_caller_reach_the_upstream() {
    let way = Way::open(world!(), json!({})).await;
    let asked = way.asked(&["Cookie: a=1; b=\"2, 3\"; c="]).await;
    assert_eq!(asked.header("cookie"), Some("a=1; b=\"2, 3\"; c="));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_credential_is_removed_and_what_looks_like_one_is_kept() {
    let way = Way::open(world!(), json!({})).await;
    let api_key = format!("X-API-Key: {}", way.token);
    let asked = way
        .asked(&[
            &api_key,
            "X-Authorization: mine",
            "Authorization-Info: mine",
            "X-API-Key-Id: mine",
            "X-Amz-Security-Token: mine",
            "WWW-Authenticate: mine",
        ])
        .await;
    for (name, value) in &asked.headers {
        assert!(!value.contains(&way.token), "{name}: {value}");
    }
    assert_eq!(asked.header("authorization"), None);
    assert_eq!(asked.header("x-api-key"), None);
    for name in [
        "x-authorization",
        "authorization-info",
        "x-api-key-id",
        "x-amz-security-token",
        "www-authenticate",
    ] {
        assert_eq!(asked.header(name), Some("mine"), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_beyond_ascii_in_values_stay_as_they_are() {
    let way = Way::open(world!(), json!({})).await;
    let mut exchange = way
        .begin("GET /", &["X-Test: caf\u{e9} \u{2713}"], "")
        .await;
    assert_eq!(exchange.asked.header("x-test"), Some("caf\u{e9} \u{2713}"));
    exchange
        .upstream
        .send(ok(&["X-Test: caf\u{e9} \u{2713}"], ""))
        .await;
    let head = exchange.caller.head().await;
    assert_eq!(head.header("x-test"), Some("caf\u{e9} \u{2713}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_headers_pass_both_ways() {
    let way = Way::open(world!(), json!({})).await;
    let lines: Vec<String> = (0..100).map(|n| format!("X-Test-{n}: {n}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert_eq!(of_the_test(&way.asked(&lines).await).len(), 100);
    let (head, _) = way.answered(&ok(&lines, "")).await;
    assert_eq!(of_the_test(&head).len(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gate_adds_to_an_answer_what_it_says_itself_and_nothing_else() {
    let way = Way::open(world!(), json!({})).await;
    let (head, _) = way.answered(&ok(&["X-Test: a"], "text")).await;
    let names = head.headers.iter().map(|(name, _)| name.to_lowercase());
    let mut names: Vec<String> = names.collect();
    names.sort();
    let expected = [
        "content-length",
        "ratelimit",
        "ratelimit-policy",
        "vary",
        "x-keyward-request-id",
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
        "x-test",
    ];
    assert_eq!(names, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gate_adds_to_a_request_what_it_says_itself_and_nothing_else() {
    let way = Way::open(world!(), json!({})).await;
    let asked = way
        .asked(&["X-Test: a", "CF-Connecting-IP: 203.0.113.7"])
        .await;
    let names = asked.headers.iter().map(|(name, _)| name.to_lowercase());
    let mut names: Vec<String> = names.collect();
    names.sort();
    let expected = [
        "cf-connecting-ip",
        "host",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-keyward-account-id",
        "x-keyward-assertion",
        "x-keyward-environment",
        "x-keyward-key-id",
        "x-keyward-permissions",
        "x-keyward-request-id",
        "x-real-ip",
        "x-test",
    ];
    assert_eq!(names, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_other_proxies_touch_stay_as_they_are() {
    let way = Way::open(world!(), json!({})).await;
    let request = [
        ("User-Agent", "curl/8 (x; y)"),
        ("Accept", "*/*;q=0.1"),
        ("Accept-Language", "de, en;q=0.5"),
        ("Cache-Control", "no-cache"),
        ("Pragma", "no-cache"),
        ("Referer", "https://app.example.test/a?b"),
        ("Sec-Fetch-Mode", "cors"),
        (
            "Traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
        ("Via", "1.1 before"),
    ];
    let answer = [
        ("Age", "7"),
        ("Alt-Svc", "clear"),
        ("Cache-Control", "public, max-age=60"),
        ("Content-Disposition", "attachment; filename=\"a b\""),
        ("Content-Security-Policy", "default-src 'self'"),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Date", "Sat, 21 Nov 2026 00:00:00 GMT"),
        ("Link", "</next>; rel=\"next\""),
        ("Server", "upstream/1"),
        ("Strict-Transport-Security", "max-age=1"),
        ("Via", "1.1 behind"),
    ];
    let written = |pairs: &[(&str, &str)]| -> Vec<String> {
        let lines = pairs.iter().map(|(name, value)| format!("{name}: {value}"));
        lines.collect()
    };
    let lines = written(&request);
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let asked = way.asked(&lines).await;
    for (name, value) in request {
        assert_eq!(asked.header(name), Some(value));
    }
    let lines = written(&answer);
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let (head, _) = way.answered(&ok(&lines, "")).await;
    for (name, value) in answer {
        assert_eq!(head.header(name), Some(value));
    }
}
