//! Whoever stands behind several keys, which share its limits.

use reqwest::Method;
use serde_json::{Value, json};
use shared::record::{IdentityRecord, RateLimits, Record};

use crate::support::app::{text, version};
use crate::support::{App, Edge, until};

fn at(edge: &Edge, id: &str) -> IdentityRecord {
    match edge.seen.state().remove(id) {
        Some(Record::Identity(record)) => record,
        other => panic!("{id} is {other:?} at the edge"),
    }
}

#[tokio::test]
async fn an_identity_is_made_shown_changed_and_deleted_at_the_edges_too() {
    let edge = Edge::start().await;
    let app = App::with_edges(&[edge.url()]).await;
    let account = app.account(json!({"name": "a"})).await;
    let body = json!({
        "name": "Acme", "accountId": account, "externalId": "cus_1", "metadata": {"plan": "gold"},
        "rateLimits": {"requestsPerMinute": 60, "requestsPerDay": 1_000},
    });
    let made = app.post("/v1/identities", body).await.expect(201);
    assert_eq!(made["propagated"], true);
    let made = &made["identity"];
    let id = text(&made["id"]);
    assert!(id.starts_with("idn_"));
    let limits = json!({"requestsPerMinute": 60, "requestsPerHour": null, "requestsPerDay": 1_000});
    assert_eq!(made["rateLimits"], limits);
    assert_eq!(made["externalId"], "cus_1");
    assert_eq!(made["metadata"], json!({"plan": "gold"}));
    let record = at(&edge, &id);
    assert_eq!(record.version, version(made));
    assert_eq!(record.account, account);
    assert_eq!(record.ancestors.len(), 1);
    let expected = RateLimits {
        requests_per_minute: Some(60),
        requests_per_hour: None,
        requests_per_day: Some(1_000),
    };
    assert_eq!(record.limits, expected);

    let path = format!("/v1/identities/{id}");
    let patch =
        json!({"rateLimits": {"requestsPerHour": 500, "requestsPerDay": null}, "externalId": null});
    let changed = app.patch(&path, patch).await.expect(200);
    let changed = &changed["identity"];
    let limits = json!({"requestsPerMinute": 60, "requestsPerHour": 500, "requestsPerDay": null});
    assert_eq!(changed["rateLimits"], limits);
    assert_eq!(changed["externalId"], Value::Null);
    assert_eq!(changed["name"], "Acme");
    assert_eq!(&app.get(&path).await.expect(200), changed);
    assert_eq!(at(&edge, &id).limits.requests_per_hour, Some(500));
    assert_eq!(at(&edge, &id).version, version(changed));

    app.delete(&path).await.expect(200);
    app.get(&path).await.problem(404, "not_found");
    assert!(at(&edge, &id).deleted);
    let log = app.get(&format!("/v1/audit-log?target={id}")).await;
    let log = log.expect(200);
    let actions: Vec<_> = log["data"].as_array().unwrap().iter().collect();
    let actions: Vec<_> = actions.iter().map(|entry| text(&entry["action"])).collect();
    assert_eq!(
        actions,
        ["identity.delete", "identity.update", "identity.create"]
    );
}

#[tokio::test]
async fn keys_name_an_identity_of_their_own_account() {
    let edge = Edge::start().await;
    let app = App::with_edges(&[edge.url()]).await;
    let account = app.account(json!({"name": "a"})).await;
    let own = app
        .identity(json!({"name": "own", "accountId": account}))
        .await;
    let above = app.identity(json!({"name": "above"})).await;
    let gone = app
        .identity(json!({"name": "gone", "accountId": account}))
        .await;
    app.delete(&format!("/v1/identities/{gone}"))
        .await
        .expect(200);
    let key = |identity: &str| json!({"name": "k", "accountId": account, "identityId": identity});
    for other in [above.as_str(), &gone, "idn_0000000000000000", "x"] {
        let answer = app.post("/v1/keys", key(other)).await;
        answer.refuses(&["identityId"]);
    }
    let (made, _) = app.key(key(&own)).await;
    let id = text(&made["id"]);
    assert_eq!(made["identityId"], json!(own));
    assert_eq!(edge.seen.key(&id).unwrap().identity, Some(own.clone()));
    let path = format!("/v1/keys/{id}");
    let refused = app.patch(&path, json!({"identityId": above})).await;
    refused.refuses(&["identityId"]);

    let identity = format!("/v1/identities/{own}");
    app.delete(&identity).await.problem(409, "conflict");
    let renamed = app.patch(&path, json!({"name": "renamed"})).await;
    assert_eq!(renamed.expect(200)["key"]["identityId"], json!(own));
    app.patch(&path, json!({"identityId": null}))
        .await
        .expect(200);
    assert_eq!(edge.seen.key(&id).unwrap().identity, None);
    app.delete(&identity).await.expect(200);
}

#[tokio::test]
async fn a_deleted_key_does_not_hold_its_identity() {
    let app = App::start().await;
    let identity = app.identity(json!({"name": "i"})).await;
    let (key, _) = app.key(json!({"name": "k", "identityId": identity})).await;
    let path = format!("/v1/identities/{identity}");
    app.delete(&path).await.problem(409, "conflict");
    app.delete(&format!("/v1/keys/{}", text(&key["id"])))
        .await
        .expect(200);
    app.delete(&path).await.expect(200);
}

#[tokio::test]
async fn a_new_edge_is_given_identities_before_the_keys_that_name_them() {
    let app = App::start().await;
    let identity = app.identity(json!({"name": "i"})).await;
    let gone = app.identity(json!({"name": "gone"})).await;
    app.delete(&format!("/v1/identities/{gone}"))
        .await
        .expect(200);
    let (key, _) = app.key(json!({"name": "k", "identityId": identity})).await;
    let edge = Edge::start().await;
    let app = app.restart(&[edge.url()]).await;
    let id = text(&key["id"]);
    until("the key has arrived", || async { edge.seen.key(&id) }).await;
    assert!(at(&edge, &gone).deleted);
    let order = edge.seen.records();
    let place = |id: &str| order.iter().position(|record| record.id() == id).unwrap();
    assert!(place(&identity) < place(&id));
    drop(app);
}

#[tokio::test]
async fn identities_are_listed_by_account_and_by_text() {
    let app = App::start().await;
    let account = app.account(json!({"name": "a"})).await;
    let below = app
        .identity(json!({"name": "Acme 100%", "accountId": account}))
        .await;
    let own = app
        .identity(json!({"name": "Other", "externalId": "CUS_77"}))
        .await;
    for (query, expected) in [
        (String::new(), vec![&own, &below]),
        ("?limit=1".to_owned(), vec![&own]),
        (format!("?account={account}"), vec![&below]),
        ("?q=acme".to_owned(), vec![&below]),
        ("?q=0%25".to_owned(), vec![&below]),
        ("?q=s_7".to_owned(), vec![&own]),
        (format!("?q={own}"), vec![&own]),
        ("?q=nobody".to_owned(), vec![]),
    ] {
        let page = app.get(&format!("/v1/identities{query}")).await.expect(200);
        let rows = page["data"].as_array().unwrap();
        let ids: Vec<_> = rows.iter().map(|row| text(&row["id"])).collect();
        let mut ids: Vec<_> = ids.iter().collect();
        let mut expected = expected;
        // Both may be of one millisecond.
        if query.is_empty() {
            ids.sort();
            expected.sort();
        }
        if query != "?limit=1" {
            assert_eq!(ids, expected, "{query}");
        }
        assert_eq!(page["nextCursor"].is_null(), query != "?limit=1");
    }
    app.get("/v1/identities?account=acc_00000000")
        .await
        .problem(404, "not_found");
    app.get("/v1/identities?q=").await.refuses(&["q"]);
}

#[tokio::test]
async fn what_can_not_be_accepted_is_named_field_by_field() {
    let app = App::start().await;
    let body = json!({
        "name": " ", "externalId": "x".repeat(201), "metadata": {"a": "x".repeat(9_000)},
        "rateLimits": {"requestsPerMinute": 0, "requestsPerHour": 1_000_000_001, "requestsPerDay": 0},
    });
    app.post("/v1/identities", body.clone()).await.refuses(&[
        "name",
        "externalId",
        "rateLimits.requestsPerMinute",
        "rateLimits.requestsPerHour",
        "rateLimits.requestsPerDay",
        "metadata",
    ]);
    let body = json!({"name": "i", "accountId": "acc_00000000"});
    let answer = app.post("/v1/identities", body).await;
    answer.problem(404, "not_found");
}

#[tokio::test]
async fn an_identity_is_changed_only_as_it_was_seen_and_made_only_once() {
    let app = App::start().await;
    let send = || async {
        let request = app.request(Method::POST, "/v1/identities");
        let request = request.header("idempotency-key", "once");
        let answer = request.json(&json!({"name": "i"})).send().await.unwrap();
        answer.json::<Value>().await.unwrap()
    };
    let made = send().await;
    assert_eq!(send().await, made);
    let path = format!("/v1/identities/{}", text(&made["identity"]["id"]));
    for method in [Method::PATCH, Method::DELETE] {
        let request = app.request(method, &path).header("if-match", "\"1\"");
        let answer = request.json(&json!({"name": "j"})).send().await.unwrap();
        assert_eq!(answer.status(), 412);
    }
    let all = app.get("/v1/identities").await.expect(200);
    assert_eq!(all["data"], json!([made["identity"]]));
}
