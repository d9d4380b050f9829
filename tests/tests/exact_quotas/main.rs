//! No rolling minute, rolling hour or UTC day sees more than its limit, and all of the limit can be used.

mod after_kill;
mod credits;
mod quota;
mod shared_limits;

use std::time::Duration;

use keyward_tests::{Call, EdgeOptions, GuardNetwork, World, WorldOptions, world};
use quota::{
    ENFORCEMENTS, assert_is_limit, assert_passed_or_limited, hammer, key, load, most_since,
};
use serde_json::json;
use tokio::time::Instant;

const LIMIT: u64 = 100;
/// How long the network loses messages: several leases long, so that units come back and are spent again.
const UNDER_LOSS: Duration = Duration::from_secs(5);
/// How long the load goes on when the network is good again.
const AFTERWARDS: Duration = Duration::from_secs(2);

fn two_gates() -> WorldOptions {
    WorldOptions {
        edge: EdgeOptions {
            gates: 2,
            ..EdgeOptions::default()
        },
        ..WorldOptions::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_connections_to_one_gate_get_exactly_the_limit() {
    let world = world!();
    gets_exactly_the_limit(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_connections_to_two_gates_get_exactly_the_limit() {
    let world = world!(two_gates());
    gets_exactly_the_limit(&world).await;
}

async fn gets_exactly_the_limit(world: &World) {
    for enforcement in ENFORCEMENTS {
        let key = key(world, enforcement, LIMIT).await;
        let began = Instant::now();
        let samples = hammer(load(world, &key), LIMIT).await;
        assert_passed_or_limited(&samples);
        let passed = samples.count(200);
        assert_is_limit(passed, LIMIT, began);
        assert_eq!(world.upstream.count_of(&key.key.id), passed);
        println!("{enforcement}: {:?}", samples.codes());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_loses_calls_and_answers_never_lets_more_pass() {
    let world = world!(two_gates());
    for enforcement in ENFORCEMENTS {
        let key = key(&world, enforcement, LIMIT).await;
        let network = GuardNetwork {
            delay: Duration::from_millis(5),
            lose: 0.2,
            lose_answers: 0.2,
            ..GuardNetwork::default()
        };
        world.edge.set_guard_network(network).await;
        let began = Instant::now();
        let running = load(&world, &key).start();
        tokio::time::sleep(UNDER_LOSS).await;
        world.edge.set_guard_network(GuardNetwork::default()).await;
        tokio::time::sleep(AFTERWARDS).await;
        let samples = running.stop().await;
        let passed = world.upstream.count_of(&key.key.id);
        let most = most_since(began, LIMIT);
        assert!((1..=most).contains(&passed), "{enforcement}: {passed}");
        assert_eq!(samples.count(200), passed);
        let codes = samples.codes();
        let known = ["ok", "rate_limited", "guard_unavailable"];
        assert!(
            codes.keys().all(|c| known.contains(&c.as_str())),
            "{codes:?}"
        );
        println!("{enforcement}: {codes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_windows_are_taken_together_and_refused_requests_cost_nothing_in_any() {
    let world = world!();
    let limits = json!({"requestsPerMinute": 50, "requestsPerHour": 30, "requestsPerDay": 1000});
    for enforcement in ENFORCEMENTS {
        away_from_midnight(Duration::from_secs(60)).await;
        let settings = json!({"enforcement": enforcement, "rateLimits": limits});
        let key = world.key(settings).await;
        let began = Instant::now();
        let samples = hammer(load(&world, &key), 30).await;
        assert_passed_or_limited(&samples);
        assert_eq!(samples.count(200), 30, "{enforcement}");
        assert_eq!(world.upstream.count_of(&key.key.id), 30);

        let described = json!({"key": key.token, "path": "/v1/customers"});
        let verify = Call::post("/.keyward/verify").json(&described);
        let verdict = world.send(&verify).await.json();
        // After a minute its window has some of it back.
        let left_of_minute = if began.elapsed() < Duration::from_secs(60) {
            20..=20
        } else {
            20..=50
        };
        assert_eq!(verdict["valid"], json!(false));
        assert_eq!(verdict["violatedPolicies"], json!(["hour"]));
        assert_eq!(verdict["rateLimits"], limits);
        let left = verdict["windows"].as_array().into_iter().flatten();
        let left: Vec<_> = left
            .map(|w| (w["window"].as_str(), w["remaining"].as_u64()))
            .collect();
        let of_minute = left.first().and_then(|(_, n)| *n).unwrap_or(0);
        assert!(left_of_minute.contains(&of_minute), "{left:?}");
        let expected = [("minute", of_minute), ("hour", 0), ("day", 970)];
        assert_eq!(
            left,
            expected.map(|(w, n)| (Some(w), Some(n))),
            "{enforcement}"
        );
    }
}

/// Waits for the next UTC day if this one ends within `span`.
async fn away_from_midnight(span: Duration) {
    let since_epoch = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let rest = Duration::from_secs(86_400 - since_epoch.as_secs() % 86_400);
    if rest < span {
        tokio::time::sleep(rest).await;
    }
}
