//! Who may do what.

use keyward::admin_token::AdminToken;
use reqwest::Method;
use serde_json::json;

use crate::support::app::text;
use crate::support::{Answer, App};

#[tokio::test]
async fn every_resource_needs_a_valid_admin_token() {
    let app = App::start().await;
    let other = AdminToken::mint().unwrap();
    let good = app.admin.expose();
    for path in [
        "/v1/accounts",
        "/v1/apis",
        "/v1/keys",
        "/v1/keys/key_1",
        "/v1/keys/key_1/usage",
        "/v1/presets",
    ] {
        for value in [
            None,
            Some(String::new()),
            Some(good.to_owned()),
            Some(format!("Basic {good}")),
            Some("Bearer".to_owned()),
            Some("Bearer kw_prod_sk_x".to_owned()),
            Some(format!("Bearer {}", other.expose())),
            Some(format!("Bearer {good}x")),
            Some(format!("Bearer {good}, Bearer {good}")),
        ] {
            let mut request = app.bare(Method::GET, path);
            if let Some(value) = &value {
                request = request.header("authorization", value);
            }
            let answer = Answer::read(request.send().await.unwrap()).await;
            assert_eq!(
                answer.headers["www-authenticate"],
                "Bearer realm=\"keyward\""
            );
            answer.problem(401, "unauthorized");
        }
    }
    let twice = app
        .request(Method::GET, "/v1/keys")
        .header("authorization", "Bearer x");
    Answer::read(twice.send().await.unwrap())
        .await
        .problem(401, "unauthorized");
    let request = app
        .bare(Method::GET, "/v1/keys")
        .header("authorization", format!("bEARER  {good}"));
    Answer::read(request.send().await.unwrap())
        .await
        .expect(200);
}

#[tokio::test]
async fn an_unauthorized_call_learns_nothing_of_its_body() {
    let app = App::start().await;
    let request = app.bare(Method::POST, "/v1/keys").body("{");
    Answer::read(request.send().await.unwrap())
        .await
        .problem(401, "unauthorized");
}

#[tokio::test]
async fn an_admin_sees_the_own_account_and_below_and_nothing_else() {
    let app = App::start().await;
    let mine = app.account(json!({"name": "mine"})).await;
    let below = app
        .account(json!({"name": "below", "parentId": mine}))
        .await;
    let theirs = app.account(json!({"name": "theirs"})).await;
    let mut keys = Vec::new();
    for account in [&mine, &below, &theirs] {
        keys.push(text(
            &app.key(json!({"name": "k", "accountId": account})).await.0["id"],
        ));
    }
    let their_api = app.api("theirs.example").await;
    let me = app.admin_of(&mine).await;

    let accounts = me.get("/v1/accounts").await.expect(200);
    let names: Vec<_> = accounts["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| text(&a["name"]))
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names.contains(&"mine".to_owned()) && names.contains(&"below".to_owned()));
    let listed = me.get("/v1/keys").await.expect(200);
    assert_eq!(listed["data"].as_array().unwrap().len(), 2);
    for key in &keys[..2] {
        me.get(&format!("/v1/keys/{key}")).await.expect(200);
    }
    // Who stands above is nobody's business below.
    let top = me.get(&format!("/v1/accounts/{mine}")).await.expect(200);
    assert_eq!(top["parentId"], json!(null));

    let key = &keys[2];
    let before = app.get(&format!("/v1/keys/{key}")).await.expect(200);
    for (method, path) in [
        (Method::GET, format!("/v1/accounts/{theirs}")),
        (Method::PATCH, format!("/v1/accounts/{theirs}")),
        (Method::DELETE, format!("/v1/accounts/{theirs}")),
        (Method::GET, format!("/v1/apis/{their_api}")),
        (Method::PATCH, format!("/v1/apis/{their_api}")),
        (Method::DELETE, format!("/v1/apis/{their_api}")),
        (Method::GET, format!("/v1/keys/{key}")),
        (Method::PATCH, format!("/v1/keys/{key}")),
        (Method::DELETE, format!("/v1/keys/{key}")),
        (Method::POST, format!("/v1/keys/{key}/rotate")),
        (Method::POST, format!("/v1/keys/{key}/revoke")),
        (Method::POST, format!("/v1/keys/{key}/reactivate")),
        (Method::GET, format!("/v1/keys/{key}/usage")),
        (Method::GET, format!("/v1/keys?account={theirs}")),
        (Method::GET, format!("/v1/apis?account={theirs}")),
        (Method::GET, format!("/v1/accounts?parent={theirs}")),
    ] {
        let body = (method != Method::GET).then(|| json!({}));
        me.send(method, &path, body).await.problem(404, "not_found");
    }
    me.post("/v1/keys", json!({"name": "k", "accountId": theirs}))
        .await
        .problem(404, "not_found");
    me.post("/v1/accounts", json!({"name": "k", "parentId": theirs}))
        .await
        .problem(404, "not_found");
    let api = json!({"name": "k", "accountId": theirs, "upstream": "http://u",
                     "endpoints": [{"host": "h", "environment": "production"}]});
    me.post("/v1/apis", api).await.problem(404, "not_found");
    let untouched = app.get(&format!("/v1/keys/{key}")).await.expect(200);
    assert_eq!(untouched["version"], before["version"]);
}

#[tokio::test]
async fn ids_are_told_apart_by_case() {
    let app = App::start().await;
    let id = text(&app.key(json!({"name": "k"})).await.0["id"]);
    let swapped: String = id[4..]
        .chars()
        .map(|c| {
            if c.is_ascii_lowercase() {
                c.to_ascii_uppercase()
            } else {
                c.to_ascii_lowercase()
            }
        })
        .collect();
    app.get(&format!("/v1/keys/key_{swapped}"))
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn a_deleted_accounts_tokens_are_worth_nothing() {
    let app = App::start().await;
    let id = app.account(json!({"name": "a"})).await;
    let admin = app.admin_of(&id).await;
    admin.get("/v1/keys").await.expect(200);
    app.delete(&format!("/v1/accounts/{id}")).await.expect(200);
    admin.get("/v1/keys").await.problem(401, "unauthorized");
}

#[tokio::test]
async fn the_use_of_an_admin_token_is_noted() {
    let app = App::start().await;
    let noted = || app.database.number("select last_used_at from admin_tokens");
    assert_eq!(noted().await, None::<i64>);
    app.get("/v1/keys").await.expect(200);
    let first: Option<i64> = noted().await;
    assert!(first.is_some());
    app.clock.advance(59_000);
    app.get("/v1/keys").await.expect(200);
    assert_eq!(noted().await, first);
    app.clock.advance(1_000);
    app.get("/v1/keys").await.expect(200);
    assert!(noted().await > first);
}
