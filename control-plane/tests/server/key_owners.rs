//! A key belongs to a member of its account, and may do no more than the member's role says.

use serde_json::{Value, json};

use crate::support::App;
use crate::support::app::text;

#[tokio::test]
async fn an_owner_is_a_member_of_the_keys_own_account() {
    let app = App::start().await;
    let account = app.account(json!({"name": "a"})).await;
    let above = app.member("ada@example.com", "developer", None).await;
    let own = app
        .member("bob@example.com", "developer", Some(&account))
        .await;
    for owner in ["mem_00000000000000000000", "Ada", above.as_str()] {
        let body = json!({"name": "k", "accountId": account, "ownerId": owner});
        app.post("/v1/keys", body).await.refuses(&["ownerId"]);
    }
    let body = json!({"name": "k", "accountId": account, "ownerId": own});
    let (key, _) = app.key(body).await;
    let path = format!("/v1/keys/{}", text(&key["id"]));
    app.patch(&path, json!({"ownerId": above}))
        .await
        .refuses(&["ownerId"]);
}

#[tokio::test]
async fn a_key_may_do_no_more_than_its_owners_role() {
    let app = App::start().await;
    let role = app.role("r", &[], &["customers.*"]).await;
    let owner = app.member("ada@example.com", &role, None).await;
    let key =
        |permissions: Value| json!({"name": "k", "ownerId": owner, "permissions": permissions});
    let refused = app
        .post(
            "/v1/keys",
            key(json!(["customers.read", "orders.read", "*"])),
        )
        .await
        .problem(422, "validation_failed");
    let detail = |permission: &str| json!({"field": "permissions", "detail": format!("the role of the key's owner does not allow {permission}")});
    assert_eq!(
        refused["errors"],
        json!([detail("orders.read"), detail("*")])
    );
    let (made, _) = app.key(key(json!(["customers.read"]))).await;
    let path = format!("/v1/keys/{}", text(&made["id"]));
    app.patch(&path, json!({"permissions": ["orders.read"]}))
        .await
        .refuses(&["permissions"]);
    app.patch(
        &path,
        json!({"permissions": ["orders.read"], "ownerId": null}),
    )
    .await
    .expect(200);
    app.patch(&path, json!({"ownerId": owner}))
        .await
        .refuses(&["permissions"]);
}

#[tokio::test]
async fn a_key_that_is_beyond_a_role_that_shrank_can_still_be_changed_otherwise() {
    let app = App::start().await;
    let role = app.role("r", &[], &["customers.*"]).await;
    let owner = app.member("ada@example.com", &role, None).await;
    let body = json!({"name": "k", "ownerId": owner, "permissions": ["customers.read"]});
    let (key, _) = app.key(body).await;
    let path = format!("/v1/keys/{}", text(&key["id"]));
    app.patch(&format!("/v1/roles/{role}"), json!({"apiPermissions": []}))
        .await
        .expect(200);
    app.patch(&path, json!({"name": "renamed"}))
        .await
        .expect(200);
    app.post(&format!("{path}/rotate"), json!({}))
        .await
        .expect(200);
    app.patch(&path, json!({"permissions": ["customers.write"]}))
        .await
        .refuses(&["permissions"]);
}
