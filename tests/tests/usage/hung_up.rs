//! Callers that do not wait for the answer.

use std::time::Duration;

use futures_util::future::join_all;
use keyward_tests::{GuardNetwork, NewKey, PATIENCE, World, below, eventually, world};
use serde_json::json;
use tokio::time::timeout;

use crate::{call, options};

/// Requests of which the caller hangs up, in bursts of as many connections.
const BURSTS: usize = 20;
const CONNECTIONS: usize = 16;
/// Requests afterwards that are waited for.
const WHOLE: u64 = 30;

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_hang_up_hold_no_units_and_keep_no_usage_from_arriving() {
    let world = world!(options());
    // Answers take long enough to hang up at any point on the way.
    let network = GuardNetwork {
        delay: Duration::from_millis(20),
        ..GuardNetwork::default()
    };
    world.edge.set_guard_network(network).await;
    world.upstream.set_delay(Duration::from_millis(20));
    for enforcement in ["leased", "strict"] {
        let limits = json!({"requestsPerMinute": 100_000});
        let settings = json!({"enforcement": enforcement, "rateLimits": limits});
        let key = world.key(settings).await;
        for _ in 0..BURSTS {
            hang_up(&world, &key).await;
        }
        let whole = world.load(&call(&key)).count(WHOLE).run().await;
        assert_eq!(
            whole.count(200),
            WHOLE,
            "{enforcement}: {:?}",
            whole.codes()
        );

        let what = format!("{enforcement}: what was not spent is given back");
        eventually(&what, PATIENCE, || async {
            let ledger = world.edge.storage().await.ledger(&key.key.id);
            (ledger.leased_out() == 0).then_some(())
        })
        .await;
        let what = format!("{enforcement}: every request that reached the upstream is counted");
        eventually(&what, PATIENCE, || async {
            let reached = world.upstream.count_of(&key.key.id);
            let usage = world.admin.usage(&key.key.id).await.unwrap();
            let counted = usage.get("ok").copied().unwrap_or(0);
            (counted == reached).then_some(())
        })
        .await;
    }
}

/// A burst of requests that nobody waits for to the end.
async fn hang_up(world: &World, key: &NewKey) {
    let requests = (0..CONNECTIONS).map(|_| async {
        let call = call(key);
        let request = call.request(&world.client, &world.edge.url()).send();
        let patience = Duration::from_millis(below(60));
        // Dropping the request closes its connection.
        let _ = timeout(patience, request).await;
    });
    join_all(requests).await;
}
