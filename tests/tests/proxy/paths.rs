//! The path that was judged is the path that the upstream gets.

use keyward_tests::world;
use serde_json::json;

use crate::way::{DONE, Way};

#[tokio::test(flavor = "multi_thread")]
async fn path_and_query_reach_the_upstream_byte_by_byte() {
    let way = Way::open(world!(), json!({})).await;
    for target in [
        "/",
        "/?",
        "/?a",
        "/?a=b&a=c&&=d&e",
        "/?q=%41%c3%a9%2F+%20%zz%",
        "/?next=https://x.test/../y?z=/w",
        "/?q=`{}|\\^[]",
        "/%41bc",
        "/a%20b+c",
        "/a;v=1,2/b:c@d!$&'()*=~",
        "//double//slash//",
        "/trailing/",
        "/%E2%9C%93",
        "/caf%c3%A9",
        "/a|b",
        "/...",
        "/a..b/.c",
    ] {
        assert_eq!(reached(&way, target).await, target);
    }
}

/// What no target may hold (RFC 3986, section 2) and the runtime lets in all the same is encoded as the URL Standard has it.
#[tokio::test(flavor = "multi_thread")]
async fn characters_that_no_target_may_hold_reach_the_upstream_encoded() {
    let way = Way::open(world!(), json!({})).await;
    for (target, expected) in [
        ("/{id}", "/%7Bid%7D"),
        ("/caf\u{e9}", "/caf%C3%A9"),
        ("/?q='", "/?q=%27"),
        ("/?q=caf\u{e9}", "/?q=caf%C3%A9"),
        ("/a?b#c", "/a?b"),
    ] {
        assert_eq!(reached(&way, target).await, expected);
    }
}

/// The target of a request as the upstream gets it.
async fn reached(way: &Way, target: &str) -> String {
    let mut exchange = way.begin(&format!("GET {target}"), &[], "").await;
    exchange.upstream.send(DONE).await;
    assert_eq!(exchange.caller.head().await.status(), 204, "{target}");
    exchange.asked.target().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upstreams_base_path_comes_before_the_callers_and_cannot_be_left() {
    let world = world!();
    let way = Way::open(world, json!({})).await;
    let base = format!("{}/base/v2/", way.upstream.url());
    way.world
        .api("base.example.test", json!({"upstream": base}))
        .await;
    for (target, expected) in [
        ("/", Some("/base/v2/")),
        ("/a?b", Some("/base/v2/a?b")),
        ("//a", Some("/base/v2//a")),
        ("/../a", None),
        ("/..", None),
        ("/%2e%2e/a", None),
        ("/.%2e/a", None),
        ("/a/../../../b", None),
        ("/..%2fa", None),
        ("/..%5ca", None),
        ("/..\\a", None),
        ("/@evil.test/", Some("/base/v2/@evil.test/")),
        ("/:80/", Some("/base/v2/:80/")),
    ] {
        let mut caller = way.connect().await;
        let head = way
            .head(&format!("GET {target}"), &[])
            .replace("wire.example", "base.example");
        caller.send(head).await;
        let Some(expected) = expected else {
            assert_eq!(caller.head().await.status(), 400, "{target}");
            continue;
        };
        let mut upstream = way.upstream.accept().await;
        assert_eq!(upstream.head().await.target(), expected);
        upstream.send(DONE).await;
        assert_eq!(caller.head().await.status(), 204);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_of_ten_kilobytes_passes() {
    let way = Way::open(world!(), json!({})).await;
    let target = format!("/?q={}", "a%20".repeat(2_500));
    let mut exchange = way.begin(&format!("GET {target}"), &[], "").await;
    assert_eq!(exchange.asked.target(), target);
    exchange.upstream.send(DONE).await;
    assert_eq!(exchange.caller.head().await.status(), 204);
}
