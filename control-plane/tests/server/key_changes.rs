//! `PATCH` and `DELETE /v1/keys/{id}`.

use serde_json::{Value, json};

use crate::support::App;
use crate::support::app::{text, version};

async fn made(app: &App) -> (String, Value) {
    let owner = app.member("a@example.com", "developer", None).await;
    let body = json!({
        "name": "k", "ownerId": owner, "permissions": ["a.read"], "expiresIn": "30d", "metadata": {"a": 1},
        "rateLimits": {"requestsPerMinute": 100, "requestsPerHour": 5000, "requestsPerDay": 100_000},
    });
    let (key, _) = app.key(body).await;
    (format!("/v1/keys/{}", text(&key["id"])), key)
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_nothing_else() {
    let app = App::start().await;
    let (path, mut key) = made(&app).await;
    app.clock.advance(1500);
    let patch = json!({"name": "renamed", "allowedIps": ["10.0.0.0/8"], "enforcement": "strict"});
    let changed = app.patch(&path, patch).await.expect(200);
    key["name"] = json!("renamed");
    key["allowedIps"] = json!(["10.0.0.0/8"]);
    key["enforcement"] = json!("strict");
    assert!(version(&changed["key"]) > version(&key));
    key["version"] = changed["key"]["version"].clone();
    key["updatedAt"] = json!("2027-01-15T08:00:01.500Z");
    assert_eq!(changed["key"], key);
    assert_eq!(changed["token"], Value::Null);
    assert_eq!(app.get(&path).await.expect(200), key);
}

#[tokio::test]
async fn limits_are_changed_one_by_one_and_taken_away_by_null() {
    let app = App::start().await;
    let (path, _) = made(&app).await;
    let patch = json!({"rateLimits": {"requestsPerHour": null, "requestsPerDay": 7}});
    let changed = app.patch(&path, patch).await.expect(200);
    let limits = json!({"requestsPerMinute": 100, "requestsPerHour": null, "requestsPerDay": 7});
    assert_eq!(changed["key"]["rateLimits"], limits);
}

#[tokio::test]
async fn expiry_and_owner_are_taken_away_by_null() {
    let app = App::start().await;
    let (path, key) = made(&app).await;
    assert_ne!(key["expiresAt"], Value::Null);
    let changed = app
        .patch(&path, json!({"expiresAt": null, "ownerId": null}))
        .await
        .expect(200);
    assert_eq!(changed["key"]["expiresAt"], Value::Null);
    assert_eq!(changed["key"]["ownerId"], Value::Null);
    let changed = app
        .patch(&path, json!({"expiresIn": "90d"}))
        .await
        .expect(200);
    assert_eq!(changed["key"]["expiresAt"], "2027-04-15T08:00:00.000Z");
    let changed = app.patch(&path, json!({"name": "k2"})).await.expect(200);
    assert_eq!(changed["key"]["expiresAt"], "2027-04-15T08:00:00.000Z");
}

#[tokio::test]
async fn a_refused_patch_changes_nothing() {
    let app = App::start().await;
    let (path, key) = made(&app).await;
    for (patch, field) in [
        (json!({"name": "", "permissions": ["b.read"]}), "name"),
        (json!({"permissions": ["B"]}), "permissions[0]"),
        (json!({"permissions": null}), "permissions"),
        (
            json!({"rateLimits": {"requestsPerMinute": null}}),
            "rateLimits.requestsPerMinute",
        ),
        (json!({"environment": "staging"}), "environment"),
        (json!({"accountId": "acc_00000000"}), "accountId"),
        (json!({"status": "revoked"}), "status"),
        (json!({"usageCount": 0}), "usageCount"),
    ] {
        app.patch(&path, patch).await.refuses(&[field]);
    }
    assert_eq!(app.get(&path).await.expect(200), key);
}

#[tokio::test]
async fn changes_side_by_side_all_take_effect() {
    let app = App::start().await;
    let (path, _) = made(&app).await;
    let patches = [
        json!({"name": "n"}),
        json!({"permissions": ["z.write"]}),
        json!({"allowedIps": ["10.0.0.0/8"]}),
        json!({"resources": ["agent:1"]}),
        json!({"allowedOrigins": ["https://a.example"]}),
        json!({"metadata": {"b": 2}}),
        json!({"rateLimits": {"requestsPerMinute": 9}}),
        json!({"enforcement": "strict"}),
    ];
    let (app, path) = (&app, path.as_str());
    let calls = patches.iter().cloned().map(|p| app.patch(path, p));
    let answers = join(calls).await;
    let mut versions: Vec<u64> = Vec::new();
    for answer in answers {
        versions.push(answer.expect(200)["key"]["version"].as_u64().unwrap());
    }
    versions.sort_unstable();
    assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
    let key = app.get(path).await.expect(200);
    assert_eq!(key["name"], "n");
    assert_eq!(key["permissions"], json!(["z.write"]));
    assert_eq!(key["rateLimits"]["requestsPerMinute"], 9);
    assert_eq!(key["rateLimits"]["requestsPerHour"], 5000);
    assert_eq!(key["metadata"], json!({"b": 2}));
    assert_eq!(key["enforcement"], "strict");
}

async fn join<F: Future>(calls: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut calls: Vec<_> = calls.map(Box::pin).collect();
    let mut outputs = Vec::new();
    std::future::poll_fn(|context| {
        calls.retain_mut(|call| match call.as_mut().poll(context) {
            std::task::Poll::Ready(output) => {
                outputs.push(output);
                false
            }
            std::task::Poll::Pending => true,
        });
        if calls.is_empty() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    outputs
}

#[tokio::test]
async fn a_deleted_key_is_gone_for_good() {
    let app = App::start().await;
    let (path, _) = made(&app).await;
    app.delete(&path).await.expect(200);
    app.get(&path).await.problem(404, "not_found");
    app.delete(&path).await.problem(404, "not_found");
    app.patch(&path, json!({"name": "x"}))
        .await
        .problem(404, "not_found");
    for act in ["rotate", "revoke", "reactivate"] {
        app.post(&format!("{path}/{act}"), json!({}))
            .await
            .problem(404, "not_found");
    }
    // But for its history.
    app.get(&format!("{path}/usage")).await.expect(200);
    assert_eq!(app.get("/v1/keys").await.expect(200)["data"], json!([]));
    assert_eq!(
        app.get("/v1/keys?status=revoked").await.expect(200)["data"],
        json!([])
    );
}
