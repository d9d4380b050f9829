//! `POST /v1/keys/{id}/rotate`, `/revoke`, `/reactivate`, as the edge gets to know of them.

use serde_json::{Value, json};
use shared::record::{Credential, KeyRecord, KeyState};
use shared::token::KeyHash;

use crate::support::app::{text, version};
use crate::support::{App, Edge, START};

async fn served() -> (Edge, App) {
    let edge = Edge::start().await;
    let app = App::with_edges(&[edge.url()]).await;
    (edge, app)
}

fn at_the_edge(edge: &Edge, key: &Value) -> KeyRecord {
    edge.seen.key(key["id"].as_str().unwrap()).unwrap()
}

fn credential(token: &str, not_after: Option<u64>) -> Credential {
    Credential {
        hash: KeyHash::of(token),
        not_after,
    }
}

async fn rotate(app: &App, key: &Value, body: Value) -> (Value, String) {
    let path = format!("/v1/keys/{}/rotate", text(&key["id"]));
    let answer = app.post(&path, body).await.expect(200);
    assert_eq!(answer["propagated"], true);
    (answer["key"].clone(), text(&answer["token"]))
}

#[tokio::test]
async fn a_rotation_replaces_the_token_at_once_and_keeps_the_rest() {
    let (edge, app) = served().await;
    let (key, first) = app
        .key(json!({"name": "k", "permissions": ["a.read"]}))
        .await;
    assert_eq!(
        at_the_edge(&edge, &key).credentials,
        [credential(&first, None)]
    );

    let (rotated, second) = rotate(&app, &key, json!({})).await;
    assert_ne!(first, second);
    assert_eq!(rotated["id"], key["id"]);
    assert_eq!(rotated["permissions"], key["permissions"]);
    assert!(version(&rotated) > version(&key));
    assert_eq!(rotated["last8"], json!(second[second.len() - 8..]));
    assert_eq!(
        at_the_edge(&edge, &key).credentials,
        [credential(&second, None)]
    );
}

#[tokio::test]
async fn in_a_grace_both_tokens_work_and_a_second_rotation_drops_the_oldest() {
    let (edge, app) = served().await;
    let (key, first) = app.key(json!({"name": "k"})).await;
    let (_, second) = rotate(&app, &key, json!({"graceSeconds": 60})).await;
    let ends = START + 60_000;
    assert_eq!(
        at_the_edge(&edge, &key).credentials,
        [credential(&second, None), credential(&first, Some(ends))]
    );
    app.clock.advance(10_000);
    let (_, third) = rotate(&app, &key, json!({"graceSeconds": 2_592_000})).await;
    let ends = START + 10_000 + 2_592_000_000;
    assert_eq!(
        at_the_edge(&edge, &key).credentials,
        [credential(&third, None), credential(&second, Some(ends))]
    );
    // Other changes keep the grace.
    let path = format!("/v1/keys/{}", text(&key["id"]));
    app.patch(&path, json!({"name": "renamed"}))
        .await
        .expect(200);
    assert_eq!(at_the_edge(&edge, &key).credentials.len(), 2);
    let (_, fourth) = rotate(&app, &key, json!({"graceSeconds": 0})).await;
    assert_eq!(
        at_the_edge(&edge, &key).credentials,
        [credential(&fourth, None)]
    );
}

#[tokio::test]
async fn a_grace_is_at_most_thirty_days_and_the_body_may_be_left_out() {
    let (_edge, app) = served().await;
    let (key, _) = app.key(json!({"name": "k"})).await;
    let path = format!("/v1/keys/{}/rotate", text(&key["id"]));
    for grace in [
        json!(2_592_001),
        json!(-1),
        json!("60"),
        json!(null),
        json!(u64::MAX),
    ] {
        app.post(&path, json!({"graceSeconds": grace}))
            .await
            .refuses(&["graceSeconds"]);
    }
    app.post(&path, json!({"grace": 1}))
        .await
        .refuses(&["grace"]);
    let bare = app
        .request(reqwest::Method::POST, &path)
        .send()
        .await
        .unwrap();
    assert_eq!(bare.status(), 200);
}

#[tokio::test]
async fn a_key_is_revoked_and_reactivated_and_neither_is_lost_on_repetition() {
    let (edge, app) = served().await;
    let (key, token) = app.key(json!({"name": "k"})).await;
    let path = format!("/v1/keys/{}", text(&key["id"]));
    let mut newest = version(&key);
    for (act, status, state) in [
        ("revoke", "revoked", KeyState::Revoked),
        ("revoke", "revoked", KeyState::Revoked),
        ("reactivate", "active", KeyState::Active),
        ("reactivate", "active", KeyState::Active),
    ] {
        let answer = app
            .post(&format!("{path}/{act}"), json!({}))
            .await
            .expect(200);
        assert_eq!(answer["key"]["status"], status);
        assert_eq!(answer["propagated"], true);
        let record = at_the_edge(&edge, &key);
        assert!(version(&answer["key"]) > newest, "{act}");
        newest = version(&answer["key"]);
        assert_eq!((record.state, record.version), (state, newest));
        assert_eq!(record.credentials, [credential(&token, None)]);
        assert_eq!(app.get(&path).await.expect(200)["status"], status);
    }
    app.post(&format!("{path}/revoke"), json!({"why": "x"}))
        .await
        .refuses(&["why"]);
}

#[tokio::test]
async fn a_token_is_not_made_for_a_key_that_cannot_be_used() {
    let (_edge, app) = served().await;
    let (key, _) = app.key(json!({"name": "k", "expiresIn": "30d"})).await;
    let path = format!("/v1/keys/{}", text(&key["id"]));
    app.post(&format!("{path}/revoke"), json!({}))
        .await
        .expect(200);
    app.post(&format!("{path}/rotate"), json!({}))
        .await
        .problem(409, "conflict");
    app.post(&format!("{path}/reactivate"), json!({}))
        .await
        .expect(200);
    app.clock.advance(30 * 24 * 3_600_000);
    app.post(&format!("{path}/rotate"), json!({}))
        .await
        .problem(409, "conflict");
    assert_eq!(app.get(&path).await.expect(200)["status"], "expired");
    app.patch(&path, json!({"expiresIn": "30d"}))
        .await
        .expect(200);
    app.post(&format!("{path}/rotate"), json!({}))
        .await
        .expect(200);
}

#[tokio::test]
async fn a_key_expires_at_the_exact_millisecond_without_a_push() {
    let (edge, app) = served().await;
    let (key, _) = app
        .key(json!({"name": "k", "expiresAt": "2027-01-15T08:00:01Z"}))
        .await;
    let path = format!("/v1/keys/{}", text(&key["id"]));
    assert_eq!(at_the_edge(&edge, &key).expires_at, Some(START + 1000));
    app.clock.advance(999);
    assert_eq!(app.get(&path).await.expect(200)["status"], "active");
    app.clock.advance(1);
    assert_eq!(app.get(&path).await.expect(200)["status"], "expired");
    let versions = edge.seen.versions(key["id"].as_str().unwrap());
    assert_eq!(versions, [version(&key)]);
    // Revoked says more than expired.
    app.post(&format!("{path}/revoke"), json!({}))
        .await
        .expect(200);
    assert_eq!(app.get(&path).await.expect(200)["status"], "revoked");
}

#[tokio::test]
async fn a_deleted_key_leaves_a_tombstone_at_the_edge() {
    let (edge, app) = served().await;
    let (key, _) = app.key(json!({"name": "k"})).await;
    let answer = app
        .delete(&format!("/v1/keys/{}", text(&key["id"])))
        .await
        .expect(200);
    assert_eq!(answer, json!({"propagated": true}));
    let record = at_the_edge(&edge, &key);
    assert_eq!(record.state, KeyState::Deleted);
    assert!(record.version > version(&key));
}
