//! `POST /v1/explain`: every step of the gate's decision, and what it saw.

use reqwest::Method;
use serde_json::{Value, json};
use shared::token::KeyHash;

use crate::support::App;
use crate::support::app::text;

/// An API with routes that need this and that, and a key that has it.
async fn guarded(app: &App) -> (Value, String) {
    let api = json!({
        "name": "An API", "upstream": "https://upstream.example",
        "endpoints": [{"host": "api.example", "environment": "production"}],
        "routes": [
            {"method": "GET", "path": "/accounts/{account}/agents/{agent}", "permission": "agents.read",
             "accountParam": "account", "resource": {"kind": "agent", "param": "agent"}, "cost": 3},
            {"method": "POST", "path": "/agents", "permission": "agents.write"},
        ],
    });
    app.post("/v1/apis", api).await.expect(201);
    let key = json!({
        "name": "k", "permissions": ["agents.read"], "resources": ["agent:a_1"],
        "allowedOrigins": ["https://app.example"], "allowedIps": ["10.0.0.0/8"],
        "expiresAt": "2027-02-01T00:00:00Z",
    });
    app.key(key).await
}

async fn root(app: &App) -> String {
    text(&app.get("/v1/accounts").await.expect(200)["data"][0]["id"])
}

/// A request that the key of [`guarded`] may make.
fn good(root: &str, key: &Value) -> Value {
    json!({
        "keyId": key["id"], "host": "API.example", "path": format!("/accounts/{root}/agents/a_1?x=1"),
        "origin": "https://app.example", "ip": "10.1.2.3",
    })
}

fn with(base: &Value, name: &str, value: Value) -> Value {
    let mut changed = base.clone();
    changed[name] = value;
    changed
}

/// A token with another last character.
fn mistyped(token: &str) -> String {
    let (most, last) = token.split_at(token.len() - 1);
    format!("{most}{}", if last == "0" { "1" } else { "0" })
}

fn outcome<'a>(explanation: &'a Value, step: &str) -> &'a Value {
    let steps = explanation["steps"].as_array().unwrap();
    let found = steps.iter().find(|s| s["step"] == step);
    found.unwrap_or_else(|| panic!("no step {step}: {explanation}"))
}

#[tokio::test]
async fn an_admitted_request_shows_every_step_and_what_it_costs() {
    let app = App::start().await;
    let (key, _) = guarded(&app).await;
    let root = root(&app).await;
    let told = app.post("/v1/explain", good(&root, &key)).await.expect(200);
    assert_eq!(told["allowed"], true, "{told}");
    assert_eq!(told["refusal"], Value::Null);
    assert_eq!(told["cost"], 3);
    let steps: Vec<&str> = told["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["step"].as_str().unwrap())
        .collect();
    assert_eq!(
        steps,
        [
            "api",
            "credential",
            "key",
            "path",
            "status",
            "tenant",
            "expiry",
            "environment",
            "account",
            "ip",
            "origin",
            "permission",
            "resource",
            "route",
            "quota"
        ]
    );
    assert_eq!(outcome(&told, "quota")["outcome"], "unknown");
    assert_eq!(outcome(&told, "permission")["saw"]["needed"], "agents.read");
    assert_eq!(
        outcome(&told, "route")["saw"]["matched"],
        "GET /accounts/{account}/agents/{agent}"
    );
}

#[tokio::test]
async fn each_refusal_is_explained_by_the_step_that_refuses() {
    let app = App::start().await;
    let (key, _) = guarded(&app).await;
    let root = root(&app).await;
    let other = app.account(json!({"name": "other"})).await;
    let below = json!({"name": "k", "accountId": other, "permissions": ["*"]});
    let (of_other, _) = app.key(below).await;
    let good = good(&root, &key);
    let path = |path: String| with(&good, "path", json!(path));
    for (request, step, code) in [
        (
            with(&good, "host", json!("nobody.example")),
            "api",
            "unknown_api",
        ),
        (with(&good, "host", json!("no host")), "api", "bad_request"),
        (
            with(&good, "at", json!("2027-02-01T00:00:00Z")),
            "expiry",
            "expired_key",
        ),
        (
            with(&good, "ip", json!("192.0.2.1")),
            "ip",
            "ip_not_allowed",
        ),
        (
            with(&good, "origin", json!("https://evil.example")),
            "origin",
            "origin_not_allowed",
        ),
        (path("/a/%2e%2e/b".into()), "path", "bad_request"),
        (
            path(format!("/accounts/{root}/agents/a_2")),
            "resource",
            "resource_not_allowed",
        ),
        (path("/nothing".into()), "route", "unknown_route"),
        (
            with(&path("/agents".into()), "method", json!("post")),
            "permission",
            "insufficient_permission",
        ),
        (
            with(&path("/agents".into()), "method", json!("PUT")),
            "route",
            "unknown_route",
        ),
        (
            with(&good, "keyId", of_other["id"].clone()),
            "account",
            "account_not_allowed",
        ),
    ] {
        let told = app.post("/v1/explain", request.clone()).await.expect(200);
        assert_eq!(told["allowed"], false, "{request}");
        // 405 has the code of 404.
        assert_eq!(told["refusal"]["code"], code, "{request}: {told}");
        assert_eq!(outcome(&told, step)["outcome"], "failed", "{told}");
        assert!(outcome(&told, step)["detail"].is_string(), "{told}");
    }
}

#[tokio::test]
async fn later_steps_are_shown_although_an_earlier_one_refuses() {
    let app = App::start().await;
    let (key, _) = guarded(&app).await;
    let root = root(&app).await;
    app.post(&format!("/v1/keys/{}/revoke", text(&key["id"])), json!({}))
        .await
        .expect(200);
    let request = with(&good(&root, &key), "ip", json!("192.0.2.1"));
    let told = app.post("/v1/explain", request).await.expect(200);
    // What callers are told does not say which; what the admin is told does.
    assert_eq!(told["refusal"]["code"], "invalid_key");
    assert_eq!(told["refusal"]["status"], 401);
    assert_eq!(outcome(&told, "status")["detail"], "The key is revoked");
    assert_eq!(outcome(&told, "ip")["outcome"], "failed");
    assert_eq!(outcome(&told, "permission")["outcome"], "passed");
}

#[tokio::test]
async fn a_presented_token_is_judged_and_told_to_nobody() {
    let app = App::start().await;
    let (key, token) = guarded(&app).await;
    let root = root(&app).await;
    let mut request = good(&root, &key);
    request.as_object_mut().unwrap().remove("keyId");
    let told = app.post("/v1/explain", request.clone()).await.expect(200);
    assert_eq!(told["refusal"]["code"], "missing_credential");

    let presented = with(&request, "token", json!(token));
    let told = app.post("/v1/explain", presented.clone()).await.expect(200);
    assert_eq!(told["allowed"], true, "{told}");
    assert!(!told.to_string().contains(&token));

    let mistyped = mistyped(&token);
    let told = app
        .post("/v1/explain", with(&request, "token", json!(mistyped)))
        .await
        .expect(200);
    assert_eq!(told["refusal"]["code"], "malformed_credential");

    let staging = json!({"name": "s", "environment": "staging"});
    let (_, of_staging) = app.key(staging).await;
    let told = app
        .post("/v1/explain", with(&request, "token", json!(of_staging)))
        .await
        .expect(200);
    assert_eq!(told["refusal"]["code"], "wrong_environment");

    app.post(&format!("/v1/keys/{}/rotate", text(&key["id"])), json!({}))
        .await
        .expect(200);
    let told = app.post("/v1/explain", presented.clone()).await.expect(200);
    assert_eq!(told["refusal"]["code"], "invalid_key");
    app.post("/v1/explain", with(&presented, "keyId", key["id"].clone()))
        .await
        .refuses(&["token"]);
}

#[tokio::test]
async fn nobody_learns_of_keys_and_apis_of_other_accounts() {
    let app = App::start().await;
    let (key, token) = guarded(&app).await;
    let root = root(&app).await;
    let mine = app.account(json!({"name": "mine"})).await;
    let me = app.admin_of(&mine).await;
    let theirs = good(&root, &key);
    me.post("/v1/explain", theirs.clone())
        .await
        .problem(404, "not_found");
    let mut by_token = with(&theirs, "token", json!(token));
    by_token.as_object_mut().unwrap().remove("keyId");
    let told = me.post("/v1/explain", by_token).await.expect(200);
    // Neither the API, which no key of theirs is presented for, nor the key.
    assert_eq!(told["refusal"]["code"], "unknown_api");
    assert!(!told.to_string().contains(&root), "{told}");

    // A platform's API is opened by its customers' keys: they may ask why theirs is refused.
    let (own, _) = app.key(json!({"name": "k", "accountId": mine})).await;
    let request = with(&theirs, "keyId", own["id"].clone());
    let told = me.post("/v1/explain", request).await.expect(200);
    assert_eq!(told["refusal"]["code"], "account_not_allowed", "{told}");
    assert_eq!(outcome(&told, "api")["saw"]["api"], Value::Null);
}

#[tokio::test]
async fn a_token_of_another_form_is_explained_by_whether_the_api_takes_imported_keys() {
    let app = App::start().await;
    let api = json!({
        "name": "An API", "upstream": "https://upstream.example", "unlisted": "open",
        "endpoints": [{"host": "api.example", "environment": "production"}],
    });
    let api = app.post("/v1/apis", api).await.expect(201)["api"].clone();
    let token = "sk_live_imported!1";
    let line = json!({"hash": KeyHash::of(token).to_hex(), "name": "k"});
    let request = app
        .request(Method::POST, "/v1/imports")
        .header("content-type", "application/x-ndjson")
        .body(line.to_string());
    assert_eq!(request.send().await.unwrap().status(), 201);
    let asked = json!({"host": "api.example", "token": token});
    let told = app.post("/v1/explain", asked.clone()).await.expect(200);
    assert_eq!(told["refusal"]["code"], "malformed_credential", "{told}");
    assert_eq!(outcome(&told, "credential")["saw"]["acceptImported"], false);
    let path = format!("/v1/apis/{}", text(&api["id"]));
    let accepts = json!({"acceptImported": true});
    app.patch(&path, accepts).await.expect(200);
    let told = app.post("/v1/explain", asked.clone()).await.expect(200);
    assert_eq!(told["allowed"], true, "{told}");
    assert_eq!(outcome(&told, "credential")["saw"]["isOfOurForm"], false);
    let unknown = with(&asked, "token", json!("sk_live_nobodys"));
    let told = app.post("/v1/explain", unknown).await.expect(200);
    assert_eq!(told["refusal"]["code"], "invalid_key", "{told}");
    // Its record tells the environment.
    let staging = json!({"endpoints": [{"host": "api.example", "environment": "staging"}]});
    app.patch(&path, staging).await.expect(200);
    let told = app.post("/v1/explain", asked).await.expect(200);
    assert_eq!(told["refusal"]["code"], "wrong_environment", "{told}");
    assert_eq!(outcome(&told, "environment")["outcome"], "failed");
}
