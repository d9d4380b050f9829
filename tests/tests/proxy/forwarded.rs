//! What the upstream learns of the caller's side.

use keyward_tests::world;
use serde_json::json;

use crate::way::{HOST, Way};

#[tokio::test(flavor = "multi_thread")]
async fn the_upstream_gets_its_own_host_and_learns_the_callers() {
    let way = Way::open(world!(), json!({})).await;
    let asked = way
        .asked(&["X-Forwarded-Host: evil.test", "X-Forwarded-Proto: gopher"])
        .await;
    let own = way.upstream.url();
    assert_eq!(asked.header("host"), own.strip_prefix("http://"));
    assert_eq!(asked.header("x-forwarded-host"), Some(HOST));
    assert_eq!(asked.header("x-forwarded-proto"), Some("http"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_callers_address_is_the_last_one_whatever_the_caller_says() {
    let way = Way::open(world!(), json!({})).await;
    for (lines, expected) in [
        (&[][..], "203.0.113.7"),
        (
            &["X-Forwarded-For: 198.51.100.1"],
            "198.51.100.1, 203.0.113.7",
        ),
        (
            &["X-Forwarded-For: 198.51.100.1", "X-Forwarded-For: evil"],
            "198.51.100.1, evil, 203.0.113.7",
        ),
        (
            &["X-Forwarded-For: 198.51.100.1,203.0.113.7"],
            "198.51.100.1,203.0.113.7",
        ),
    ] {
        let mut all = vec![
            "CF-Connecting-IP: 203.0.113.7",
            "X-Real-IP: evil",
            "Forwarded: for=evil",
        ];
        all.extend(lines);
        let asked = way.asked(&all).await;
        assert_eq!(asked.header("x-forwarded-for"), Some(expected));
        assert_eq!(asked.header("x-real-ip"), Some("203.0.113.7"));
        assert_eq!(asked.header("forwarded"), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_address_that_the_gate_does_not_know_nothing_is_said() {
    let way = Way::open(world!(), json!({})).await;
    let asked = way
        .asked(&[
            "X-Forwarded-For: evil",
            "X-Real-IP: evil",
            "Forwarded: for=evil",
        ])
        .await;
    for name in ["x-forwarded-for", "x-real-ip", "forwarded"] {
        assert_eq!(asked.header(name), None, "{name}");
    }
}
