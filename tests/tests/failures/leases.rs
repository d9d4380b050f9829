//! What a gate holds already while it can't reach the guard.

use std::time::{Duration, Instant};

use keyward_tests::{EdgeOptions, PATIENCE, World, WorldOptions, eventually, world};
use serde_json::json;

use crate::{FAULTS, PERFECT, customers, is_unavailable, passes, send};

const LEASE: Duration = Duration::from_secs(5);

fn long_leases() -> WorldOptions {
    WorldOptions {
        edge: EdgeOptions {
            lease_ms: 5_000,
            ..EdgeOptions::default()
        },
        ..WorldOptions::default()
    }
}

/// Uses a key until the gate holds a lease of several units, and cuts the guard off. Gives when.
async fn cut_off_a_hot_key(world: &World, token: &str) -> Instant {
    eventually("a hot key passes on its lease alone", PATIENCE, || async {
        world.edge.set_guard_network(PERFECT).await;
        for _ in 0..50 {
            passes(&send(world, &customers(token)).await);
        }
        world.edge.set_guard_network(FAULTS[0].1).await;
        let cut_at = Instant::now();
        for _ in 0..5 {
            if send(world, &customers(token)).await.status != 200 {
                return None;
            }
        }
        Some(cut_at)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hot_key_passes_as_long_as_its_lease_holds_and_no_longer() {
    let world = world!(long_leases());
    let key = world.key(json!({})).await;
    let cut_at = cut_off_a_hot_key(&world, &key.token).await;
    let refused = eventually("the lease is over", PATIENCE, || async {
        let sent_at = cut_at.elapsed();
        let answer = send(&world, &customers(&key.token)).await;
        if answer.status == 200 {
            assert!(
                sent_at < LEASE,
                "passed {sent_at:?} after the guard was cut off"
            );
            return None;
        }
        Some(answer)
    })
    .await;
    is_unavailable(&refused);
    world.edge.set_guard_network(PERFECT).await;
    passes(&send(&world, &customers(&key.token)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_key_is_refused_at_once_however_hot_it_was() {
    let world = world!(long_leases());
    let key = world.key(json!({"enforcement": "strict"})).await;
    for _ in 0..20 {
        passes(&send(&world, &customers(&key.token)).await);
    }
    world.edge.set_guard_network(FAULTS[0].1).await;
    is_unavailable(&send(&world, &customers(&key.token)).await);
    assert_eq!(world.upstream.count_of(&key.key.id), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_at_its_limit_stays_refused_while_the_guard_is_away_and_its_window_is_exact_after() {
    let world = world!(long_leases());
    let limit = 40;
    let settings = json!({"rateLimits": {"requestsPerMinute": limit}});
    let key = world.key(settings).await;
    let call = customers(&key.token);
    let mut passed = 0;
    for round in 0..12 {
        // Away and back by turns, each in another way.
        let network = if round % 2 == 0 {
            PERFECT
        } else {
            FAULTS[round / 2 % 3].1
        };
        world.edge.set_guard_network(network).await;
        for _ in 0..8 {
            let answer = send(&world, &call).await;
            match answer.status {
                200 => passed += 1,
                429 => drop(answer.refusal(429, "rate_limited")),
                _ => is_unavailable(&answer),
            }
        }
    }
    assert!((1..=limit).contains(&passed), "{passed}");
    assert_eq!(world.upstream.count_of(&key.key.id), passed);
}
