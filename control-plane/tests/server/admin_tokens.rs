//! `/v1/admin-tokens`.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::App;
use crate::support::app::text;

#[tokio::test]
async fn a_token_is_shown_once_listed_with_its_last_use_and_revoked_at_once() {
    let app = App::start().await;
    let me = app.get("/v1/me").await.expect(200);
    app.clock.advance(1000);
    let body =
        json!({"name": "CI", "role": "viewer", "permissions": ["keys.read"], "expiresIn": "30d"});
    let made = app.post("/v1/admin-tokens", body).await.expect(201);
    let shown = &made["adminToken"];
    let id = text(&shown["id"]);
    assert_eq!(
        *shown,
        json!({
            "id": id, "accountId": me["account"]["id"], "name": "CI", "memberId": null, "role": "viewer",
            "permissions": ["keys.read"], "createdBy": me["token"]["id"],
            "createdAt": "2027-01-15T08:00:01.000Z", "lastUsedAt": null,
            "expiresAt": "2027-02-14T08:00:01.000Z",
        })
    );
    let them = app.seen_by(made["token"].as_str().unwrap());
    app.clock.advance(4000);
    them.get("/v1/keys").await.expect(200);
    let seen = them.get("/v1/me").await.expect(200);
    assert_eq!(seen["permissions"], json!(["keys.read"]));
    assert_eq!(seen["apiPermissions"], json!([]));
    them.get("/v1/apis").await.problem(403, "forbidden");

    let path = format!("/v1/admin-tokens/{id}");
    let used = app.get(&path).await.expect(200);
    assert_eq!(used["lastUsedAt"], "2027-01-15T08:00:05.000Z");
    let list = app.get("/v1/admin-tokens").await.expect(200);
    let rows = list["data"].as_array().unwrap();
    assert_eq!((rows.len(), &rows[0]), (2, &used));
    assert_eq!(rows[1]["name"], "environment");
    assert_eq!(rows[1]["role"], "owner");
    assert!(!list.to_string().contains("kwa_"));

    app.delete(&path).await.expect(200);
    them.get("/v1/keys").await.problem(401, "unauthorized");
    app.get(&path).await.problem(404, "not_found");
    app.delete(&path).await.problem(404, "not_found");
    let list = app.get("/v1/admin-tokens").await.expect(200);
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_token_ends_by_itself_at_its_time() {
    let app = App::start().await;
    let body = json!({"name": "t", "role": "viewer", "expiresAt": "2027-01-15T08:00:10Z"});
    let them = app.with_token(body).await;
    app.clock.advance(9_999);
    them.get("/v1/me").await.expect(200);
    app.clock.advance(1);
    them.get("/v1/me").await.problem(401, "unauthorized");
    let forever = json!({"name": "t", "role": "viewer", "expiresAt": null});
    let them = app.with_token(forever).await;
    app.clock.advance(1 << 40);
    them.get("/v1/me").await.expect(200);
}

#[tokio::test]
async fn a_members_token_follows_the_members_role_and_account() {
    let app = App::start().await;
    let account = app.account(json!({"name": "a"})).await;
    let member = app
        .member("ada@example.com", "viewer", Some(&account))
        .await;
    let body = json!({"name": "t", "memberId": member});
    let them = app.with_token(body).await;
    let me = them.get("/v1/me").await.expect(200);
    assert_eq!(me["account"]["id"], *account);
    assert_eq!(me["member"]["id"], *member);
    let path = format!("/v1/members/{member}");
    app.patch(&path, json!({"role": "admin"})).await.expect(200);
    let me = them.get("/v1/me").await.expect(200);
    assert_eq!(
        (&me["token"]["role"], 16),
        (&json!("admin"), me["permissions"].as_array().unwrap().len())
    );
    let of_member = app.get(&format!("/v1/admin-tokens?member={member}")).await;
    assert_eq!(of_member.expect(200)["data"].as_array().unwrap().len(), 1);
    let of_account = app
        .get(&format!("/v1/admin-tokens?account={account}"))
        .await;
    assert_eq!(of_account.expect(200)["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_no_token_is_refused_field_by_field() {
    let app = App::start().await;
    let account = app.account(json!({"name": "a"})).await;
    let member = app.member("ada@example.com", "viewer", None).await;
    for (body, fields) in [
        (json!({"name": "", "role": "viewer"}), vec!["name"]),
        (json!({"name": "t"}), vec!["role"]),
        (
            json!({"name": "t", "role": "viewer", "memberId": member}),
            vec!["memberId"],
        ),
        (json!({"name": "t", "role": "boss"}), vec!["role"]),
        (
            json!({"name": "t", "memberId": member, "accountId": account}),
            vec!["accountId"],
        ),
        (
            json!({"name": "t", "role": "viewer", "permissions": ["keys.fly"], "expiresIn": "2d"}),
            vec!["permissions[0]", "expiresIn"],
        ),
        (
            json!({"name": "t", "role": "viewer", "expiresAt": "2020-01-01T00:00:00Z"}),
            vec!["expiresAt"],
        ),
    ] {
        app.post("/v1/admin-tokens", body).await.refuses(&fields);
    }
    let nobody = json!({"name": "t", "memberId": "mem_00000000000000000000"});
    app.post("/v1/admin-tokens", nobody)
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn tokens_from_before_act_as_owners() {
    let app = App::start().await;
    // As the program before this one writes them.
    let token = keyward::admin_token::AdminToken::mint().unwrap();
    let store = app.store().await;
    let mut tx = store.write().await.unwrap();
    keyward::store::query(
        "insert into admin_tokens (hash, account_id, name, created_at) select $1, id, 'old', 1 from accounts",
    )
    .bind(token.hash())
    .execute(&mut tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    store.close().await;
    let them = app.seen_by(token.expose());
    let me = them.get("/v1/me").await;
    assert_eq!(me.body["permissions"].as_array().unwrap().len(), 18);
    let id = text(&me.body["token"]["id"]);
    assert_eq!(id, format!("tok_{}", &token.hash()[..20]));
    them.post("/v1/accounts", json!({"name": "a"}))
        .await
        .expect(201);
}

#[tokio::test]
async fn a_revoked_token_of_the_environment_stays_revoked() {
    let app = App::start().await;
    let other = app.with_token(json!({"name": "t", "role": "owner"})).await;
    let id = app.get("/v1/me").await.expect(200)["token"]["id"].clone();
    let path = format!("/v1/admin-tokens/{}", text(&id));
    let token = other.token.clone();
    other.send(Method::DELETE, &path, None).await.expect(200);
    let app = app.restart(&[]).await;
    app.get("/v1/keys").await.problem(401, "unauthorized");
    let me: Value = app.seen_by(token.expose()).get("/v1/me").await.expect(200);
    assert_eq!(me["token"]["name"], "t");
}
