//! Cost per route, in units.

use std::time::Duration;

use keyward_tests::{Call, PATIENCE, World, eventually, world};
use serde_json::{Value, json};

use crate::{HOST, costing, number, passes, priced};

const MODES: [&str; 2] = ["leased", "strict"];

async fn token(world: &World, limits: Value, enforcement: &str) -> String {
    let settings = json!({"rateLimits": limits, "enforcement": enforcement});
    world.key(settings).await.token
}

#[tokio::test(flavor = "multi_thread")]
async fn each_route_takes_its_cost_of_every_window_and_a_refusal_takes_nothing_of_any() {
    let world = world!();
    priced(&world, &[3, 5, 7]).await;
    for enforcement in MODES {
        let limits =
            json!({"requestsPerMinute": 100, "requestsPerHour": 20, "requestsPerDay": 1_000});
        let token = token(&world, limits, enforcement).await;
        let send = async |cost| world.send(&costing(cost, &token)).await;
        passes(&send(7).await, 13);
        passes(&send(5).await, 8);
        passes(&send(1).await, 7);
        passes(&send(5).await, 2);
        for cost in [3, 7, 5] {
            let answer = send(cost).await;
            let body = answer.refusal(429, "rate_limited");
            assert_eq!(body["violatedPolicies"], json!(["hour"]), "{enforcement}");
            assert_eq!(number(&answer, "x-ratelimit-remaining"), 2);
            assert!(number(&answer, "retry-after") >= 1);
        }
        passes(&send(1).await, 1);
        passes(&send(1).await, 0);
        send(1).await.refusal(429, "rate_limited");
    }
    let policies = "\"minute\";q=100;w=60, \"hour\";q=20;w=3600, \"day\";q=1000;w=86400";
    let limits = json!({"requestsPerMinute": 100, "requestsPerHour": 20, "requestsPerDay": 1_000});
    let token = token(&world, limits, "strict").await;
    let answer = world.send(&costing(5, &token)).await;
    assert_eq!(answer.header("ratelimit-policy"), Some(policies));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cost_of_exactly_what_is_left_passes() {
    let world = world!();
    priced(&world, &[5, 10]).await;
    for enforcement in MODES {
        let limits = || json!({"requestsPerMinute": 10});
        let whole = token(&world, limits(), enforcement).await;
        passes(&world.send(&costing(10, &whole)).await, 0);
        let halves = token(&world, limits(), enforcement).await;
        passes(&world.send(&costing(5, &halves)).await, 5);
        passes(&world.send(&costing(5, &halves)).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_is_when_that_cost_fits_again() {
    let world = world!();
    priced(&world, &[4, 6]).await;
    for enforcement in MODES {
        world.edge.set_clock_ahead(Duration::ZERO).await;
        let token = token(&world, json!({"requestsPerMinute": 10}), enforcement).await;
        passes(&world.send(&costing(4, &token)).await, 6);
        // Thirty seconds later, so that what the first took comes back first.
        let later = Duration::from_secs(30);
        world.edge.set_clock_ahead(later).await;
        passes(&world.send(&costing(6, &token)).await, 0);
        let small = world.send(&costing(4, &token)).await;
        let large = world.send(&costing(6, &token)).await;
        let wait_of = |answer: &keyward_tests::Answer| {
            let body = answer.refusal(429, "rate_limited");
            let seconds = number(answer, "retry-after");
            assert_eq!(body["retryAfter"], seconds);
            Duration::from_secs(seconds)
        };
        let (small, large) = (wait_of(&small), wait_of(&large));
        assert!(
            small + Duration::from_secs(5) < large,
            "{small:?} {large:?}"
        );
        world.edge.set_clock_ahead(later + small).await;
        let answer = world.send(&costing(6, &token)).await;
        answer.refusal(429, "rate_limited");
        let answer = world.send(&costing(4, &token)).await;
        assert_eq!(answer.status, 200, "{enforcement} {}", answer.text());
        world.edge.set_clock_ahead(later + large).await;
        let answer = world.send(&costing(6, &token)).await;
        assert_eq!(answer.status, 200, "{enforcement} {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cost_above_the_limit_is_refused_for_good_and_says_so() {
    let world = world!();
    priced(&world, &[50]).await;
    for enforcement in MODES {
        let limits =
            json!({"requestsPerMinute": 10, "requestsPerHour": 40, "requestsPerDay": 1_000});
        let token = token(&world, limits, enforcement).await;
        for _ in 0..2 {
            let answer = world.send(&costing(50, &token)).await;
            let body = answer.refusal(429, "rate_limited");
            assert_eq!(
                body["detail"],
                "The request costs 50 units, more than the API key's limit ever allows: minute, hour"
            );
            assert_eq!(body["cost"], 50);
            assert_eq!(body["violatedPolicies"], json!(["minute", "hour"]));
            // No wait would help, so none is named.
            assert_eq!(answer.header("retry-after"), None);
            assert_eq!(body["retryAfter"], Value::Null);
            assert_eq!(number(&answer, "x-ratelimit-limit"), 10);
        }
        // It took nothing.
        passes(&world.send(&costing(1, &token)).await, 9);
    }
    assert_eq!(world.upstream.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_listed_costs_one_unit_and_a_changed_price_is_charged_from_then_on() {
    let world = world!();
    let api = priced(&world, &[5]).await;
    let token = token(&world, json!({"requestsPerMinute": 100}), "strict").await;
    passes(&world.send(&costing(5, &token)).await, 95);
    let unlisted = Call::get("/v1/anything").host(HOST).key(&token);
    passes(&world.send(&unlisted).await, 94);
    let routes = json!({"routes": [{"method": "POST", "path": "/v1/cost/5", "cost": 9}]});
    assert!(world.admin.patch_api(&api, &routes).await.unwrap());
    passes(&world.send(&costing(5, &token)).await, 85);
    assert!(
        world
            .admin
            .patch_api(&api, &json!({"routes": []}))
            .await
            .unwrap()
    );
    passes(&world.send(&costing(5, &token)).await, 84);
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_charges_what_the_described_route_costs() {
    let world = world!();
    priced(&world, &[5]).await;
    for enforcement in MODES {
        let token = token(&world, json!({"requestsPerMinute": 7}), enforcement).await;
        let described = json!({"key": token, "method": "POST", "path": "/v1/cost/5", "host": HOST});
        let verify = Call::post("/.keyward/verify").host(HOST).json(&described);
        assert_eq!(world.send(&verify).await.json()["valid"], true);
        let body = world.send(&verify).await.json();
        assert_eq!(body["valid"], false, "{body}");
        assert_eq!(body["code"], "rate_limited");
        passes(&world.send(&costing(1, &token)).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_usage_of_a_key_tells_the_units_that_its_requests_cost() {
    let world = world!();
    priced(&world, &[5]).await;
    let settings = json!({"rateLimits": {"requestsPerMinute": 12}});
    let key = world.key(settings).await;
    for (cost, status) in [(5, 200), (5, 200), (5, 429), (1, 200)] {
        let answer = world.send(&costing(cost, &key.token)).await;
        assert_eq!(answer.status, status);
    }
    let path = format!("/v1/keys/{}/usage?step=minute", key.key.id);
    eventually("the usage has arrived", PATIENCE, || async {
        let usage = world.admin.send("GET", &path, None).await.unwrap().json();
        let points = usage["data"].as_array().cloned().unwrap_or_default();
        let sum = |field: &str| -> u64 { points.iter().filter_map(|p| p[field].as_u64()).sum() };
        let (requests, cost) = (sum("requests"), sum("cost"));
        assert!(cost <= 11, "{usage}");
        (requests == 4 && cost == 11).then_some(())
    })
    .await;
}
