//! What several keys of an account spend of together: an identity's limits and the account's plan.

use std::time::Duration;

use keyward_tests::{Call, Load, PATIENCE, PushedKey, Samples, World, eventually, world};
use serde_json::{Value, json};

use crate::quota::{
    ENFORCEMENTS, assert_passed_or, assert_passed_or_limited, hammer_all, load_with,
};
use crate::{away_from_midnight, two_gates};

const KEYS: usize = 4;
const CONNECTIONS: usize = 16;
const LIMIT: u64 = 100;
const IDENTITY: &str = "idn_1";

async fn keys(account: &keyward_tests::PushedAccount<'_>, settings: Value) -> Vec<PushedKey> {
    let mut keys = Vec::new();
    for _ in 0..KEYS {
        keys.push(account.key(settings.clone()).await);
    }
    keys
}

fn loads(world: &World, keys: &[PushedKey]) -> Vec<Load> {
    let tokens = keys.iter().map(|key| &key.token);
    let load = |token: &String| load_with(world, token, CONNECTIONS);
    tokens.map(load).collect()
}

fn reached(world: &World, keys: &[PushedKey]) -> u64 {
    let counts = keys.iter().map(|key| world.upstream.count_of(&key.id));
    counts.sum()
}

async fn verdict(world: &World, key: &PushedKey) -> Value {
    let described = json!({"key": key.token, "path": "/v1/customers"});
    let call = Call::post("/.keyward/verify").json(&described);
    world.send(&call).await.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_of_an_identity_get_exactly_its_limit_together() {
    let world = world!(two_gates());
    for enforcement in ENFORCEMENTS {
        let account = world.pushed_account();
        let limits = json!({"requestsPerMinute": 5_000, "requestsPerHour": LIMIT});
        account.identity(IDENTITY, 0, limits).await;
        let settings = json!({"identity": IDENTITY, "enforcement": enforcement});
        let keys = keys(&account, settings).await;
        let samples = hammer_all(loads(&world, &keys), LIMIT).await;
        assert_passed_or_limited(&samples);
        assert_eq!(samples.count(200), LIMIT, "{enforcement}");
        assert_eq!(reached(&world, &keys), LIMIT);
        let verdict = verdict(&world, &keys[0]).await;
        assert_eq!(verdict["violatedPolicies"], json!(["identity-hour"]));
        // A key of another identity, or of none, is not held up.
        let free = account.key(json!({"enforcement": enforcement})).await;
        let call = Call::get("/v1/customers").key(&free.token);
        assert_eq!(world.send(&call).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_of_an_account_get_exactly_its_plan_together() {
    let world = world!(two_gates());
    for enforcement in ENFORCEMENTS {
        away_from_midnight(Duration::from_secs(60)).await;
        let account = world.pushed_account();
        account.plan(0, Some(LIMIT)).await;
        let keys = keys(&account, json!({"enforcement": enforcement})).await;
        let samples = hammer_all(loads(&world, &keys), LIMIT).await;
        assert_passed_or(&samples, "quota_exceeded");
        assert_eq!(samples.count(200), LIMIT, "{enforcement}");
        assert_eq!(reached(&world, &keys), LIMIT);
        let call = Call::get("/v1/customers").key(&keys[1].token);
        let answer = world.send(&call).await;
        let body = answer.refusal(429, "quota_exceeded");
        assert_eq!(body["violatedPolicies"], json!(["month"]));
        let retry_after: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=31 * 86_400).contains(&retry_after), "{retry_after}");
        assert_eq!(
            answer.header("ratelimit"),
            Some(&*format!("\"month\";r=0;t={retry_after}"))
        );
        let policy = answer.header("ratelimit-policy");
        assert_eq!(policy, Some("\"month\";q=100"));
        // A larger plan is in force at once, and what was used stays used.
        account.plan(1, Some(LIMIT + 7)).await;
        let more = hammer_all(loads(&world, &keys), 7).await;
        assert_eq!(more.count(200), 7, "{enforcement}");
        account.plan(2, None).await;
        eventually("without a plan nothing is counted", PATIENCE, || async {
            (world.send(&call).await.status == 200).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_under_load_never_lets_more_pass_of_what_is_shared() {
    let world = world!();
    world.upstream.set_delay(Duration::from_millis(10));
    for enforcement in ENFORCEMENTS {
        away_from_midnight(Duration::from_secs(60)).await;
        let account = world.pushed_account();
        let identity = format!("idn_{enforcement}");
        account.plan(0, Some(10 * LIMIT)).await;
        account
            .identity(&identity, 0, json!({"requestsPerHour": LIMIT}))
            .await;
        let credits = json!({"serial": 1, "granted": 10 * LIMIT});
        let settings =
            json!({"identity": identity, "enforcement": enforcement, "credits": credits});
        let keys = keys(&account, settings).await;
        let running: Vec<_> = loads(&world, &keys).into_iter().map(Load::start).collect();
        eventually("some requests pass", PATIENCE, || async {
            let passed: u64 = running.iter().map(|load| load.count(200)).sum();
            (passed >= LIMIT / 3).then_some(())
        })
        .await;
        world.edge.kill();
        let storage = world.edge.storage().await;
        let debited = storage.ledger(&format!(".{identity}")).debited();
        let of_keys: u64 = keys.iter().map(|k| storage.ledger(&k.id).debited()).sum();
        assert_eq!(debited, of_keys, "taken together");
        let mut first = Samples::default();
        for load in running {
            first.extend(load.stop().await);
        }
        world.edge.restart().await;
        let left = LIMIT - debited;
        let second = hammer_all(loads(&world, &keys), left).await;
        let reached = reached(&world, &keys);
        println!("{enforcement}: {debited} debited, {reached} of {LIMIT} reached the upstream");
        assert!(reached <= LIMIT, "{reached} of {LIMIT}");
        assert!(first.count(200) + second.count(200) <= reached);
        assert_passed_or_limited(&second);
        assert_eq!(second.count(200), left, "what was not debited can be spent");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_identity_is_not_there_or_gone_gets_nothing() {
    let world = world!();
    for enforcement in ENFORCEMENTS {
        let account = world.pushed_account();
        let settings = json!({"identity": IDENTITY, "enforcement": enforcement});
        let key = account.key(settings).await;
        let call = Call::get("/v1/customers").key(&key.token);
        let refused = async || {
            let answer = world.send(&call).await;
            let body = answer.refusal(429, "rate_limited");
            let policies = json!(["identity-minute", "identity-hour", "identity-day"]);
            assert_eq!(body["violatedPolicies"], policies);
            assert_eq!(answer.header("retry-after"), None, "no wait helps");
        };
        let passes = async || {
            eventually("it is known", PATIENCE, || async {
                (world.send(&call).await.status == 200).then_some(())
            })
            .await;
        };
        refused().await;
        let limits = json!({"requestsPerMinute": 1_000});
        account.identity(IDENTITY, 0, limits.clone()).await;
        passes().await;
        account.no_identity(IDENTITY, 1).await;
        eventually("it is gone", PATIENCE, || async {
            (world.send(&call).await.status == 429).then_some(())
        })
        .await;
        refused().await;
        account
            .change(&key, 1, json!({"identity": Value::Null}))
            .await;
        passes().await;
    }
}
