//! The schedule of an environment: when a key's token is due to be replaced, and which are.

use serde_json::{Value, json};

use crate::support::App;
use crate::support::app::text;

const DAY: u64 = 24 * 60 * 60 * 1000;

async fn schedule(app: &App, environment: &str, account: &str, days: Value) {
    let path = format!("/v1/environments/{environment}?account={account}");
    let body = json!({"rotateAfterDays": days});
    let changed = app.patch(&path, body).await.expect(200);
    assert_eq!(changed["environment"]["rotateAfterDays"], days);
}

async fn key(app: &App, name: &str, more: Value) -> String {
    let mut body = json!({"name": name});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    text(&app.key(body).await.0["id"])
}

async fn due_at(app: &App, id: &str) -> Value {
    let shown = app.get(&format!("/v1/keys/{id}")).await.expect(200);
    shown["rotationDueAt"].clone()
}

/// The root account's id.
async fn root(app: &App) -> String {
    let accounts = app.get("/v1/accounts").await.expect(200);
    let mut rows = accounts["data"].as_array().unwrap().iter();
    text(&rows.find(|row| row["parentId"].is_null()).unwrap()["id"])
}

/// Names of the keys that a list gives.
async fn listed(app: &App, query: &str) -> Vec<String> {
    let list = app.get(&format!("/v1/keys?{query}")).await.expect(200);
    let rows = list["data"].as_array().unwrap();
    let mut names: Vec<_> = rows.iter().map(|row| text(&row["name"])).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_key_is_due_from_the_very_millisecond_on_and_not_before() {
    let app = App::start().await;
    let root = root(&app).await;
    let id = key(&app, "k", json!({})).await;
    assert_eq!(due_at(&app, &id).await, Value::Null);
    assert!(listed(&app, "rotationDue=true").await.is_empty());
    schedule(&app, "production", &root, json!(30)).await;
    assert_eq!(due_at(&app, &id).await, "2027-02-14T08:00:00.000Z");
    app.clock.advance(25 * DAY - 1);
    assert!(listed(&app, "rotationDueWithinDays=5").await.is_empty());
    app.clock.advance(1);
    assert_eq!(listed(&app, "rotationDueWithinDays=5").await, ["k"]);
    app.clock.advance(5 * DAY - 1);
    assert!(listed(&app, "rotationDue=true").await.is_empty());
    assert!(listed(&app, "rotationDueWithinDays=0").await.is_empty());
    app.clock.advance(1);
    assert_eq!(listed(&app, "rotationDue=true").await, ["k"]);
    let list = app.get("/v1/keys?rotationDue=true").await.expect(200);
    assert_eq!(list["data"][0]["rotationDueAt"], "2027-02-14T08:00:00.000Z");
    schedule(&app, "production", &root, json!(31)).await;
    assert!(listed(&app, "rotationDue=true").await.is_empty());
    schedule(&app, "production", &root, Value::Null).await;
    assert_eq!(due_at(&app, &id).await, Value::Null);
    for (query, field) in [
        ("rotationDue=yes", "rotationDue"),
        ("rotationDueWithinDays=-1", "rotationDueWithinDays"),
    ] {
        app.get(&format!("/v1/keys?{query}"))
            .await
            .refuses(&[field]);
    }
}

#[tokio::test]
async fn the_time_counts_from_the_making_of_the_token_in_use() {
    let app = App::start().await;
    let root = root(&app).await;
    schedule(&app, "production", &root, json!(10)).await;
    let id = key(&app, "k", json!({})).await;
    let path = format!("/v1/keys/{id}");
    app.clock.advance(10 * DAY);
    assert_eq!(listed(&app, "rotationDue=true").await, ["k"]);
    let rotated = app
        .post(&format!("{path}/rotate"), json!({"graceSeconds": 60}))
        .await
        .expect(200);
    assert_eq!(rotated["key"]["rotationDueAt"], "2027-02-04T08:00:00.000Z");
    assert!(listed(&app, "rotationDue=true").await.is_empty());
    // The old token is in use again, and is as old as it was.
    let cancelled = app
        .post(&format!("{path}/rotation/cancel"), json!({}))
        .await
        .expect(200);
    assert_eq!(
        cancelled["key"]["rotationDueAt"],
        "2027-01-25T08:00:00.000Z"
    );
    assert_eq!(listed(&app, "rotationDue=true").await, ["k"]);
    // Other changes make no token, and one without a grace does.
    app.clock.advance(DAY);
    app.patch(&path, json!({"name": "l"})).await.expect(200);
    assert_eq!(listed(&app, "rotationDue=true").await, ["l"]);
    app.post(&format!("{path}/rotate"), json!({}))
        .await
        .expect(200);
    assert_eq!(due_at(&app, &id).await, "2027-02-05T08:00:00.000Z");
}

#[tokio::test]
async fn the_schedule_of_the_nearest_account_counts_for_each_environment_by_itself() {
    let app = App::start().await;
    let root = root(&app).await;
    let parent = app.account(json!({"name": "parent"})).await;
    let body = json!({"name": "child", "parentId": parent});
    let child = app.account(body).await;
    let body =
        json!({"name": "load-test", "code": "lt", "accountId": parent, "rotateAfterDays": 1});
    app.environment(body).await;
    let of = |account: &str, environment: &str| json!({"accountId": account, "environment": environment});
    for (name, account, environment) in [
        ("root", root.as_str(), "production"),
        ("parent", parent.as_str(), "production"),
        ("child", child.as_str(), "production"),
        ("staging", child.as_str(), "staging"),
        ("own", child.as_str(), "load-test"),
    ] {
        key(&app, name, of(account, environment)).await;
    }
    schedule(&app, "production", &root, json!(2)).await;
    app.clock.advance(2 * DAY);
    let due = || listed(&app, "rotationDue=true");
    assert_eq!(due().await, ["child", "own", "parent", "root"]);
    // Below, another schedule and none.
    schedule(&app, "production", &parent, json!(3)).await;
    assert_eq!(due().await, ["own", "root"]);
    schedule(&app, "production", &child, Value::Null).await;
    app.clock.advance(DAY);
    assert_eq!(due().await, ["own", "parent", "root"]);
    assert_eq!(
        listed(&app, &format!("rotationDue=true&account={child}")).await,
        ["own"]
    );
    let path = format!("/v1/environments?account={child}");
    let shown = app.get(&path).await.expect(200);
    let days: Vec<_> = shown["data"].as_array().unwrap().iter().collect();
    let days: Vec<_> = days
        .iter()
        .map(|row| {
            (
                row["name"].as_str().unwrap(),
                row["rotateAfterDays"].as_u64(),
            )
        })
        .collect();
    let expected = [
        ("load-test", Some(1)),
        ("staging", None),
        ("production", None),
        ("development", None),
    ];
    assert_eq!(days, expected);
}

#[tokio::test]
async fn keys_that_nobody_can_use_are_not_due() {
    let app = App::start().await;
    let root = root(&app).await;
    schedule(&app, "production", &root, json!(1)).await;
    key(&app, "active", json!({})).await;
    let revoked = key(&app, "revoked", json!({})).await;
    let deleted = key(&app, "deleted", json!({})).await;
    key(
        &app,
        "expired",
        json!({"expiresAt": "2027-01-17T08:00:00Z"}),
    )
    .await;
    app.post(&format!("/v1/keys/{revoked}/revoke"), json!({}))
        .await
        .expect(200);
    app.delete(&format!("/v1/keys/{deleted}")).await.expect(200);
    app.clock.advance(2 * DAY);
    assert_eq!(listed(&app, "rotationDue=true").await, ["active"]);
}

#[tokio::test]
async fn an_imported_key_is_as_old_as_it_says() {
    let app = App::start().await;
    let root = root(&app).await;
    schedule(&app, "production", &root, json!(30)).await;
    let line = |n: u8, more: &str| format!("{{\"hash\":\"{n:064}\",\"name\":\"{n}\"{more}}}\n");
    let lines = line(1, ",\"createdAt\":\"2026-12-16T08:00:00Z\"") + &line(2, "");
    let request = app
        .request(reqwest::Method::POST, "/v1/imports")
        .header("content-type", "application/x-ndjson")
        .body(lines);
    assert_eq!(request.send().await.unwrap().status(), 201);
    assert_eq!(listed(&app, "rotationDue=true").await, ["1"]);
}
