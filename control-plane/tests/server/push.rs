//! What the edges are given.

use serde_json::{Value, json};
use shared::message::MAX_PUSH_RECORDS;
use shared::record::{KeyState, Record};

use crate::support::app::{text, version};
use crate::support::{App, Edge, until};

#[tokio::test]
async fn every_change_arrives_before_the_call_answers_and_in_order() {
    let edge = Edge::start().await;
    let app = App::with_edges(&[edge.url()]).await;
    let (key, _) = app.key(json!({"name": "k"})).await;
    let id = text(&key["id"]);
    let mut versions = vec![version(&key)];
    for n in 2..=6 {
        let answer = app
            .patch(&format!("/v1/keys/{id}"), json!({"name": n.to_string()}))
            .await
            .expect(200);
        assert_eq!(answer["propagated"], true);
        versions.push(version(&answer["key"]));
        assert_eq!(edge.seen.versions(&id), versions);
    }
    assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
}

#[tokio::test]
async fn records_hold_what_was_set_and_who_stands_above() {
    let edge = Edge::start().await;
    let app = App::with_edges(&[edge.url()]).await;
    let root = text(&app.get("/v1/accounts").await.expect(200)["data"][0]["id"]);
    let child = app.account(json!({"name": "child"})).await;
    let grandchild = app
        .account(json!({"name": "grandchild", "parentId": child}))
        .await;
    let owner = app
        .member("a@example.com", "developer", Some(&grandchild))
        .await;
    let body = json!({
        "name": "k", "accountId": grandchild, "environment": "staging", "ownerId": owner,
        "permissions": ["a.*"], "resources": ["agent:1"], "allowedOrigins": ["https://a.example"],
        "allowMissingOrigin": true, "allowedIps": ["10.0.0.0/8"], "enforcement": "strict",
        "rateLimits": {"requestsPerHour": 7}, "expiresIn": "30d",
    });
    let (key, token) = app.key(body).await;
    let record = edge.seen.key(key["id"].as_str().unwrap()).unwrap();
    assert_eq!(
        serde_json::to_value(record).unwrap(),
        json!({
            "id": key["id"], "version": key["version"], "account": grandchild, "ancestors": [root, child], "owner": owner,
            "environment": "stg", "state": "active",
            "credentials": [{"hash": shared::token::KeyHash::of(&token).to_hex()}],
            "expiresAt": 1_802_592_000_000_u64, "permissions": ["a.*"], "resources": ["agent:1"],
            "allowedOrigins": ["https://a.example"], "allowMissingOrigin": true, "allowedIps": ["10.0.0.0/8"],
            "limits": {"requestsPerMinute": 60, "requestsPerHour": 7, "requestsPerDay": null},
            "enforcement": "strict",
        })
    );
    let Some(Record::Account(account)) = edge.seen.state().remove(&grandchild) else {
        panic!("the account is not at the edge");
    };
    assert_eq!(account.ancestors, [root, child]);
}

#[tokio::test]
async fn a_deleted_api_is_a_tombstone_without_hosts_and_a_deleted_account_one() {
    let edge = Edge::start().await;
    let app = App::with_edges(&[edge.url()]).await;
    let id = app.api("a.example").await;
    let Some(Record::Api(api)) = edge.seen.state().remove(&id) else {
        panic!("the API is not at the edge");
    };
    assert_eq!(api.endpoints[0].host, "a.example");
    let before = api.version;
    let answer = app.delete(&format!("/v1/apis/{id}")).await.expect(200);
    assert_eq!(answer["propagated"], true);
    let Some(Record::Api(api)) = edge.seen.state().remove(&id) else {
        panic!("the API is not at the edge");
    };
    assert!(api.deleted && api.endpoints.is_empty() && api.version > before);

    let account = app.account(json!({"name": "a"})).await;
    let before = edge.seen.versions(&account);
    app.delete(&format!("/v1/accounts/{account}"))
        .await
        .expect(200);
    let Some(Record::Account(record)) = edge.seen.state().remove(&account) else {
        panic!("the account is not at the edge");
    };
    assert!(record.deleted && vec![record.version] > before);
}

#[tokio::test]
async fn without_any_edge_nothing_is_propagated_and_nothing_piles_up() {
    let app = App::start().await;
    let made = app.post("/v1/keys", json!({"name": "k"})).await.expect(201);
    assert_eq!(made["propagated"], false);
    assert_eq!(waiting(&app).await, 0);
}

#[tokio::test]
async fn what_every_edge_has_is_forgotten() {
    let (one, two) = (Edge::start().await, Edge::start().await);
    let app = App::with_edges(&[one.url(), two.url()]).await;
    for n in 0..5 {
        app.key(json!({"name": n.to_string()})).await;
    }
    let app = &app;
    until("the outbox is empty", || async move {
        (waiting(app).await == 0).then_some(())
    })
    .await;
    assert_eq!(one.seen.state(), two.seen.state());
}

async fn waiting(app: &App) -> i64 {
    let waiting = app.database.number("select count(*) from outbox").await;
    waiting.unwrap()
}

#[tokio::test]
async fn a_new_edge_is_given_everything_tombstones_included() {
    let app = App::start().await;
    let account = app.account(json!({"name": "a"})).await;
    app.api("a.example").await;
    let mut keys = Vec::new();
    for n in 0..250 {
        keys.push(text(
            &app.key(json!({"name": n.to_string(), "accountId": account}))
                .await
                .0["id"],
        ));
    }
    app.post(&format!("/v1/keys/{}/revoke", keys[0]), json!({}))
        .await
        .expect(200);
    app.delete(&format!("/v1/keys/{}", keys[1]))
        .await
        .expect(200);

    let edge = Edge::start().await;
    let app = app.restart(&[edge.url()]).await;
    // Changes go on meanwhile.
    let changed = app
        .post(&format!("/v1/keys/{}/revoke", keys[2]), json!({}))
        .await
        .expect(200);
    let last = version(&changed["key"]);
    let seen = &edge.seen;
    until("everything has arrived", || async {
        (seen.state().len() == 253).then_some(())
    })
    .await;
    let key = |n: usize| seen.key(&keys[n]);
    until("the last change has arrived", || async {
        key(2).filter(|k| k.version == last)
    })
    .await;
    assert_eq!(key(0).unwrap().state, KeyState::Revoked);
    assert_eq!(key(1).unwrap().state, KeyState::Deleted);
    assert_eq!(key(2).unwrap().state, KeyState::Revoked);
    let sizes = edge.seen.batches();
    assert!(
        sizes.iter().all(|size| *size <= MAX_PUSH_RECORDS),
        "{sizes:?}"
    );
    let answer = app
        .patch(&format!("/v1/keys/{}", keys[3]), json!({"name": "x"}))
        .await
        .expect(200);
    assert_eq!(answer["propagated"], true);
}

#[tokio::test]
async fn an_edge_that_is_taken_out_and_put_back_is_given_everything_again() {
    let edge = Edge::start().await;
    let app = App::with_edges(&[edge.url()]).await;
    let (key, _) = app.key(json!({"name": "k"})).await;
    let path = format!("/v1/keys/{}", text(&key["id"]));
    let app = app.restart(&[]).await;
    app.delete(&path).await.expect(200);
    let app = app.restart(&[edge.url()]).await;
    let id = text(&key["id"]);
    let gone = || async { edge.seen.key(&id).filter(|k| k.state == KeyState::Deleted) };
    until("the deletion has arrived", gone).await;
    drop(app);
}

#[tokio::test]
async fn a_batch_stays_below_what_an_edge_takes() {
    let app = App::start().await;
    // About 100 KB each: 60 of them do not fit into one push.
    let many =
        |prefix: &str| -> Vec<String> { (0..256).map(|n| format!("{prefix}{n:0100}")).collect() };
    let origins: Vec<String> = many("https://a")
        .into_iter()
        .map(|o| format!("{o}.example"))
        .collect();
    let resources: Vec<String> = many("agent:")
        .into_iter()
        .map(|r| format!("{r}{}", "x".repeat(20)))
        .collect();
    let body = json!({"name": "k", "permissions": many("a."), "allowedOrigins": origins, "resources": resources});
    let mut ids: Vec<Value> = Vec::new();
    for _ in 0..60 {
        ids.push(app.key(body.clone()).await.0["id"].clone());
    }
    let edge = Edge::start().await;
    let app = app.restart(&[edge.url()]).await;
    let seen = &edge.seen;
    let all = || async { (seen.state().len() == 61).then_some(()) };
    until("everything has arrived", all).await;
    assert!(
        edge.seen.batches().iter().all(|size| *size < 60),
        "{:?}",
        edge.seen.batches()
    );
    drop(app);
}
