//! Hot answers are objects that the gate sends again and again: what belongs to one request must not reach another.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use keyward_tests::{Answer, World, world};
use serde_json::json;

use super::described::ask_about;
use super::number;

/// At once, so that the runtime has many answers on their way.
const AT_ONCE: usize = 64;
const ROUNDS: usize = 6;

/// Asks about requests of each of the keys by turns, many at once.
async fn crowd(world: &World, keys: &[&str]) -> Vec<Vec<Answer>> {
    let mut answers = vec![Vec::new(); keys.len()];
    for _ in 0..ROUNDS {
        let asked = (0..AT_ONCE).map(|n| async move {
            let which = n % keys.len();
            let ask = ask_about("GET", "/v1/customers").key(keys[which]);
            (which, world.send(&ask).await)
        });
        for (which, answer) in join_all(asked).await {
            answers[which].push(answer);
        }
    }
    answers
}

fn ids<'a>(answers: impl IntoIterator<Item = &'a Answer>) -> BTreeSet<&'a str> {
    let id = |answer: &'a Answer| answer.header("x-keyward-request-id").expect("an id");
    answers.into_iter().map(id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_a_crowd_name_their_own_key_request_and_remainder() {
    let world = world!();
    let limits = json!({"requestsPerMinute": 100_000, "requestsPerHour": 100_000});
    let ours = world
        .key(json!({"enforcement": "strict", "rateLimits": limits}))
        .await;
    let theirs = world.key(json!({"rateLimits": limits})).await;
    let answers = crowd(&world, &[&ours.token, &theirs.token]).await;
    for (answers, key) in answers.iter().zip([&ours, &theirs]) {
        for answer in answers {
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.header("x-keyward-key-id"), Some(key.key.id.as_str()));
        }
    }
    assert_eq!(ids(answers.iter().flatten()).len(), ROUNDS * AT_ONCE);
    // The guard counts a strict key's requests one by one, so no two of them leave the same.
    let remainders = answers[0]
        .iter()
        .map(|answer| number(answer, "x-ratelimit-remaining"));
    let different: BTreeSet<u64> = remainders.collect();
    assert_eq!(different.len(), answers[0].len());
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_a_crowd_have_their_own_id_and_wait_in_head_and_body() {
    let world = world!();
    let full = world
        .key(json!({"rateLimits": {"requestsPerMinute": 90_000, "requestsPerHour": 1}}))
        .await;
    let other = world
        .key(json!({"rateLimits": {"requestsPerMinute": 100_000, "requestsPerHour": 1}}))
        .await;
    for key in [&full, &other] {
        world
            .send(&ask_about("GET", "/v1/customers").key(&key.token))
            .await;
    }
    let keys = [full.token.as_str(), other.token.as_str(), "kw_prod_sk_x"];
    let answers = crowd(&world, &keys).await;
    for (answers, limit) in answers.iter().zip([90_000, 100_000]) {
        for answer in answers {
            let body = answer.refusal(429, "rate_limited");
            assert_eq!(body["violatedPolicies"], json!(["hour"]));
            assert_eq!(body["rateLimits"]["requestsPerMinute"], limit);
            assert_eq!(body["retryAfter"], number(answer, "retry-after"), "{body}");
        }
    }
    for answer in &answers[2] {
        answer.refusal(401, "malformed_credential");
    }
    assert_eq!(ids(answers.iter().flatten()).len(), ROUNDS * AT_ONCE);
}
