//! `/v1/members`: invitations, roles that count at once, removal.

use reqwest::Method;
use serde_json::{Value, json};
use shared::record::Record;

use crate::support::app::{text, version};
use crate::support::{Answer, App, Edge};

const DAY: u64 = 24 * 60 * 60 * 1000;

fn ada(role: &str) -> Value {
    json!({"email": "Ada@Example.com ", "name": " Ada ", "role": role})
}

async fn accept(app: &App, invitation: &Value) -> Answer {
    let request = app.bare(Method::POST, "/v1/invitations/accept");
    let request = request.json(&json!({"token": invitation}));
    Answer::read(request.send().await.unwrap()).await
}

#[tokio::test]
async fn an_invitation_makes_whoever_has_it_the_member_and_works_once() {
    let app = App::start().await;
    let root = text(&app.get("/v1/me").await.expect(200)["account"]["id"]);
    let invited = app.post("/v1/members", ada("developer")).await.expect(201);
    let member = &invited["member"];
    let id = text(&member["id"]);
    assert_eq!(
        *member,
        json!({
            "id": id, "accountId": root, "email": "ada@example.com", "name": "Ada", "role": "developer",
            "status": "invited", "invitationExpiresAt": "2027-01-22T08:00:00.000Z",
            "createdAt": "2027-01-15T08:00:00.000Z", "updatedAt": "2027-01-15T08:00:00.000Z",
            "version": member["version"],
        })
    );

    let accepted = accept(&app, &invited["invitation"]).await.expect(201);
    assert_eq!(accepted["member"]["status"], "active");
    assert_eq!(accepted["member"]["invitationExpiresAt"], Value::Null);
    assert_eq!(accepted["adminToken"]["memberId"], *id);
    let them = app.seen_by(accepted["token"].as_str().unwrap());
    let me = them.get("/v1/me").await.expect(200);
    assert_eq!(me["member"]["id"], *id);
    assert_eq!(me["account"], json!({"id": root, "name": "Root"}));
    assert_eq!(me["token"]["role"], "developer");
    assert_eq!(me["permissions"][0], "accounts.read");
    assert_eq!(me["permissions"].as_array().unwrap().len(), 9);
    assert_eq!(me["apiPermissions"], json!(["*"]));

    accept(&app, &invited["invitation"])
        .await
        .problem(404, "not_found");
    app.post(&format!("/v1/members/{id}/invitation"), json!({}))
        .await
        .problem(409, "conflict");
}

#[tokio::test]
async fn an_invitation_ends_after_seven_days_and_with_its_renewal() {
    let app = App::start().await;
    let first = app.post("/v1/members", ada("viewer")).await.expect(201);
    let renew = format!("/v1/members/{}/invitation", text(&first["member"]["id"]));
    app.clock.advance(7 * DAY);
    accept(&app, &first["invitation"])
        .await
        .problem(404, "not_found");
    let second = app.post(&renew, json!({})).await.expect(200);
    let third = app.post(&renew, json!({})).await.expect(200);
    assert!(version(&third["member"]) > version(&second["member"]));
    accept(&app, &second["invitation"])
        .await
        .problem(404, "not_found");
    app.clock.advance(7 * DAY - 1);
    accept(&app, &third["invitation"]).await.expect(201);

    for token in ["", "kwi_", "kwi_x", app.admin.expose()] {
        accept(&app, &json!(token)).await.refuses(&["token"]);
    }
    let hash = "select count(*) from members where invitation_hash is not null";
    assert_eq!(app.database.number(hash).await, Some(0));
}

#[tokio::test]
async fn another_role_counts_with_the_next_request_and_is_one_record_for_the_edges() {
    let edge = Edge::start().await;
    let app = App::with_edges(&[edge.url()]).await;
    let (id, them) = app.active_member("ada@example.com", "developer").await;
    for n in 0..5 {
        let body = json!({"name": n.to_string(), "ownerId": id, "permissions": ["a.read"]});
        them.post("/v1/keys", body).await.expect(201);
    }
    let delivered = edge.seen.versions(&id).len();
    let keys = app.get("/v1/keys").await.expect(200)["data"].clone();
    let path = format!("/v1/members/{id}");
    let changed = app.patch(&path, json!({"role": "viewer"})).await;
    let changed = changed.expect(200);
    assert_eq!(changed["propagated"], true);

    let refused = them.post("/v1/keys", json!({"name": "k"})).await;
    let problem = refused.problem(403, "forbidden");
    assert_eq!(
        problem["detail"],
        "The admin token lacks the permission keys.write"
    );
    them.get("/v1/keys").await.expect(200);
    let Some(Record::Member(record)) = edge.seen.state().remove(&id) else {
        panic!("the member is not at the edge");
    };
    assert_eq!((record.role.as_str(), record.removed), ("viewer", false));
    assert_eq!(record.version, version(&changed["member"]));
    assert_eq!(edge.seen.versions(&id).len(), delivered + 1);
    assert_eq!(app.get("/v1/keys").await.expect(200)["data"], keys);
    for key in keys.as_array().unwrap() {
        assert_eq!(edge.seen.versions(&text(&key["id"])), [version(key)]);
    }
}

#[tokio::test]
async fn a_removed_members_tokens_end_at_once_and_their_keys_stay() {
    let edge = Edge::start().await;
    let app = App::with_edges(&[edge.url()]).await;
    let (id, them) = app.active_member("ada@example.com", "developer").await;
    let (key, _) = app.key(json!({"name": "k", "ownerId": id})).await;
    let (other, _) = app.key(json!({"name": "k", "ownerId": id})).await;
    app.delete(&format!("/v1/keys/{}", text(&other["id"])))
        .await
        .expect(200);
    let path = format!("/v1/members/{id}");
    let removed = app.delete(&path).await.expect(200);
    assert_eq!(removed, json!({"refusedKeys": 1, "propagated": true}));

    them.get("/v1/me").await.problem(401, "unauthorized");
    app.get(&path).await.problem(404, "not_found");
    app.delete(&path).await.problem(404, "not_found");
    let Some(Record::Member(record)) = edge.seen.state().remove(&id) else {
        panic!("the member is not at the edge");
    };
    assert!(record.removed);
    let key = format!("/v1/keys/{}", text(&key["id"]));
    assert_eq!(app.get(&key).await.expect(200)["ownerId"], *id);
    // Another owner brings it back.
    let heir = app.member("bob@example.com", "developer", None).await;
    app.patch(&key, json!({"ownerId": id})).await.expect(200);
    app.patch(&key, json!({"ownerId": heir})).await.expect(200);
    app.patch(&key, json!({"ownerId": id}))
        .await
        .refuses(&["ownerId"]);
    // The address is free again.
    app.member("ada@example.com", "viewer", None).await;
}

#[tokio::test]
async fn an_account_with_members_keeps_an_owner() {
    let app = App::start().await;
    let (first, _) = app.active_member("first@example.com", "owner").await;
    let path = format!("/v1/members/{first}");
    let demote = json!({"role": "admin"});
    app.patch(&path, demote.clone())
        .await
        .problem(409, "conflict");
    // Alone, an owner may go: no member is left behind then.
    let second = app.member("second@example.com", "viewer", None).await;
    app.delete(&path).await.problem(409, "conflict");
    // Who was only invited may never come.
    let second = format!("/v1/members/{second}");
    app.patch(&second, json!({"role": "owner"}))
        .await
        .expect(200);
    app.delete(&path).await.problem(409, "conflict");
    let (third, _) = app.active_member("third@example.com", "owner").await;
    app.patch(&path, demote).await.expect(200);
    app.patch(&path, json!({"name": "Renamed"}))
        .await
        .expect(200);
    app.delete(&path).await.expect(200);
    app.delete(&second).await.expect(200);
    app.delete(&format!("/v1/members/{third}"))
        .await
        .expect(200);
    let left = app.get("/v1/members").await.expect(200);
    assert_eq!(left["data"], json!([]));
}

async fn found(app: &App, query: &str) -> Vec<String> {
    let page = app.get(&format!("/v1/members?{query}")).await.expect(200);
    let rows = page["data"].as_array().unwrap();
    rows.iter().map(|m| text(&m["name"])).collect()
}

#[tokio::test]
async fn members_are_found_by_account_role_and_parts_of_name_and_address() {
    let app = App::start().await;
    let account = app.account(json!({"name": "a"})).await;
    let role = app.role("keepers", &["keys.*"], &[]).await;
    for (email, role, account) in [
        ("ada@x.example", "viewer", None),
        ("bob@x.example", "viewer", Some(account.as_str())),
        ("cleo_1@y.example", role.as_str(), None),
    ] {
        app.clock.advance(1);
        app.member(email, role, account).await;
    }
    let all = ["cleo_1@y.example", "bob@x.example", "ada@x.example"];
    assert_eq!(found(&app, "").await, all);
    assert_eq!(found(&app, &format!("account={account}")).await, all[1..2]);
    assert_eq!(found(&app, "role=viewer").await, all[1..]);
    assert_eq!(found(&app, &format!("role={role}")).await, all[..1]);
    assert_eq!(found(&app, "q=X.EXA").await, all[1..]);
    assert_eq!(found(&app, "q=o_1").await, all[..1]);
    let first = app.get("/v1/members?limit=2").await.expect(200);
    let cursor = text(&first["nextCursor"]);
    assert_eq!(found(&app, &format!("cursor={cursor}")).await, all[2..]);
    app.get("/v1/members?q=&limit=0&role=%00")
        .await
        .refuses(&["limit", "role", "q"]);
}

#[tokio::test]
async fn what_cannot_be_a_member_is_refused_field_by_field() {
    let app = App::start().await;
    let account = app.account(json!({"name": "a"})).await;
    let foreign = app.role("r", &[], &[]).await;
    let long = "x".repeat(101);
    app.post(
        "/v1/members",
        json!({"email": "a b", "name": long, "role": ""}),
    )
    .await
    .refuses(&["email", "name", "role"]);
    for role in ["boss", "role_0000000000000000", foreign.as_str()] {
        let body = json!({"email": "a@b.example", "name": "a", "role": role, "accountId": account});
        app.post("/v1/members", body).await.refuses(&["role"]);
    }
    let invited = app.post("/v1/members", ada("viewer")).await.expect(201);
    app.post("/v1/members", ada("viewer"))
        .await
        .problem(409, "conflict");
    let path = format!("/v1/members/{}", text(&invited["member"]["id"]));
    app.patch(&path, json!({"role": "boss"}))
        .await
        .refuses(&["role"]);
    app.patch(&path, json!({"email": "c@d.example"}))
        .await
        .refuses(&["email"]);
    // The same address elsewhere is another member.
    let mut elsewhere = ada("viewer");
    elsewhere["accountId"] = json!(account);
    app.post("/v1/members", elsewhere).await.expect(201);
}

#[tokio::test]
async fn a_new_edge_is_given_roles_and_members_tombstones_included() {
    let app = App::start().await;
    let role = app.role("r", &[], &["a.*"]).await;
    let gone_role = app.role("gone", &[], &[]).await;
    app.delete(&format!("/v1/roles/{gone_role}"))
        .await
        .expect(200);
    let member = app.member("ada@example.com", &role, None).await;
    let gone = app.member("bob@example.com", &role, None).await;
    app.delete(&format!("/v1/members/{gone}")).await.expect(200);
    let key = app.key(json!({"name": "k", "ownerId": member})).await.0;
    let edge = Edge::start().await;
    let app = app.restart(&[edge.url()]).await;
    let all = || async { (edge.seen.state().len() == 6).then_some(()) };
    crate::support::until("everything has arrived", all).await;
    let state = edge.seen.state();
    let Record::Role(record) = &state[&role] else {
        panic!("{role} is no role");
    };
    assert_eq!(record.permissions[0].as_str(), "a.*");
    assert!(matches!(&state[&gone_role], Record::Role(r) if r.deleted));
    assert!(matches!(&state[&member], Record::Member(m) if m.role == role && !m.removed));
    assert!(matches!(&state[&gone], Record::Member(m) if m.removed));
    let Record::Key(record) = &state[&text(&key["id"])] else {
        panic!("the key is no key");
    };
    assert_eq!(record.owner, Some(member));
    drop(app);
}
