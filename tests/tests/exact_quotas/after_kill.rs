//! The same when the edge is killed in the middle: what is durable is exact, what is lost is never given twice.

use std::time::Duration;

use keyward_tests::{Ledger, NewKey, PATIENCE, World, below, eventually, world};
use tokio::time::sleep;

use crate::quota::{
    CONNECTIONS, ENFORCEMENTS, assert_passed_or_limited, hammer, key_per_hour, load, spend,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_two_halves_of_the_limit_leaves_the_sum_exact() {
    const LIMIT: u64 = 100;
    let world = world!();
    for enforcement in ENFORCEMENTS {
        let key = key_per_hour(&world, enforcement, LIMIT).await;
        let first = spend(&load(&world, &key), LIMIT / 2).await;
        // Units that were leased and not spent come back when the gate has reported.
        eventually("unspent units are given back", PATIENCE, || async {
            let ledger = ledger(&world, &key).await;
            (ledger.debited() == LIMIT / 2 && ledger.leased_out() == 0).then_some(())
        })
        .await;
        world.edge.kill();
        world.edge.restart().await;
        let second = hammer(load(&world, &key), LIMIT / 2).await;
        assert_passed_or_limited(&first);
        assert_passed_or_limited(&second);
        let passed = (first.count(200), second.count(200));
        assert_eq!(passed, (LIMIT / 2, LIMIT / 2), "{enforcement}");
        assert_eq!(world.upstream.count_of(&key.key.id), LIMIT);
    }
}

/// The bound on what a kill costs: the units that gates held in leases, and one for each request in flight, which may
/// have been debited and not have reached the upstream. Whatever the guard had not debited can still be spent, all of
/// it and no more.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_under_full_load_never_lets_more_pass_and_costs_no_more_than_was_leased() {
    const LIMITS: [u64; 3] = [100, 300, 300];
    let world = world!();
    // Requests stay in flight for a while, so that the kill meets some.
    world.upstream.set_delay(Duration::from_millis(10));
    for (limit, enforcement) in LIMITS
        .into_iter()
        .flat_map(|n| ENFORCEMENTS.map(|e| (n, e)))
    {
        let key = key_per_hour(&world, enforcement, limit).await;
        let under_fire = load(&world, &key).start();
        let kill_at = 1 + below(limit / 2);
        eventually("some requests pass", PATIENCE, || async {
            (under_fire.count(200) >= kill_at).then_some(())
        })
        .await;
        sleep(Duration::from_millis(below(20))).await;
        world.edge.kill();
        let ledger = ledger(&world, &key).await;
        let (debited, leased) = (ledger.debited(), ledger.leased_out());
        let first = under_fire.stop().await;
        world.edge.restart().await;
        let left = limit - debited;
        let second = hammer(load(&world, &key), left).await;

        let reached = world.upstream.count_of(&key.key.id);
        let seen = first.count(200) + second.count(200);
        println!(
            "{enforcement}: {debited} debited, {leased} of them leased out, {reached} of {limit} reached \
             the upstream"
        );
        assert!(reached <= limit, "{reached} of {limit}");
        assert!(
            seen <= reached,
            "{seen} passed, {reached} reached the upstream"
        );
        assert_passed_or_limited(&second);
        assert_eq!(second.count(200), left, "what was not debited can be spent");
        let lost = limit - reached;
        let bound = leased + CONNECTIONS as u64;
        assert!(lost <= bound, "{lost} lost, at most {bound} may be");
    }
}

async fn ledger(world: &World, key: &NewKey) -> Ledger {
    world.edge.storage().await.ledger(&key.key.id)
}
