//! A guard whose storage holds something that it can't read.

use keyward_tests::{PATIENCE, World, eventually, world};
use serde_json::json;
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use crate::{customers, is_unavailable, passes, send};

/// Runs a statement on the storage of every guard, while the edge is down.
async fn damage(world: &World, statement: &'static str, key: &str) {
    world.edge.kill();
    let mut touched = 0;
    for file in world.edge.guard_files() {
        let options = SqliteConnectOptions::new().filename(&file);
        let mut database = options.connect().await.expect("a guard's storage opens");
        let done = sqlx::query(statement).bind(key).execute(&mut database);
        touched += done.await.expect("it can be changed").rows_affected();
    }
    assert_eq!(touched, 1, "{statement}");
    world.edge.restart().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_ledger_is_damaged_is_refused_and_harms_no_other() {
    let world = world!();
    let key = world.key(json!({})).await;
    let other = world.key(json!({})).await;
    for key in [&key, &other] {
        passes(&send(&world, &customers(&key.token)).await);
    }
    let statement = "update ledgers set body = '{\"minute\": \"damaged\"}' where key = $1";
    eventually("the ledger is written", PATIENCE, || async {
        let ledgers = world.edge.storage().await.ledgers;
        ledgers.contains_key(&key.key.id).then_some(())
    })
    .await;
    damage(&world, statement, &key.key.id).await;
    for _ in 0..3 {
        is_unavailable(&send(&world, &customers(&key.token)).await);
        passes(&send(&world, &customers(&other.token)).await);
    }
}
