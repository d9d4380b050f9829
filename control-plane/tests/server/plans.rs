//! What all keys of an account may spend together in a month.

use serde_json::{Value, json};
use shared::record::Record;

use crate::support::app::text;
use crate::support::{App, Edge};

const MOST: u64 = (1 << 53) - 1;

fn plan(limit: impl Into<Value>) -> Value {
    json!({"plan": {"requestsPerMonth": limit.into()}})
}

fn limit_at(edge: &Edge, account: &str) -> Option<u64> {
    match edge.seen.state().remove(account) {
        Some(Record::Account(record)) => record.requests_per_month,
        other => panic!("{account} is {other:?} at the edge"),
    }
}

#[tokio::test]
async fn a_plan_is_set_shown_taken_away_and_sent_to_the_edges() {
    let edge = Edge::start().await;
    let app = App::with_edges(&[edge.url()]).await;
    let body = json!({"name": "a", "plan": {"requestsPerMonth": 5}});
    let made = app.post("/v1/accounts", body).await.expect(201)["account"].clone();
    let id = text(&made["id"]);
    assert_eq!(made["plan"], json!({"requestsPerMonth": 5}));
    assert_eq!(limit_at(&edge, &id), Some(5));
    let path = format!("/v1/accounts/{id}");
    for (given, expected) in [(json!(MOST), Some(MOST)), (Value::Null, None)] {
        let changed = app.patch(&path, plan(given.clone())).await.expect(200);
        assert_eq!(changed["account"]["plan"]["requestsPerMonth"], given);
        assert_eq!(app.get(&path).await.expect(200), changed["account"]);
        assert_eq!(limit_at(&edge, &id), expected);
    }
    app.patch(&path, plan(7)).await.expect(200);
    for unsaid in [json!({"name": "b"}), json!({"plan": {}})] {
        app.patch(&path, unsaid).await.expect(200);
        assert_eq!(limit_at(&edge, &id), Some(7));
    }
    let other = app.account(json!({"name": "without"})).await;
    let shown = app.get(&format!("/v1/accounts/{other}")).await.expect(200);
    assert_eq!(shown["plan"], json!({"requestsPerMonth": null}));
}

#[tokio::test]
async fn a_tenant_does_not_raise_its_own_plan() {
    let app = App::start().await;
    let id = app
        .account(json!({"name": "a", "plan": {"requestsPerMonth": 5}}))
        .await;
    let path = format!("/v1/accounts/{id}");
    let owner = app
        .with_token(json!({"name": "t", "accountId": id, "role": "owner"}))
        .await;
    for body in [plan(6), plan(Value::Null)] {
        owner.patch(&path, body).await.problem(403, "forbidden");
    }
    owner
        .patch(&path, json!({"name": "renamed"}))
        .await
        .expect(200);
    let shown = owner.get(&path).await.expect(200);
    assert_eq!(shown["plan"], json!({"requestsPerMonth": 5}));

    let below = json!({"name": "below", "plan": {"requestsPerMonth": 3}});
    let below = owner.post("/v1/accounts", below).await.expect(201);
    let below = format!("/v1/accounts/{}", text(&below["account"]["id"]));
    owner.patch(&below, plan(4)).await.expect(200);

    // Nobody is above the root.
    let all = app.get("/v1/accounts").await.expect(200);
    let all = all["data"].as_array().unwrap();
    let root = all.iter().find(|a| a["parentId"].is_null()).unwrap();
    let root = format!("/v1/accounts/{}", text(&root["id"]));
    app.patch(&root, plan(1_000)).await.expect(200);
}

#[tokio::test]
async fn a_plan_is_a_whole_number_of_units() {
    let app = App::start().await;
    let path = format!("/v1/accounts/{}", app.account(json!({"name": "a"})).await);
    let field = "plan.requestsPerMonth";
    for bad in [json!(0), json!(MOST + 1), json!(-1), json!(1.5), json!("5")] {
        app.patch(&path, plan(bad.clone())).await.refuses(&[field]);
        let body = json!({"name": "a", "plan": {"requestsPerMonth": bad}});
        app.post("/v1/accounts", body).await.refuses(&[field]);
    }
    app.patch(&path, json!({"plan": null}))
        .await
        .refuses(&["plan"]);
}
