//! `/v1/roles`, and that nobody gives or touches more than they hold.

use serde_json::{Value, json};
use shared::record::Record;

use crate::support::app::{text, version};
use crate::support::{App, Edge};

fn role(name: &str, management: &[&str], api: &[&str]) -> Value {
    json!({"name": name, "managementPermissions": management, "apiPermissions": api})
}

#[tokio::test]
async fn a_role_is_made_shown_changed_and_deleted() {
    let edge = Edge::start().await;
    let app = App::with_edges(&[edge.url()]).await;
    let account = app.account(json!({"name": "a"})).await;
    let mut body = role(
        "Partner desk",
        &["keys.*", "usage.read", "keys.*"],
        &["customers.read"],
    );
    body["accountId"] = json!(account);
    let made = app.post("/v1/roles", body).await.expect(201);
    assert_eq!(made["propagated"], true);
    let made = &made["role"];
    let id = text(&made["id"]);
    assert_eq!(
        *made,
        json!({
            "id": id, "accountId": account, "name": "Partner desk", "description": "",
            "managementPermissions": ["keys.*", "usage.read"], "apiPermissions": ["customers.read"],
            "createdAt": "2027-01-15T08:00:00.000Z", "updatedAt": "2027-01-15T08:00:00.000Z",
            "version": made["version"],
        })
    );
    let path = format!("/v1/roles/{id}");
    assert_eq!(app.get(&path).await.expect(200), *made);
    app.clock.advance(1000);
    let patch = json!({"description": " Looks after keys ", "apiPermissions": ["customers.*"]});
    let changed = app.patch(&path, patch).await.expect(200);
    let changed = &changed["role"];
    assert_eq!(changed["description"], "Looks after keys");
    assert_eq!(changed["name"], "Partner desk");
    assert!(version(changed) > version(made));
    let Some(Record::Role(record)) = edge.seen.state().remove(&id) else {
        panic!("the role is not at the edge");
    };
    assert_eq!(record.permissions[0].as_str(), "customers.*");
    assert_eq!(record.version, version(changed));
    assert!(!record.deleted && record.account == account);

    app.delete(&path).await.expect(200);
    app.get(&path).await.problem(404, "not_found");
    assert!(matches!(&edge.seen.state()[&id], Record::Role(r) if r.deleted));
}

#[tokio::test]
async fn built_in_roles_are_there_for_everybody_and_can_not_be_changed() {
    let app = App::start().await;
    let account = app.account(json!({"name": "a"})).await;
    let viewer = app.with_token(json!({"name": "t", "accountId": account, "role": "viewer"}));
    let viewer = viewer.await;
    for name in ["owner", "admin", "developer", "viewer"] {
        let path = format!("/v1/roles/{name}");
        let shown = viewer.get(&path).await.expect(200);
        assert_eq!(
            (&shown["id"], &shown["accountId"]),
            (&json!(name), &Value::Null)
        );
        app.patch(&path, json!({"name": "x"}))
            .await
            .problem(409, "conflict");
        app.delete(&path).await.problem(409, "conflict");
        app.post("/v1/roles", role(name, &[], &[]))
            .await
            .refuses(&["name"]);
    }
}

#[tokio::test]
async fn the_list_ends_with_the_built_in_roles_whatever_the_pages() {
    let app = App::start().await;
    for name in ["a", "b", "c"] {
        app.clock.advance(1);
        app.role(name, &[], &[]).await;
    }
    let all = ["c", "b", "a", "viewer", "owner", "developer", "admin"];
    for limit in 1..=8 {
        let mut names = Vec::new();
        let mut query = format!("limit={limit}");
        loop {
            let page = app.get(&format!("/v1/roles?{query}")).await.expect(200);
            names.extend(
                page["data"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|r| text(&r["name"])),
            );
            let Some(cursor) = page["nextCursor"].as_str() else {
                break;
            };
            query = format!("limit={limit}&cursor={cursor}");
        }
        assert_eq!(names, all, "{limit}");
    }
    let account = app.account(json!({"name": "a"})).await;
    let page = app.get(&format!("/v1/roles?account={account}")).await;
    assert_eq!(page.expect(200)["data"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn a_role_in_use_is_not_deleted() {
    let app = App::start().await;
    let id = app.role("r", &["keys.read"], &[]).await;
    let path = format!("/v1/roles/{id}");
    let member = app.member("ada@example.com", &id, None).await;
    app.delete(&path).await.problem(409, "conflict");
    app.delete(&format!("/v1/members/{member}"))
        .await
        .expect(200);
    let body = json!({"name": "t", "role": id, "expiresAt": "2027-01-15T08:00:01Z"});
    app.post("/v1/admin-tokens", body).await.expect(201);
    app.delete(&path).await.problem(409, "conflict");
    app.clock.advance(1000);
    app.delete(&path).await.expect(200);
}

#[tokio::test]
async fn a_changed_role_counts_with_the_next_request() {
    let app = App::start().await;
    let id = app.role("r", &["keys.read", "apis.read"], &[]).await;
    let them = app.with_token(json!({"name": "t", "role": id})).await;
    them.get("/v1/apis").await.expect(200);
    let path = format!("/v1/roles/{id}");
    app.patch(&path, json!({"managementPermissions": ["keys.read"]}))
        .await
        .expect(200);
    them.get("/v1/apis").await.problem(403, "forbidden");
    them.get("/v1/keys").await.expect(200);
    // A role that vanished behind the server's back gives nothing.
    app.database.meddle("update roles set deleted_at = 1").await;
    them.get("/v1/keys").await.problem(403, "forbidden");
    let me = them.get("/v1/me").await.expect(200);
    assert_eq!(me["permissions"], json!([]));
}

#[tokio::test]
async fn what_is_no_role_is_refused_field_by_field() {
    let app = App::start().await;
    let mut bad = role("", &["keys.read", "keys.fly", "customers.*"], &["A.b"]);
    bad["description"] = json!("x".repeat(501));
    app.post("/v1/roles", bad).await.refuses(&[
        "name",
        "description",
        "managementPermissions[1]",
        "managementPermissions[2]",
        "apiPermissions[0]",
    ]);
    app.post("/v1/roles", json!({"name": "r"}))
        .await
        .refuses(&["managementPermissions"]);
    let id = app.role("r", &[], &[]).await;
    app.post("/v1/roles", role("r", &[], &[]))
        .await
        .problem(409, "conflict");
    let other = app.role("other", &[], &[]).await;
    app.patch(&format!("/v1/roles/{other}"), json!({"name": "r"}))
        .await
        .problem(409, "conflict");
    app.patch(&format!("/v1/roles/{id}"), json!({"name": "r"}))
        .await
        .expect(200);
}

#[tokio::test]
async fn nobody_gives_or_touches_more_than_they_hold() {
    let app = App::start().await;
    let owner = app.member("owner@example.com", "owner", None).await;
    let viewer = app.member("viewer@example.com", "viewer", None).await;
    let high = app.role("high", &["accounts.*"], &[]).await;
    let wide = app.role("wide", &["keys.read"], &["customers.*"]).await;
    let held = app.member("held@example.com", &high, None).await;
    let token = json!({"name": "t", "role": "owner"});
    let token = app.post("/v1/admin-tokens", token).await.expect(201);
    let token = text(&token["adminToken"]["id"]);

    let admin = app.with_token(json!({"name": "a", "role": "admin"})).await;
    let limited = ["members.*", "roles.*", "tokens.*", "keys.*"];
    let limited = app.role("limited", &limited, &["orders.*"]).await;
    let limited = app.with_token(json!({"name": "l", "role": limited})).await;
    let invite = |role: &str| json!({"email": "new@example.com", "name": "n", "role": role});
    let made = |body: Value, more: Value| {
        let mut body = body;
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        body
    };
    let of = |kind: &str, id: &str| format!("/v1/{kind}/{id}");

    // An admin lacks accounts.write and sync.write.
    for (path, body) in [
        ("/v1/roles", role("x", &["*"], &[])),
        ("/v1/roles", role("x", &["accounts.write"], &[])),
        ("/v1/members", invite("owner")),
        ("/v1/members", invite(&high)),
        ("/v1/admin-tokens", json!({"name": "x", "role": "owner"})),
        ("/v1/admin-tokens", json!({"name": "x", "memberId": owner})),
        (
            "/v1/admin-tokens",
            json!({"name": "x", "role": "owner", "permissions": ["sync.*"]}),
        ),
        (&format!("/v1/members/{owner}/invitation"), json!({})),
    ] {
        admin.post(path, body).await.problem(403, "forbidden");
    }
    for (path, body) in [
        (of("members", &owner), json!({"name": "x"})),
        (of("members", &owner), json!({"role": "viewer"})),
        (of("members", &viewer), json!({"role": "owner"})),
        (of("roles", &high), json!({"managementPermissions": []})),
        (
            of("roles", &wide),
            json!({"managementPermissions": ["sync.write"]}),
        ),
    ] {
        admin.patch(&path, body).await.problem(403, "forbidden");
    }
    for path in [
        of("members", &owner),
        of("members", &held),
        of("roles", &high),
        of("admin-tokens", &token),
    ] {
        admin.delete(&path).await.problem(403, "forbidden");
    }
    let narrow = json!({"name": "x", "role": "owner", "permissions": ["keys.*"]});
    admin
        .post("/v1/admin-tokens", narrow.clone())
        .await
        .expect(201);
    admin
        .post("/v1/roles", role("fine", &["keys.*", "audit.read"], &["*"]))
        .await
        .expect(201);

    // The other holds four resources, and may give keys orders only.
    for (path, body) in [
        ("/v1/roles", role("y", &["keys.*"], &["customers.read"])),
        ("/v1/roles", role("y", &[], &["*"])),
        ("/v1/members", invite(&wide)),
        ("/v1/members", invite("developer")),
        ("/v1/admin-tokens", narrow),
        ("/v1/admin-tokens", json!({"name": "x", "memberId": viewer})),
        (
            "/v1/keys",
            json!({"name": "k", "permissions": ["customers.read"]}),
        ),
        ("/v1/keys", json!({"name": "k", "permissions": ["*"]})),
    ] {
        limited.post(path, body).await.problem(403, "forbidden");
    }
    let mine = json!({"name": "k", "permissions": ["orders.read"]});
    let key = limited.post("/v1/keys", mine).await.expect(201);
    let path = of("keys", &text(&key["key"]["id"]));
    limited
        .patch(&path, json!({"permissions": ["customers.read"]}))
        .await
        .problem(403, "forbidden");
    limited
        .post(&format!("{path}/rotate"), json!({}))
        .await
        .expect(200);
    // What is above them they neither widen nor get a token of; to stop it is not to hold it.
    let above = json!({"name": "k", "permissions": ["customers.read"]});
    let path = of("keys", &text(&app.key(above).await.0["id"]));
    limited.patch(&path, json!({"name": "x"})).await.expect(200);
    limited
        .post(&format!("{path}/rotate"), json!({}))
        .await
        .problem(403, "forbidden");
    limited
        .post(&format!("{path}/revoke"), json!({}))
        .await
        .expect(200);

    // A narrowed token gives no more than it may do itself, though its role may.
    let scope = made(
        json!({"name": "n", "role": "owner"}),
        json!({"permissions": ["tokens.*", "keys.read"]}),
    );
    let narrowed = app.with_token(scope).await;
    let all = json!({"name": "x", "role": "owner"});
    narrowed
        .post("/v1/admin-tokens", all)
        .await
        .problem(403, "forbidden");
    let less = json!({"name": "x", "role": "owner", "permissions": ["keys.read"]});
    narrowed.post("/v1/admin-tokens", less).await.expect(201);
}
