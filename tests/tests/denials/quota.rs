//! Rate limits: the refusal, and the headers of every metered answer, read by a parser of RFC 9651 that is not ours.

use keyward_tests::{Answer, Call, World, now, world};
use serde_json::{Value, json};
use sfv::{BareItem, Item, KeyRef, List, ListEntry, Parser};

/// A window as the headers tell of it: its name and two numbers.
type Named = (String, i64, i64);

fn named(item: &Item, parameters: [&str; 2]) -> Named {
    let BareItem::String(name) = &item.bare_item else {
        panic!("no string: {item:?}");
    };
    assert_eq!(item.params.len(), 2, "{item:?}");
    let number = |key: &str| {
        let key = KeyRef::from_str(key).expect("a key");
        match item.params.get(key) {
            Some(BareItem::Integer(number)) => i64::from(*number),
            other => panic!("{key:?} is {other:?}"),
        }
    };
    let [first, second] = parameters;
    (name.as_str().to_owned(), number(first), number(second))
}

/// The members of a field: a list of strings with two integers each.
fn field(answer: &Answer, name: &str, parameters: [&str; 2]) -> Vec<Named> {
    let value = answer.header(name).expect("the header is there");
    let list: List = Parser::new(value).parse().expect("a structured field");
    let members = list.iter().map(|entry| match entry {
        ListEntry::Item(item) => named(item, parameters),
        ListEntry::InnerList(_) => panic!("{name} holds an inner list: {value}"),
    });
    members.collect()
}

fn number(answer: &Answer, name: &str) -> u64 {
    let value = answer.header(name).expect("the header is there");
    value.parse().expect("a whole number")
}

/// Asserts the headers of a metered answer: policies of all limits, and how the tightest window stands.
fn metered(answer: &Answer, limits: &[(&str, i64, i64)], tightest: (&str, i64), remaining: i64) {
    let expected: Vec<Named> = limits
        .iter()
        .map(|(name, q, w)| ((*name).to_owned(), *q, *w))
        .collect();
    assert_eq!(field(answer, "ratelimit-policy", ["q", "w"]), expected);
    let (name, limit) = tightest;
    let [(window, r, t)] = &field(answer, "ratelimit", ["r", "t"])[..] else {
        panic!("{:?}", answer.headers);
    };
    assert_eq!((window.as_str(), *r), (name, remaining));
    assert_eq!(number(answer, "x-ratelimit-limit"), limit.unsigned_abs());
    let left = number(answer, "x-ratelimit-remaining");
    assert_eq!(left, remaining.unsigned_abs());
    // Both tell the same moment, in whole seconds that are rounded up.
    let reset = number(answer, "x-ratelimit-reset") * 1_000;
    let told = now() + t.unsigned_abs() * 1_000;
    assert!(reset <= told + 1_000, "{reset} {told}");
    let span = limits.iter().find(|(n, ..)| *n == name).map(|(.., w)| *w);
    assert!((0..=span.unwrap_or(0) + 60).contains(t), "{t}");
}

async fn key(world: &World, limits: Value) -> Call {
    let key = world.key(json!({"rateLimits": limits})).await;
    Call::get("/v1/customers").key(&key.token)
}

const THREE: [(&str, i64, i64); 3] = [
    ("minute", 3, 60),
    ("hour", 5_000, 3_600),
    ("day", 100_000, 86_400),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_for_the_rate_has_the_documented_body_and_headers() {
    let world = world!();
    let limits =
        json!({"requestsPerMinute": 3, "requestsPerHour": 5_000, "requestsPerDay": 100_000});
    let call = key(&world, limits.clone()).await;
    for remaining in [2, 1, 0] {
        let answer = world.send(&call).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        metered(&answer, &THREE, ("minute", 3), remaining);
        assert_eq!(answer.header("retry-after"), None);
    }
    let answer = world.send(&call).await;
    let body = answer.refusal(429, "rate_limited");
    metered(&answer, &THREE, ("minute", 3), 0);
    let retry_after = number(&answer, "retry-after");
    assert!((1..=62).contains(&retry_after), "{retry_after}");
    assert_eq!(
        body,
        json!({
            "type": "urn:keyward:problem:rate_limited",
            "title": "Rate limit exceeded",
            "status": 429,
            "detail": "The limit of the API key is reached: minute",
            "code": "rate_limited",
            "requestId": body["requestId"],
            "error": "Rate limit exceeded",
            "message": "Too many requests. Please try again later.",
            "retryAfter": retry_after,
            "rateLimits": limits,
            "violatedPolicies": ["minute"],
        })
    );
    assert_eq!(world.upstream.count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_window_that_lacks_room_is_named_and_limits_that_are_not_set_are_not() {
    let world = world!();
    for (limits, violated) in [
        (
            json!({"requestsPerMinute": 9, "requestsPerHour": 1}),
            json!(["hour"]),
        ),
        (
            json!({"requestsPerMinute": 9, "requestsPerDay": 1}),
            json!(["day"]),
        ),
        (
            json!({"requestsPerMinute": 1, "requestsPerHour": 1, "requestsPerDay": 1}),
            json!(["minute", "hour", "day"]),
        ),
    ] {
        let call = key(&world, limits.clone()).await;
        assert_eq!(world.send(&call).await.status, 200);
        let answer = world.send(&call).await;
        let body = answer.refusal(429, "rate_limited");
        assert_eq!(body["violatedPolicies"], violated);
        assert_eq!(body["rateLimits"], limits);
        let policies = field(&answer, "ratelimit-policy", ["q", "w"]);
        let set = limits.as_object().map_or(0, serde_json::Map::len);
        assert_eq!(policies.len(), set);
        assert_eq!(number(&answer, "x-ratelimit-remaining"), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_that_costs_more_than_is_left_is_refused_while_a_cheaper_one_passes() {
    let world = world!();
    for enforcement in ["leased", "strict"] {
        let settings = json!({"rateLimits": {"requestsPerMinute": 7}, "enforcement": enforcement});
        let key = world.key(settings).await;
        let reports = Call::post("/v1/reports").key(&key.token);
        let customers = Call::get("/v1/customers").key(&key.token);
        let answer = world.send(&reports).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        metered(&answer, &[("minute", 7, 60)], ("minute", 7), 2);
        let answer = world.send(&reports).await;
        answer.refusal(429, "rate_limited");
        metered(&answer, &[("minute", 7, 60)], ("minute", 7), 2);
        for remaining in [1, 0] {
            let answer = world.send(&customers).await;
            assert_eq!(answer.status, 200, "{enforcement} {}", answer.text());
            metered(&answer, &[("minute", 7, 60)], ("minute", 7), remaining);
        }
        world.send(&customers).await.refusal(429, "rate_limited");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_requests_cost_nothing() {
    let world = world!();
    let settings = json!({
        "rateLimits": {"requestsPerMinute": 2},
        "permissions": ["customers.read"],
        "resources": ["customer:c_1"],
    });
    let key = world.key(settings).await;
    for _ in 0..5 {
        let write = Call::post("/v1/customers").key(&key.token);
        world
            .send(&write)
            .await
            .refusal(403, "insufficient_permission");
        let other = Call::get("/v1/customers/c_2").key(&key.token);
        world
            .send(&other)
            .await
            .refusal(403, "resource_not_allowed");
    }
    let read = Call::get("/v1/customers").key(&key.token);
    for remaining in [1, 0] {
        let answer = world.send(&read).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        metered(&answer, &[("minute", 2, 60)], ("minute", 2), remaining);
    }
    for _ in 0..5 {
        world.send(&read).await.refusal(429, "rate_limited");
    }
    let ledger = world.edge.storage().await.ledger(&key.key.id);
    assert_eq!(ledger.debited(), 2);
}
