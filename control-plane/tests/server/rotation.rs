//! `POST /v1/keys/{id}/rotation/finish` and `/rotation/cancel`, and what a key shows of its rotation.

use serde_json::{Value, json};
use shared::record::{Credential, KeyState};
use shared::token::KeyHash;

use crate::support::app::{text, version};
use crate::support::{App, Edge, START};

const MINUTE: u64 = 60_000;

struct Rotated {
    edge: Edge,
    app: App,
    path: String,
    key: Value,
    old: String,
    new: String,
}

/// A key in a grace of a minute.
async fn rotated() -> Rotated {
    let edge = Edge::start().await;
    let app = App::with_edges(&[edge.url()]).await;
    let (key, old) = app.key(json!({"name": "k"})).await;
    let path = format!("/v1/keys/{}", text(&key["id"]));
    let answer = app
        .post(&format!("{path}/rotate"), json!({"graceSeconds": 60}))
        .await
        .expect(200);
    Rotated {
        edge,
        path,
        new: text(&answer["token"]),
        key: answer["key"].clone(),
        old,
        app,
    }
}

impl Rotated {
    async fn act(&self, act: &str) -> Value {
        let path = format!("{}/{act}", self.path);
        let answer = self.app.post(&path, json!({})).await.expect(200);
        assert_eq!(answer["propagated"], true);
        answer["key"].clone()
    }

    async fn refuses(&self, act: &str) {
        let path = format!("{}/{act}", self.path);
        self.app
            .post(&path, json!({}))
            .await
            .problem(409, "conflict");
    }

    fn at_the_edge(&self) -> Vec<Credential> {
        let record = self.edge.seen.key(&text(&self.key["id"])).unwrap();
        record.credentials
    }

    async fn shown(&self) -> Value {
        self.app.get(&self.path).await.expect(200)
    }
}

fn credential(token: &str, not_after: Option<u64>) -> Credential {
    Credential {
        hash: KeyHash::of(token),
        not_after,
    }
}

fn last8(token: &str) -> Value {
    json!(token[token.len() - 8..])
}

#[tokio::test]
async fn a_key_shows_its_rotation_with_the_hints_of_both_tokens_until_the_old_one_ends() {
    let r = rotated().await;
    assert_eq!(r.key["last8"], last8(&r.new));
    let start = r.old.split("_sk_").next().unwrap().len() + "_sk_".len() + 4;
    let rotation = json!({
        "startedAt": "2027-01-15T08:00:00.000Z",
        "oldTokenEndsAt": "2027-01-15T08:01:00.000Z",
        "oldStart": r.old[..start],
        "oldLast8": last8(&r.old),
    });
    assert_eq!(r.key["rotation"], rotation);
    r.app.clock.advance(MINUTE - 1);
    assert_eq!(r.shown().await["rotation"], rotation);
    let listed = r.app.get("/v1/keys").await.expect(200);
    assert_eq!(listed["data"][0]["rotation"], rotation);
    r.app.clock.advance(1);
    assert_eq!(r.shown().await["rotation"], Value::Null);
    r.refuses("rotation/finish").await;
    r.refuses("rotation/cancel").await;
}

#[tokio::test]
async fn finishing_ends_the_old_token_now() {
    let r = rotated().await;
    let key = r.act("rotation/finish").await;
    assert_eq!(r.at_the_edge(), [credential(&r.new, None)]);
    assert_eq!(key["rotation"], Value::Null);
    assert_eq!(key["last8"], last8(&r.new));
    assert!(version(&key) > version(&r.key));
    r.refuses("rotation/finish").await;
    r.refuses("rotation/cancel").await;
}

#[tokio::test]
async fn cancelling_ends_the_new_token_now_and_gives_the_old_one_back_without_an_end() {
    let r = rotated().await;
    let key = r.act("rotation/cancel").await;
    assert_eq!(r.at_the_edge(), [credential(&r.old, None)]);
    assert_eq!(key["rotation"], Value::Null);
    assert_eq!(key["last8"], last8(&r.old));
    assert_eq!(key["start"], r.key["rotation"]["oldStart"]);
    r.refuses("rotation/cancel").await;
    // It is found by the token that works.
    for (token, found) in [(&r.old, 1), (&r.new, 0)] {
        let path = format!("/v1/keys?q={}", last8(token).as_str().unwrap());
        let page = r.app.get(&path).await.expect(200);
        assert_eq!(page["data"].as_array().unwrap().len(), found);
    }
}

#[tokio::test]
async fn rotating_again_drops_the_oldest_token_and_cancelling_goes_back_one_step() {
    let r = rotated().await;
    r.app.clock.advance(1000);
    let again = r
        .app
        .post(&format!("{}/rotate", r.path), json!({"graceSeconds": 60}))
        .await
        .expect(200);
    let third = text(&again["token"]);
    let ends = START + 1000 + MINUTE;
    assert_eq!(
        r.at_the_edge(),
        [credential(&third, None), credential(&r.new, Some(ends))]
    );
    assert_eq!(again["key"]["rotation"]["oldLast8"], last8(&r.new));
    let key = r.act("rotation/cancel").await;
    assert_eq!(r.at_the_edge(), [credential(&r.new, None)]);
    assert_eq!(key["last8"], last8(&r.new));
}

#[tokio::test]
async fn a_rotation_without_a_grace_leaves_nothing_to_finish_or_cancel() {
    let r = rotated().await;
    let path = format!("{}/rotate", r.path);
    let key = r.app.post(&path, json!({})).await.expect(200)["key"].clone();
    assert_eq!(key["rotation"], Value::Null);
    r.refuses("rotation/finish").await;
    r.refuses("rotation/cancel").await;
}

#[tokio::test]
async fn revoking_stops_both_tokens_and_reactivating_gives_back_what_is_left_of_the_grace() {
    let r = rotated().await;
    let both = [
        credential(&r.new, None),
        credential(&r.old, Some(START + MINUTE)),
    ];
    r.act("revoke").await;
    let id = text(&r.key["id"]);
    assert_eq!(r.edge.seen.key(&id).unwrap().state, KeyState::Revoked);
    r.app.clock.advance(1000);
    let key = r.act("reactivate").await;
    assert_eq!(key["rotation"], r.key["rotation"]);
    assert_eq!(r.at_the_edge(), both);
    // A revoked key's rotation can be ended either way.
    r.act("revoke").await;
    r.act("rotation/finish").await;
    assert_eq!(r.at_the_edge(), [credential(&r.new, None)]);
}

#[tokio::test]
async fn a_rotation_begun_by_an_older_version_can_be_finished_but_not_cancelled() {
    let r = rotated().await;
    r.app
        .database
        .meddle("update keys set rotation_old_start = null, rotation_old_last8 = null")
        .await;
    let rotation = &r.shown().await["rotation"];
    assert_eq!(rotation["oldStart"], Value::Null);
    assert_eq!(rotation["oldTokenEndsAt"], "2027-01-15T08:01:00.000Z");
    r.refuses("rotation/cancel").await;
    r.act("rotation/finish").await;
}

#[tokio::test]
async fn an_expired_key_is_not_reactivated_before_it_has_a_later_end() {
    let app = App::start().await;
    let (key, _) = app.key(json!({"name": "k", "expiresIn": "30d"})).await;
    let path = format!("/v1/keys/{}", text(&key["id"]));
    let reactivate = format!("{path}/reactivate");
    app.post(&format!("{path}/revoke"), json!({}))
        .await
        .expect(200);
    app.clock.advance(30 * 24 * 60 * MINUTE);
    let problem = app.post(&reactivate, json!({})).await;
    let problem = problem.problem(409, "conflict");
    assert!(text(&problem["detail"]).contains("expiresAt"), "{problem}");
    for end in [
        json!({"expiresIn": "90d"}),
        json!({"expiresIn": "never"}),
        json!({"expiresAt": "2028-01-01T00:00:00Z"}),
    ] {
        app.patch(&path, end).await.expect(200);
        let key = app.post(&reactivate, json!({})).await.expect(200)["key"].clone();
        assert_eq!(key["status"], "active");
    }
}

#[tokio::test]
async fn a_deleted_key_is_gone_but_for_its_tombstone_and_history() {
    let r = rotated().await;
    r.app.key(json!({"name": "other"})).await;
    r.app.delete(&r.path).await.expect(200);
    let id = text(&r.key["id"]);
    r.app.get(&r.path).await.expect(404);
    r.app.delete(&r.path).await.expect(404);
    for act in [
        "reactivate",
        "revoke",
        "rotate",
        "rotation/finish",
        "rotation/cancel",
    ] {
        let path = format!("{}/{act}", r.path);
        r.app.post(&path, json!({})).await.expect(404);
    }
    let listed = r.app.get("/v1/keys").await.expect(200);
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    let gone = r.app.get("/v1/keys?status=deleted").await.expect(200);
    let gone = gone["data"].as_array().unwrap();
    assert_eq!(gone.len(), 1);
    assert_eq!(
        (&gone[0]["id"], &gone[0]["status"]),
        (&json!(id), &json!("deleted"))
    );
    let found = r.app.get(&format!("/v1/keys?status=deleted&q={id}")).await;
    assert_eq!(found.expect(200)["data"].as_array().unwrap().len(), 1);
    r.app.get(&format!("{}/usage", r.path)).await.expect(200);
    let history = r.app.get(&format!("/v1/audit-log?target={id}")).await;
    assert_eq!(history.expect(200)["data"].as_array().unwrap().len(), 3);
    // Nobody else sees any of it.
    let child = r.app.account(json!({"name": "Child"})).await;
    let other = r.app.admin_of(&child).await;
    let seen = other.get("/v1/keys?status=deleted").await.expect(200);
    assert_eq!(seen["data"], json!([]));
    other.get(&format!("{}/usage", r.path)).await.expect(404);
}
