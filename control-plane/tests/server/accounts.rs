//! `/v1/accounts`.

use serde_json::json;

use crate::support::App;
use crate::support::app::{text, version};

#[tokio::test]
async fn an_account_is_made_below_the_tokens_account_and_takes_its_prefix() {
    let app = App::start().await;
    let root = app.get("/v1/accounts").await.expect(200)["data"][0].clone();
    assert_eq!(root["parentId"], json!(null));
    let root_path = format!("/v1/accounts/{}", text(&root["id"]));
    app.patch(&root_path, json!({"tokenPrefix": "acme"}))
        .await
        .expect(200);

    let made = app
        .post("/v1/accounts", json!({"name": "  Child "}))
        .await
        .expect(201);
    let child = &made["account"];
    assert_eq!(child["name"], "Child");
    assert_eq!(child["parentId"], root["id"]);
    assert_eq!(child["tokenPrefix"], "acme");
    assert!(version(child) > version(&root));
    assert_eq!(made["propagated"], false);
    let id = text(&child["id"]);
    assert_eq!(id.len(), 12);
    assert_eq!(
        app.get(&format!("/v1/accounts/{id}")).await.expect(200),
        *child
    );
}

#[tokio::test]
async fn a_keys_token_begins_with_its_accounts_prefix_and_carries_its_locator() {
    let app = App::start().await;
    let id = app
        .account(json!({"name": "Shop", "tokenPrefix": "shop2"}))
        .await;
    let (key, token) = app
        .key(json!({"name": "k", "accountId": id, "environment": "staging"}))
        .await;
    assert_eq!(key["accountId"], json!(id));
    assert!(token.starts_with("shop2_stg_sk_"), "{token}");
    let parsed = shared::token::ParsedToken::parse(&token).unwrap();
    assert_eq!(shared::account::id_from_locator(parsed.locator()), id);
}

#[tokio::test]
async fn accounts_are_listed_newest_first_in_pages_and_by_parent() {
    let app = App::start().await;
    let mut ids = Vec::new();
    for name in ["a", "b", "c"] {
        app.clock.advance(1);
        ids.push(app.account(json!({"name": name})).await);
    }
    let below = app
        .account(json!({"name": "below", "parentId": ids[0]}))
        .await;

    let first = app.get("/v1/accounts?limit=2").await.expect(200);
    let cursor = text(&first["nextCursor"]);
    let second = app
        .get(&format!("/v1/accounts?limit=2&cursor={cursor}"))
        .await
        .expect(200);
    let cursor = text(&second["nextCursor"]);
    let third = app
        .get(&format!("/v1/accounts?limit=2&cursor={cursor}"))
        .await
        .expect(200);
    assert_eq!(third["nextCursor"], json!(null));
    let pages = [first, second, third];
    let names: Vec<_> = pages
        .iter()
        .flat_map(|p| p["data"].as_array().unwrap())
        .map(|a| text(&a["name"]))
        .collect();
    // The same moment: then by id, whichever that is.
    assert_eq!(names.len(), 5);
    assert_eq!(names[4], "Root");
    assert_eq!(names[2..4], ["b", "a"]);

    let children = app
        .get(&format!("/v1/accounts?parent={}", ids[0]))
        .await
        .expect(200);
    assert_eq!(children["data"].as_array().unwrap().len(), 1);
    assert_eq!(children["data"][0]["id"], json!(below));
    app.get("/v1/accounts?parent=acc_nobody00")
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn the_tree_is_at_most_eight_deep() {
    let app = App::start().await;
    let mut parent = app.account(json!({"name": "2"})).await;
    for depth in 3..=8 {
        parent = app
            .account(json!({"name": depth.to_string(), "parentId": parent}))
            .await;
    }
    let body = json!({"name": "9", "parentId": parent});
    app.post("/v1/accounts", body)
        .await
        .problem(409, "conflict");
}

#[tokio::test]
async fn only_an_empty_account_can_be_deleted_and_it_is_gone_then() {
    let app = App::start().await;
    let id = app.account(json!({"name": "a"})).await;
    let path = format!("/v1/accounts/{id}");
    let below = app.account(json!({"name": "b", "parentId": id})).await;
    let detail = |p: serde_json::Value| text(&p["detail"]);
    assert!(detail(app.delete(&path).await.problem(409, "conflict")).contains("subaccounts"));
    app.delete(&format!("/v1/accounts/{below}"))
        .await
        .expect(200);

    let (key, _) = app.key(json!({"name": "k", "accountId": id})).await;
    assert!(detail(app.delete(&path).await.problem(409, "conflict")).contains("keys"));
    app.delete(&format!("/v1/keys/{}", text(&key["id"])))
        .await
        .expect(200);

    app.delete(&path).await.expect(200);
    app.get(&path).await.problem(404, "not_found");
    app.delete(&path).await.problem(404, "not_found");
    app.post("/v1/keys", json!({"name": "k", "accountId": id}))
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn the_tokens_own_account_cannot_be_deleted() {
    let app = App::start().await;
    let root = app.get("/v1/accounts").await.expect(200)["data"][0].clone();
    let path = format!("/v1/accounts/{}", text(&root["id"]));
    app.delete(&path).await.problem(409, "conflict");
}

#[tokio::test]
async fn bad_fields_are_named() {
    let app = App::start().await;
    app.post("/v1/accounts", json!({})).await.refuses(&["name"]);
    let body = json!({"name": " ", "tokenPrefix": "Bad_"});
    app.post("/v1/accounts", body)
        .await
        .refuses(&["name", "tokenPrefix"]);
    let body = json!({"name": "x".repeat(101)});
    app.post("/v1/accounts", body).await.refuses(&["name"]);
    app.post("/v1/accounts", json!({"name": "a\u{7}"}))
        .await
        .refuses(&["name"]);
    app.post("/v1/accounts", json!({"name": "a", "parent": "x"}))
        .await
        .refuses(&["parent"]);
    app.post(
        "/v1/accounts",
        json!({"name": "a", "parentId": "acc_nobody00"}),
    )
    .await
    .problem(404, "not_found");
    app.get("/v1/accounts?limit=0").await.refuses(&["limit"]);
}
