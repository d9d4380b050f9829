//! Environments by endpoint: a key opens endpoints of its own environment only.

use keyward_tests::{World, world};
use serde_json::{Value, json};

use crate::{get, reached};

const ENVIRONMENTS: [(&str, &str); 5] = [
    ("production", "env.example.test"),
    ("staging", "staging.env.example.test"),
    ("development", "*.dev.env.example.test"),
    ("preview", "preview.env.example.test:8443"),
    // A second host of an environment.
    ("staging", "qa.env.example.test"),
];

/// An API with an endpoint, and an upstream, for each.
async fn every_environment(world: &World) {
    let preview = json!({"name": "preview", "accountId": world.account});
    let defined = world.admin.send("POST", "/v1/environments", Some(&preview));
    assert_eq!(defined.await.expect("an answer").status, 201);
    let endpoints: Vec<Value> = ENVIRONMENTS
        .iter()
        .map(|(environment, host)| {
            let upstream = format!("{}/{environment}", world.upstream.url());
            json!({"host": host, "environment": environment, "upstream": upstream})
        })
        .collect();
    world
        .api("unused.example.test", json!({"endpoints": endpoints}))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_opens_the_endpoints_of_its_environment_and_is_a_401_at_all_others() {
    let world = world!();
    every_environment(&world).await;
    for of_key in ["production", "staging", "development", "preview"] {
        for enforcement in ["leased", "strict"] {
            let settings = json!({"environment": of_key, "enforcement": enforcement});
            let key = world.key(settings).await;
            for (of_endpoint, host) in ENVIRONMENTS {
                let host = host.replace('*', "a");
                let answer = world.send(&get(&host, &key.token)).await;
                if of_key == of_endpoint {
                    assert_eq!(reached(&answer), of_endpoint);
                    let seen = world.upstream.last().expect("it came through");
                    assert_eq!(seen.headers["x-keyward-environment"], of_endpoint);
                    continue;
                }
                let body = answer.refusal(401, "wrong_environment");
                let detail = format!("This endpoint takes keys of the environment `{of_endpoint}`");
                assert_eq!(body["detail"], detail, "{of_key} at {host}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_changes_its_environment_takes_the_keys_of_the_new_one_only() {
    let world = world!();
    let endpoint = |environment: &str| json!({"endpoints": [{"host": "moving.example.test", "environment": environment}]});
    let api = world.api("moving.example.test", endpoint("staging")).await;
    let staging = world.key(json!({"environment": "staging"})).await;
    let production = world.key(json!({})).await;
    let call = |token: &str| get("moving.example.test", token);
    assert_eq!(world.send(&call(&staging.token)).await.status, 200);
    let patch = endpoint("production");
    assert!(world.admin.patch_api(&api, &patch).await.unwrap());
    let answer = world.send(&call(&staging.token)).await;
    answer.refusal(401, "wrong_environment");
    assert_eq!(world.send(&call(&production.token)).await.status, 200);
}
