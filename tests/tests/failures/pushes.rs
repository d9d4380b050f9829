//! Changes made while KV or guards fail: in force as far as the guard was told, and delivered in the end.

use std::time::Duration;

use keyward_tests::{GuardNetwork, PATIENCE, WorldOptions, eventually, world};
use serde_json::json;

use crate::{BOUND, FAULTS, FOR_EVER, PERFECT, customers, passes, send};

/// Longer than a gate waits for a guard that writes to KV (20 s).
const TOO_LONG: Duration = Duration::from_secs(22);

fn impatient() -> WorldOptions {
    WorldOptions {
        propagation_wait: Some(Duration::from_millis(300)),
        ..WorldOptions::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_is_in_force_although_kv_takes_no_writes_and_arrives_there_later() {
    let world = world!(impatient());
    for enforcement in ["leased", "strict"] {
        let key = world.key(json!({"enforcement": enforcement})).await;
        world.settle().await;
        passes(&send(&world, &customers(&key.token)).await);
        world.edge.set_kv_broken(true).await;
        let propagated = world.admin.revoke(&key.key.id).await.unwrap();
        assert!(!propagated, "KV has not got it");
        eventually("the key is refused", PATIENCE, || async {
            let answer = send(&world, &customers(&key.token)).await;
            (answer.status == 401).then(|| answer.refusal(401, "invalid_key"))
        })
        .await;
        world.edge.set_kv_broken(false).await;
        eventually("the change arrives in KV", BOUND, || async {
            (world.control_plane.undelivered().await == 0).then_some(())
        })
        .await;
        let history = world.edge.kv_history().await;
        let last = history
            .iter()
            .rfind(|version| version.record()["id"] == key.key.id.as_str());
        assert_eq!(last.expect("the key is in KV").record()["state"], "revoked");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_kv_never_answers_is_sent_again_and_holds_up_no_other() {
    let world = world!(impatient());
    let key = world.key(json!({})).await;
    world.settle().await;
    passes(&send(&world, &customers(&key.token)).await);
    world.edge.set_kv_slow(FOR_EVER).await;
    let before = world.edge.counters().await.guard_pushes;
    assert!(!world.admin.revoke(&key.key.id).await.unwrap());
    eventually("the key is refused", PATIENCE, || async {
        (send(&world, &customers(&key.token)).await.status == 401).then_some(())
    })
    .await;
    world.edge.set_kv_slow(Duration::ZERO).await;
    eventually("the push is sent again", BOUND, || async {
        (world.edge.counters().await.guard_pushes > before + 1).then_some(())
    })
    .await;
    eventually("it is acknowledged", BOUND, || async {
        (world.control_plane.undelivered().await == 0).then_some(())
    })
    .await;
    // Later changes are not held up by what went before.
    eventually("calls propagate again", BOUND, || async {
        let propagated = world.admin.reactivate(&key.key.id).await.unwrap();
        propagated.then_some(())
    })
    .await;
    eventually("the key passes again", PATIENCE, || async {
        (send(&world, &customers(&key.token)).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_made_while_the_guard_is_away_arrive_when_it_is_back_however_it_failed() {
    let world = world!(impatient());
    for (fault, network) in FAULTS {
        // A guard that is silent for ever would hold this push for as long.
        let network = if network.delay == FOR_EVER {
            GuardNetwork {
                delay: TOO_LONG,
                ..network
            }
        } else {
            network
        };
        let key = world.key(json!({})).await;
        world.settle().await;
        passes(&send(&world, &customers(&key.token)).await);
        world.edge.set_guard_network(network).await;
        let propagated = world.admin.revoke(&key.key.id).await.unwrap();
        assert!(!propagated, "{fault}");
        world.edge.set_guard_network(PERFECT).await;
        eventually("the change arrives", BOUND, || async {
            (world.control_plane.undelivered().await == 0).then_some(())
        })
        .await;
        eventually("the key is refused", PATIENCE, || async {
            (send(&world, &customers(&key.token)).await.status == 401).then_some(())
        })
        .await;
        println!("{fault}");
    }
}
