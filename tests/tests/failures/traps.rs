//! A bug that breaks the edge's wasm instance: the runtime stops it (a trap), and it is replaced.

use keyward_tests::{
    Answer, EdgeOptions, GuardNetwork, PATIENCE, World, WorldOptions, eventually, world,
};
use serde_json::json;
use std::time::Duration;

use crate::{PERFECT, customers, passes, send};

/// The Worker's last resort, which knows nothing of the request.
fn is_given_up(answer: &Answer) {
    let body = answer.json();
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(body["code"], "guard_unavailable");
    assert_eq!(answer.header("retry-after"), Some("1"));
    let media_type = answer.header("content-type");
    assert_eq!(media_type, Some("application/problem+json"));
    let id = answer.header("x-keyward-request-id");
    assert!(id.is_some_and(|id| id.starts_with("req_") && body["requestId"] == id));
}

/// Breaks the wasm instance of the first gate and has a request find out.
async fn trap(world: &World, token: &str) {
    world.edge.spoil_memory(0).await;
    is_given_up(&send(world, &customers(token)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_trap_the_next_request_is_decided_and_no_unit_is_given_twice() {
    let world = world!();
    for enforcement in ["leased", "strict"] {
        let limits = json!({"requestsPerMinute": 1_000, "requestsPerHour": 6});
        let settings = json!({"rateLimits": limits, "enforcement": enforcement});
        let token = world.key(settings).await.token;
        let mut passed = 0;
        for _ in 0..3 {
            passes(&send(&world, &customers(&token)).await);
            passed += 1;
            trap(&world, &token).await;
        }
        for _ in 0..10 {
            let answer = send(&world, &customers(&token)).await;
            if answer.status == 200 {
                passed += 1;
            } else {
                answer.refusal(429, "rate_limited");
            }
        }
        // What a lease held when its gate lost its memory stays spent.
        let expected = if enforcement == "strict" {
            6..=6
        } else {
            4..=6
        };
        assert!(expected.contains(&passed), "{enforcement}: {passed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_in_one_gate_leaves_the_others_and_the_guards_alone() {
    let world = world!(WorldOptions {
        edge: EdgeOptions {
            gates: 2,
            ..EdgeOptions::default()
        },
        ..WorldOptions::default()
    });
    let key = world.key(json!({"enforcement": "strict"})).await;
    let call = customers(&key.token);
    let before = world.edge.gate_state(0).await["gate"].clone();
    passes(&world.send_to(1, &call).await);
    world.edge.spoil_memory(1).await;
    passes(&world.send_to(0, &call).await);
    is_given_up(&world.send_to(1, &call).await);
    passes(&world.send_to(1, &call).await);
    assert_eq!(world.edge.gate_state(0).await["gate"], before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_a_trap_cut_off_is_answered_all_the_same() {
    let world = world!();
    let key = world.key(json!({"enforcement": "strict"})).await;
    let call = customers(&key.token);
    passes(&send(&world, &call).await);
    let slow = GuardNetwork {
        delay: Duration::from_secs(4),
        ..PERFECT
    };
    world.edge.set_guard_network(slow).await;
    let before = world.edge.counters().await.guard_calls;
    let cut_off = send(&world, &call);
    let trap = async {
        eventually("the request asks the guard", PATIENCE, || async {
            (world.edge.counters().await.guard_calls > before).then_some(())
        })
        .await;
        trap(&world, &key.token).await;
        world.edge.set_guard_network(PERFECT).await;
        passes(&send(&world, &call).await);
    };
    let (answer, ()) = tokio::join!(cut_off, trap);
    is_given_up(&answer);
    assert_eq!(world.upstream.count(), 2);
}
