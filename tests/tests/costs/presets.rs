//! Keys with the limits of a preset, from the admin API to the headers that callers see.

use std::time::Duration;

use keyward_tests::{Answer, Call, World, world};
use serde_json::{Value, json};
use shared::preset::PRESETS;

use crate::{number, passes};

async fn token(world: &World, rate_limits: Value, enforcement: &str) -> String {
    let settings = json!({"rateLimits": rate_limits, "enforcement": enforcement});
    world.key(settings).await.token
}

async fn send(world: &World, token: &str) -> Answer {
    world.send(&Call::get("/v1/customers").key(token)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_headers_of_a_preset_key_tell_its_three_limits() {
    let world = world!();
    for (preset, minute, hour, day) in [
        ("development", 10, 500, 10_000),
        ("production", 100, 5_000, 100_000),
        ("enterprise", 1_000, 50_000, 1_000_000),
    ] {
        for enforcement in ["leased", "strict"] {
            let token = token(&world, json!({"preset": preset}), enforcement).await;
            let answer = send(&world, &token).await;
            passes(&answer, minute - 1);
            assert_eq!(number(&answer, "x-ratelimit-limit"), minute);
            let policy = format!(
                "\"minute\";q={minute};w=60, \"hour\";q={hour};w=3600, \"day\";q={day};w=86400"
            );
            assert_eq!(answer.header("ratelimit-policy"), Some(policy.as_str()));
            let state = answer.header("ratelimit").unwrap_or_default();
            let expected = format!("\"minute\";r={};t=", minute - 1);
            assert!(state.starts_with(&expected), "{state}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_development_key_passes_ten_times_a_minute_and_again_when_retry_after_is_over() {
    let world = world!();
    for enforcement in ["leased", "strict"] {
        let token = token(&world, json!({"preset": "development"}), enforcement).await;
        let mut ahead = Duration::ZERO;
        for minute in 0..3 {
            world.edge.set_clock_ahead(ahead).await;
            for remaining in (0..10).rev() {
                passes(&send(&world, &token).await, remaining);
            }
            let answer = send(&world, &token).await;
            let body = answer.refusal(429, "rate_limited");
            let limits =
                json!({"requestsPerMinute": 10, "requestsPerHour": 500, "requestsPerDay": 10_000});
            assert_eq!(body["rateLimits"], limits);
            assert_eq!(body["violatedPolicies"], json!(["minute"]));
            assert_eq!(number(&answer, "x-ratelimit-remaining"), 0);
            let wait = number(&answer, "retry-after");
            assert!((1..=62).contains(&wait), "minute {minute}: {wait}");
            // All that the minute took is back a little later than the first of it.
            ahead += Duration::from_secs(wait + 62);
        }
        world.edge.set_clock_ahead(Duration::ZERO).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_given_another_preset_has_its_limits_from_then_on() {
    let world = world!();
    let settings = json!({"rateLimits": {"preset": "development"}, "enforcement": "strict"});
    let key = world.key(settings).await;
    for remaining in (0..10).rev() {
        passes(&send(&world, &key.token).await, remaining);
    }
    send(&world, &key.token).await.refusal(429, "rate_limited");
    for (preset, remaining) in [("production", 89), ("enterprise", 988)] {
        let patch = json!({"rateLimits": {"preset": preset}});
        assert!(world.admin.patch_key(&key.key.id, &patch).await.unwrap());
        // What was spent under the old limits is spent under the new ones.
        passes(&send(&world, &key.token).await, remaining);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_api_lists_the_presets_that_it_takes() {
    let world = world!();
    let listed = world.admin.send("GET", "/v1/presets", None).await.unwrap();
    let listed = listed.json();
    let names: Vec<&str> = listed["data"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|preset| preset["name"].as_str())
        .collect();
    assert_eq!(names, PRESETS.map(|preset| preset.name));
    for name in names {
        assert_eq!(
            send(
                &world,
                &token(&world, json!({"preset": name}), "leased").await
            )
            .await
            .status,
            200
        );
    }
    let unknown =
        json!({"name": "k", "accountId": world.account, "rateLimits": {"preset": "gold"}});
    let answer = world.admin.send("POST", "/v1/keys", Some(&unknown)).await;
    let body = answer.unwrap().problem(422, "validation_failed");
    assert_eq!(
        body["detail"],
        "rateLimits.preset: must be one of development, production, enterprise"
    );
}
