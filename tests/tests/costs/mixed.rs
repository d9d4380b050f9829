//! Requests of different costs at once.

use std::time::{Duration, Instant};

use keyward_tests::{EdgeOptions, PATIENCE, Samples, World, WorldOptions, world};
use serde_json::json;

use crate::{costing, priced};

const LIMIT: u64 = 300;

async fn run(world: &World, cost: u32, token: &str) -> Samples {
    let load = world.load(&costing(cost, token));
    load.connections(8).count(150).run().await
}

/// Takes the rest of the limit in single units, as leases give back what they did not spend. Gives how much it was.
async fn the_rest(world: &World, token: &str, rest: u64) -> u64 {
    let deadline = Instant::now() + PATIENCE;
    let mut taken = 0;
    while taken < rest && Instant::now() < deadline {
        let answer = world.send(&costing(1, token)).await;
        if answer.status == 200 {
            taken += 1;
        } else {
            answer.refusal(429, "rate_limited");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    taken
}

#[tokio::test(flavor = "multi_thread")]
async fn costs_of_one_five_and_seven_at_once_never_pass_the_limit_and_in_the_end_fill_it() {
    let world = world!(WorldOptions {
        edge: EdgeOptions {
            gates: 2,
            ..EdgeOptions::default()
        },
        ..WorldOptions::default()
    });
    priced(&world, &[5, 7]).await;
    for enforcement in ["leased", "strict"] {
        // Of an hour, so that nothing comes back by itself while the test runs.
        let limits = json!({"requestsPerMinute": 1_000_000, "requestsPerHour": LIMIT});
        let settings = json!({"rateLimits": limits, "enforcement": enforcement});
        let token = world.key(settings).await.token;
        let (sevens, fives) = tokio::join!(run(&world, 7, &token), run(&world, 5, &token));
        for samples in [&sevens, &fives] {
            assert!(samples.count(429) > 0, "{:?}", samples.codes());
        }
        let spent = 7 * sevens.count(200) + 5 * fives.count(200);
        assert!((1..=LIMIT).contains(&spent), "{enforcement}: {spent}");
        let rest = the_rest(&world, &token, LIMIT - spent).await;
        assert_eq!(spent + rest, LIMIT, "{enforcement}");
        for _ in 0..5 {
            let answer = world.send(&costing(1, &token)).await;
            answer.refusal(429, "rate_limited");
        }
    }
}
