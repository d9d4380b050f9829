//! `/v1/sync`: what is shown of the edges, and full deliveries on demand.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{text, version};
use crate::support::edge::Refusal;
use crate::support::{App, Edge, until};

#[tokio::test]
async fn of_two_edges_the_one_that_is_down_shows_its_lag_and_why() {
    let (up, down) = (Edge::start().await, Edge::start().await);
    let app = App::with_absent_edges(&[up.url(), down.url()]).await;
    app.key(json!({"name": "k"})).await;
    until("both have everything", || async {
        let waiting = app.database.number("select count(*) from outbox").await;
        (waiting == Some(0)).then_some(())
    })
    .await;
    down.seen.answer(Some(Refusal::Status(503)));
    for _ in 0..3 {
        app.key(json!({"name": "k"})).await;
    }
    let shown = until("the failure is shown", || async {
        let shown = app.get("/v1/sync").await.expect(200);
        let failed = shown["data"]
            .as_array()?
            .iter()
            .any(|t| t["reachable"] == false);
        let through = target(&shown, &up)["lag"]["urgent"]["records"] == 0;
        (failed && through).then_some(shown)
    })
    .await;
    let (up, down) = (target(&shown, &up), target(&shown, &down));
    assert_eq!(up["reachable"], true);
    assert_eq!(
        up["lag"]["urgent"],
        json!({"records": 0, "since": Value::Null})
    );
    assert_eq!(down["lag"]["urgent"]["records"], 3);
    assert_eq!(down["lag"]["urgent"]["since"], "2027-01-15T08:00:00.000Z");
    assert_eq!(down["lag"]["bulk"]["records"], 0);
    let why = text(&down["lastError"]["message"]);
    assert_eq!(why, "the edge answered 503 Service Unavailable");
    assert!(down["lastSuccessAt"].is_string());
    for target in [up, down] {
        let holder = text(&target["holder"]);
        assert!(
            holder.ends_with(&format!("(process {})", std::process::id())),
            "{holder}"
        );
        assert_eq!(target["fullDelivery"], Value::Null);
    }
}

/// What is shown of an edge.
fn target(shown: &Value, edge: &Edge) -> Value {
    let targets = shown["data"].as_array().unwrap();
    let found = targets.iter().find(|t| t["url"] == edge.url());
    found.expect("the edge is shown").clone()
}

#[tokio::test]
async fn everything_is_delivered_again_on_demand_and_its_progress_is_shown() {
    let edge = Edge::start().await;
    let app = App::with_edges(&[edge.url()]).await;
    let mut keys = Vec::new();
    for _ in 0..5 {
        keys.push(text(&app.key(json!({"name": "k"})).await.0["id"]));
    }
    let before = edge.seen.records().len();
    let answer = app
        .post("/v1/sync/resync", json!({"target": edge.url()}))
        .await
        .expect(200);
    let delivery = &target(&answer, &edge)["fullDelivery"];
    assert_eq!(
        *delivery,
        json!({"kind": "account", "done": 0, "total": 6}),
        "the root and five keys"
    );
    until("it is done", || async {
        let shown = app.get("/v1/sync").await.expect(200);
        target(&shown, &edge)["fullDelivery"]
            .is_null()
            .then_some(())
    })
    .await;
    assert_eq!(edge.seen.records().len(), before + 6);
    for key in &keys {
        let shown = app.get(&format!("/v1/keys/{key}")).await.expect(200);
        let versions = edge.seen.versions(key);
        assert_eq!(versions, [version(&shown), version(&shown)]);
    }
}

#[tokio::test]
async fn edges_are_for_the_root_account_alone() {
    let edge = Edge::start().await;
    let app = App::with_edges(&[edge.url()]).await;
    let child = app.account(json!({"name": "child"})).await;
    let admin = app.admin_of(&child).await;
    for (method, path, body) in [
        (Method::GET, "/v1/sync", None),
        (Method::GET, "/v1/sync/status", None),
        (Method::POST, "/v1/sync/resync", Some(json!({}))),
        (Method::POST, "/v1/sync/repair", Some(json!({}))),
    ] {
        admin
            .send(method, path, body)
            .await
            .problem(404, "not_found");
    }
    let unknown = json!({"target": "https://nobody.example"});
    for path in ["/v1/sync/resync", "/v1/sync/repair"] {
        app.post(path, unknown.clone())
            .await
            .problem(404, "not_found");
    }
    for path in [
        "/v1/sync/status?target=https://nobody.example",
        "/v1/sync/status?accountId=acc_00000000",
    ] {
        app.get(path).await.problem(404, "not_found");
    }
    app.get("/v1/sync/status?kv=perhaps").await.refuses(&["kv"]);
}

#[tokio::test]
async fn an_edge_that_can_not_be_asked_is_said_to_be_so() {
    let edge = Edge::start().await;
    let app = App::with_edges(&[edge.url()]).await;
    // This one only receives.
    let status = app.get("/v1/sync/status").await.expect(200);
    assert_eq!(
        status["data"][0]["error"],
        "the edge refuses with 404 Not Found"
    );
    assert_eq!(status["data"][0]["drift"], json!([]));
}
