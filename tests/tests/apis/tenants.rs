//! Whose keys open whose APIs: those of the same account and of one above or below it, and no others.

use keyward_tests::{World, world};
use serde_json::json;

use crate::{account, api, get, reached};

/// An account beside the demo account, with an API of its own. Gives its id.
async fn tenant(world: &World, name: &str, host: &str) -> String {
    let account = account(world, name).await;
    api(world, name, host, json!({"accountId": account})).await;
    account
}

async fn key_of(world: &World, account: &str, enforcement: &str) -> String {
    let settings = json!({"accountId": account, "enforcement": enforcement});
    world.key(settings).await.token
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_one_account_is_as_unknown_at_anothers_api_as_a_key_that_nobody_has() {
    let world = world!();
    let a = tenant(&world, "a", "a.example.test").await;
    let b = tenant(&world, "b", "b.example.test").await;
    for enforcement in ["leased", "strict"] {
        let of_a = key_of(&world, &a, enforcement).await;
        let of_b = key_of(&world, &b, enforcement).await;
        let nobodys = world.secrets.unissued_token("prod", &a);
        for _ in 0..2 {
            let own = world.send(&get("a.example.test", &of_a)).await;
            assert_eq!(reached(&own), "a");
            let own = world.send(&get("b.example.test", &of_b)).await;
            assert_eq!(reached(&own), "b");
            for (host, foreign) in [("b.example.test", &of_a), ("a.example.test", &of_b)] {
                let unknown = world.send(&get(host, &nobodys)).await;
                let foreign = world.send(&get(host, foreign)).await;
                let mut told = foreign.refusal(401, "invalid_key");
                assert_eq!(told["detail"], "Invalid or revoked API key");
                let mut expected = unknown.refusal(401, "invalid_key");
                told["requestId"] = json!("");
                expected["requestId"] = json!("");
                assert_eq!(told, expected);
                let challenge = foreign.header("www-authenticate");
                assert_eq!(challenge, unknown.header("www-authenticate"));
            }
        }
    }
    for seen in world.upstream.requests() {
        let account = seen.headers["x-keyward-account-id"].to_str().unwrap();
        let own = if seen.target.starts_with("/a/") {
            &a
        } else {
            &b
        };
        assert_eq!(account, own, "{}", seen.target);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platforms_api_takes_its_customers_keys_and_a_customers_api_its_platforms_but_not_a_siblings()
 {
    let world = world!();
    let platform = tenant(&world, "platform", "platform.example.test").await;
    let one = world.account_below(&platform).await;
    let other = world.account_below(&platform).await;
    api(&world, "one", "one.example.test", json!({"accountId": one})).await;
    for enforcement in ["leased", "strict"] {
        for (account, host, passes) in [
            (&platform, "platform.example.test", true),
            (&one, "platform.example.test", true),
            (&other, "platform.example.test", true),
            (&platform, "one.example.test", true),
            (&one, "one.example.test", true),
            (&other, "one.example.test", false),
            (&world.account, "one.example.test", false),
            (&world.account, "platform.example.test", false),
        ] {
            let key = key_of(&world, account, enforcement).await;
            let answer = world.send(&get(host, &key)).await;
            if passes {
                reached(&answer);
                let seen = world.upstream.last().expect("it came through");
                assert_eq!(seen.headers["x-keyward-account-id"], account.as_str());
            } else {
                answer.refusal(401, "invalid_key");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_api_can_not_use_up_a_keys_quota() {
    let world = world!();
    let a = tenant(&world, "a", "a.example.test").await;
    tenant(&world, "b", "b.example.test").await;
    let settings = json!({"accountId": a, "rateLimits": {"requestsPerMinute": 1}});
    let key = world.key(settings).await.token;
    for _ in 0..5 {
        let answer = world.send(&get("b.example.test", &key)).await;
        answer.refusal(401, "invalid_key");
        assert_eq!(answer.header("x-ratelimit-limit"), None);
    }
    assert_eq!(
        reached(&world.send(&get("a.example.test", &key)).await),
        "a"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_apis_of_an_account_share_the_quota_of_its_keys() {
    let world = world!();
    api(&world, "one", "one.example.test", json!({})).await;
    api(&world, "two", "two.example.test", json!({})).await;
    for enforcement in ["leased", "strict"] {
        let limits = json!({"requestsPerMinute": 3});
        let settings = json!({"rateLimits": limits, "enforcement": enforcement});
        let key = world.key(settings).await.token;
        for (host, remaining) in [("one", "2"), ("two", "1"), ("one", "0")] {
            let call = get(&format!("{host}.example.test"), &key);
            let answer = world.send(&call).await;
            assert_eq!(reached(&answer), host);
            assert_eq!(answer.header("x-ratelimit-remaining"), Some(remaining));
        }
        for host in ["one.example.test", "two.example.test"] {
            let answer = world.send(&get(host, &key)).await;
            answer.refusal(429, "rate_limited");
        }
    }
}
