//! `POST /v1/explain` tells what the guard knows of a quota, without touching it.

use std::time::Duration;

use keyward_tests::{API_HOST, Call, World, WorldOptions, world};
use serde_json::{Value, json};

/// The step about the quota.
async fn quota(world: &World, key: &str, path: &str, method: &str) -> Value {
    let body = json!({"host": API_HOST, "keyId": key, "path": path, "method": method});
    let answer = world.admin.send("POST", "/v1/explain", Some(&body)).await;
    let explained = answer.expect("an answer");
    assert_eq!(explained.status, 200, "{}", explained.text());
    let explained = explained.json();
    let steps = explained["steps"].as_array().expect("steps").iter();
    let step = steps.last().expect("a step").clone();
    assert_eq!(step["step"], "quota", "{explained}");
    step
}

/// Of each window: its name, its limit, and what is left.
fn windows(step: &Value) -> Vec<(String, u64, u64)> {
    let edges = step["saw"]["edges"].as_array().expect("edges");
    let [edge] = edges.as_slice() else {
        panic!("one edge: {step}");
    };
    let windows = edge["windows"].as_array().into_iter().flatten();
    let window = |one: &Value| {
        let name = one["window"].as_str().expect("a name").to_owned();
        let number = |field: &str| one[field].as_u64().expect("a number");
        (name, number("limit"), number("left"))
    };
    windows.map(window).collect()
}

async fn made(world: &World, method: &str, path: &str, body: Value) -> Value {
    let answer = world.admin.send(method, path, Some(&body)).await;
    let answer = answer.expect("an answer");
    assert!(answer.status < 300, "{}", answer.text());
    answer.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_tells_what_is_left_of_window_plan_credits_and_identity_and_takes_nothing() {
    let world = world!(WorldOptions {
        // In the end the edge is away.
        propagation_wait: Some(Duration::from_secs(20)),
        ..WorldOptions::default()
    });
    let path = format!("/v1/accounts/{}", world.account);
    made(
        &world,
        "PATCH",
        &path,
        json!({"plan": {"requestsPerMonth": 1_000}}),
    )
    .await;
    let limits = json!({"requestsPerHour": 200});
    let body = json!({"name": "Acme", "accountId": world.account, "rateLimits": limits});
    let identity = made(&world, "POST", "/v1/identities", body).await;
    let settings = json!({
        "enforcement": "strict", "identityId": identity["identity"]["id"], "credits": {"remaining": 9},
        "rateLimits": {"requestsPerMinute": 1_000_000, "requestsPerHour": 100},
    });
    let key = world.key(settings).await;
    let id = key.key.id.as_str();
    let expected = |used: u64| {
        let of = |name: &str, limit: u64| (name.to_owned(), limit, limit - used);
        vec![
            of("hour", 100),
            of("identity-hour", 200),
            of("month", 1_000),
            of("credits", 9),
        ]
    };
    let customers = "/v1/customers";
    // Of the minute something may be back by now.
    let but_the_minute = |step: &Value| {
        let mut windows = windows(step);
        assert_eq!(windows.remove(0).0, "minute");
        windows
    };
    let fresh = quota(&world, id, customers, "GET").await;
    assert_eq!(fresh["outcome"], "passed");
    assert_eq!(but_the_minute(&fresh), expected(0));
    let call = Call::get(customers).key(&key.token);
    for _ in 0..3 {
        assert_eq!(world.send(&call).await.status, 200);
    }
    for _ in 0..2 {
        let used = quota(&world, id, customers, "GET").await;
        assert_eq!(used["outcome"], "passed");
        assert_eq!(but_the_minute(&used), expected(3));
    }
    for _ in 0..3 {
        assert_eq!(world.send(&call).await.status, 200);
    }
    // Three credits are left, and a report costs five.
    let reports = quota(&world, id, "/v1/reports", "POST").await;
    assert_eq!(reports["outcome"], "failed");
    assert_eq!(reports["detail"], "Too little is left at the edge now");
    assert_eq!(but_the_minute(&reports), expected(6));
    let cheap = quota(&world, id, customers, "GET").await;
    assert_eq!(cheap["outcome"], "passed");

    world.edge.kill();
    let away = quota(&world, id, customers, "GET").await;
    assert_eq!(away["outcome"], "unknown");
    let why = away["saw"]["edges"][0]["error"].as_str().expect("why");
    assert!(why.starts_with("no answer"), "{why}");
    assert_eq!(
        away["detail"],
        "The edge counts, and can't be asked what is left"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn units_that_gates_hold_are_told_and_count_as_used() {
    let world = world!();
    let settings =
        json!({"rateLimits": {"requestsPerMinute": 1_000_000, "requestsPerHour": 1_000}});
    let key = world.key(settings).await;
    let call = Call::get("/v1/customers").key(&key.token);
    for _ in 0..20 {
        assert_eq!(world.send(&call).await.status, 200);
    }
    let step = quota(&world, &key.key.id, "/v1/customers", "GET").await;
    let hour = windows(&step).remove(1);
    assert_eq!((hour.0.as_str(), hour.1), ("hour", 1_000));
    let leased = step["saw"]["edges"][0]["leasedOut"].as_u64();
    let leased = leased.expect("a number");
    assert!(hour.2 <= 980, "{step}");
    assert!(1_000 - hour.2 <= 20 + leased, "{step}");
}
