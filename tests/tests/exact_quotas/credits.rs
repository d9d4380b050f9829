//! Credits: a key spends exactly what it was given and what is refilled.

use std::time::Duration;

use keyward_tests::{Call, PATIENCE, PushedKey, World, eventually, world};
use serde_json::{Value, json};
use shared::columns;
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use crate::quota::{ENFORCEMENTS, assert_passed_or, hammer, load_with};
use crate::{away_from_midnight, two_gates};

const CONNECTIONS: usize = 64;
const DAY_MS: u64 = 86_400_000;

async fn spend_all(world: &World, key: &PushedKey, expected: u64) {
    let load = load_with(world, &key.token, CONNECTIONS);
    let samples = hammer(load, expected).await;
    assert_passed_or(&samples, "quota_exceeded");
    assert_eq!(samples.count(200), expected);
}

fn credits(serial: u64, granted: u64) -> Value {
    json!({"credits": {"serial": serial, "granted": granted}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_gets_exactly_its_credits_what_is_added_and_what_they_are_set_to() {
    let world = world!(two_gates());
    for enforcement in ENFORCEMENTS {
        let account = world.pushed_account();
        let mut settings = credits(1, 100);
        settings["enforcement"] = enforcement.into();
        let key = account.key(settings).await;
        spend_all(&world, &key, 100).await;
        let answer = world
            .send(&Call::get("/v1/customers").key(&key.token))
            .await;
        let body = answer.refusal(429, "quota_exceeded");
        assert_eq!(body["violatedPolicies"], json!(["credits"]));
        assert_eq!(body["message"], json!("The quota is used up: credits"));
        // There is no refill, so no wait helps.
        assert_eq!(answer.header("retry-after"), None);
        assert_eq!(answer.header("ratelimit"), Some("\"credits\";r=0"));
        let key = account.change(&key, 1, credits(1, 120)).await;
        spend_all(&world, &key, 20).await;
        let key = account.change(&key, 2, credits(2, 10)).await;
        spend_all(&world, &key, 10).await;
        assert_eq!(world.upstream.count_of(&key.id), 130, "{enforcement}");
    }
}

/// The Worker's clock can't be moved, so what its guard has stored of time is: by a day, while it is down.
#[tokio::test(flavor = "multi_thread")]
async fn credits_are_refilled_at_midnight_without_a_push_and_after_a_kill() {
    let world = world!();
    for enforcement in ENFORCEMENTS {
        away_from_midnight(Duration::from_secs(90)).await;
        let account = world.pushed_account();
        let refill = json!({"amount": 30, "interval": "daily"});
        let credits = json!({"serial": 1, "granted": 50, "refill": refill});
        let settings = json!({"enforcement": enforcement, "credits": credits});
        let key = account.key(settings).await;
        spend_all(&world, &key, 50).await;
        let call = Call::get("/v1/customers").key(&key.token);
        let retry_after = world
            .send(&call)
            .await
            .header("retry-after")
            .map(str::parse);
        let Some(Ok(1..=86_400)) = retry_after else {
            panic!("until midnight: {retry_after:?}");
        };
        for _ in 0..2 {
            world.edge.kill();
            age(&world, &key.id).await;
            world.edge.restart().await;
            // Several that were missed are one: see the oracle in `shared`.
            spend_all(&world, &key, 30).await;
        }
        assert_eq!(world.upstream.count_of(&key.id), 110, "{enforcement}");
    }
}

/// Makes what a guard knows of a key's credits a day older.
async fn age(world: &World, key: &str) {
    for file in world.edge.guard_files() {
        let options = SqliteConnectOptions::new().filename(&file);
        let mut guard = options.connect().await.expect("a guard's storage opens");
        let query = sqlx::query_as("select body from ledgers where key = $1").bind(key);
        let row: Option<(String,)> = query.fetch_optional(&mut guard).await.expect("a row");
        let Some((body,)) = row else { continue };
        let mut ledger: Value = serde_json::from_str(&body).expect("JSON");
        let balance = ledger["credits"].as_str().expect("a balance");
        let mut rows: Vec<[u64; 2]> = columns::read(balance).expect("a balance");
        // The last row begins with the time until which refills are settled.
        let settled_at = &mut rows.last_mut().expect("a row")[0];
        assert!((*settled_at).abs_diff(keyward_tests::now()) < DAY_MS);
        *settled_at -= DAY_MS;
        ledger["credits"] = columns::write(&mut rows.into_iter()).into();
        let update = sqlx::query("update ledgers set body = $1 where key = $2");
        let done = update.bind(ledger.to_string()).bind(key);
        done.execute(&mut guard).await.expect("it is written");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_to_remain_is_never_more_than_the_credits() {
    let world = world!();
    let account = world.pushed_account();
    let mut settings = credits(1, 3);
    settings["limits"] = json!({"requestsPerMinute": 1_000});
    let key = account.key(settings).await;
    let call = Call::get("/v1/customers").key(&key.token);
    for remaining in ["2", "1", "0"] {
        let answer = world.send(&call).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("x-ratelimit-limit"), Some("3"));
        assert_eq!(answer.header("x-ratelimit-remaining"), Some(remaining));
        assert_eq!(
            answer.header("ratelimit-policy"),
            Some("\"minute\";q=1000;w=60, \"credits\";q=3")
        );
    }
    world.send(&call).await.refusal(429, "quota_exceeded");
    account
        .change(&key, 1, json!({"credits": Value::Null}))
        .await;
    eventually(
        "without credits it is not limited by them",
        PATIENCE,
        || async { (world.send(&call).await.status == 200).then_some(()) },
    )
    .await;
}
