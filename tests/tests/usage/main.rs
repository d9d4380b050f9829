//! A request that is counted at the edge is counted once in the control plane.

mod hung_up;
mod relay;

use std::collections::BTreeMap;
use std::time::Duration;

use keyward_tests::{
    Call, EdgeOptions, NewKey, PATIENCE, Samples, World, WorldOptions, below, eventually, stays,
    world,
};
use relay::Relay;
use serde_json::json;
use tokio::time::sleep;

/// Requests by code.
type Sums = BTreeMap<String, u64>;

fn options() -> WorldOptions {
    WorldOptions {
        edge: EdgeOptions {
            usage_interval_ms: 200,
            ..EdgeOptions::default()
        },
        ..WorldOptions::default()
    }
}

/// Keys of which requests pass, are refused for their rate, and for a permission; one is strict.
async fn keys(world: &World) -> Vec<NewKey> {
    let limits = json!({"requestsPerMinute": 40});
    vec![
        world.key(json!({})).await,
        world.key(json!({"rateLimits": limits})).await,
        world
            .key(json!({"rateLimits": limits, "enforcement": "strict"}))
            .await,
        world.key(json!({"permissions": ["agents.read"]})).await,
    ]
}

fn call(key: &NewKey) -> Call {
    Call::get("/v1/customers").key(&key.token)
}

/// Sends requests with every key: what the load generator counted.
async fn use_all(world: &World, keys: &[NewKey], requests: u64) -> Vec<Sums> {
    let mut counted = Vec::new();
    for key in keys {
        let samples = world.load(&call(key)).count(requests).run().await;
        counted.push(codes(&samples));
    }
    counted
}

fn codes(samples: &Samples) -> Sums {
    assert_eq!(samples.count(0), 0, "every request has an answer");
    samples.codes()
}

/// Waits until the control plane shows what was counted, and sees that it stays so.
async fn arrives_once(world: &World, keys: &[NewKey], counted: &[Sums]) {
    for (key, sums) in keys.iter().zip(counted) {
        let what = format!("{sums:?} arrive");
        eventually(&what, PATIENCE, || async {
            shows(world, key, sums).await.then_some(())
        })
        .await;
    }
    stays("the sums", Duration::from_secs(1), || async {
        let mut all = true;
        for (key, sums) in keys.iter().zip(counted) {
            all &= shows(world, key, sums).await;
        }
        all
    })
    .await;
}

async fn shows(world: &World, key: &NewKey, sums: &Sums) -> bool {
    let usage = world.admin.usage(&key.key.id).await.unwrap();
    let shown = world.admin.key(&key.key.id).await.unwrap();
    let total: u64 = sums.values().sum();
    let arrived: u64 = usage.values().sum();
    assert!(arrived <= total, "{usage:?} of {sums:?}");
    &usage == sums && shown.usage_count == total && shown.last_used_at.is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_counted_while_the_control_plane_is_down_arrives_once_later() {
    let world = world!(options());
    let keys = keys(&world).await;
    world.control_plane.kill();
    let counted = use_all(&world, &keys, 150).await;
    // Long enough for posts that fail.
    sleep(Duration::from_secs(1)).await;
    world.control_plane.restart().await;
    println!("{counted:?}");
    arrives_once(&world, &keys, &counted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_that_the_guard_has_outlasts_a_kill_of_the_edge_and_needs_no_further_request() {
    let world = world!(options());
    let keys = keys(&world).await;
    world.control_plane.kill();
    let counted = use_all(&world, &keys, 50).await;
    eventually("the guard has all of it", PATIENCE, || async {
        let unreported = world.edge.storage().await.unreported;
        let has_all = keys.iter().zip(&counted).all(|(key, sums)| {
            sums.iter().all(|(code, count)| {
                let at = (key.key.id.clone(), code.clone());
                unreported.get(&at) == Some(count)
            })
        });
        has_all.then_some(())
    })
    .await;
    world.edge.kill();
    world.control_plane.restart().await;
    world.edge.restart().await;
    arrives_once(&world, &keys, &counted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_of_which_the_answer_is_lost_and_a_control_plane_that_dies_count_nothing_twice() {
    let relay = Relay::start().await;
    let options = WorldOptions {
        usage_to: Some(relay.url()),
        ..options()
    };
    let world = world!(options);
    relay.connect(&world.control_plane.url());
    let keys = keys(&world).await;
    let loads: Vec<_> = keys
        .iter()
        .map(|key| {
            world
                .load(&call(key))
                .connections(4)
                .per_second(20.0)
                .start()
        })
        .collect();
    for _ in 0..5 {
        sleep(Duration::from_millis(300 + below(300))).await;
        world.control_plane.kill();
        sleep(Duration::from_millis(below(200))).await;
        world.control_plane.restart().await;
    }
    eventually("some answers are lost", PATIENCE, || async {
        (relay.lost() >= 3).then_some(())
    })
    .await;
    let mut counted = Vec::new();
    for load in loads {
        counted.push(codes(&load.stop().await));
    }
    arrives_once(&world, &keys, &counted).await;

    // Whoever has recorded a batch may send it again.
    let sent = relay.sent();
    println!("{} batches, {} answers lost", sent.len(), relay.lost());
    for batch in &sent {
        let status = relay::send(&world.client, &world.control_plane.url(), batch).await;
        assert_eq!(status.map(|s| s.as_u16()), Some(200));
    }
    arrives_once(&world, &keys, &counted).await;
}
