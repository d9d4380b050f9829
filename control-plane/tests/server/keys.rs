//! `POST /v1/keys` and `GET /v1/keys/{id}`.

use serde_json::{Value, json};
use shared::secret::Secret;
use shared::token::{ParsedToken, TagSecrets};

use crate::support::app::text;
use crate::support::{App, TAG_SECRET};

#[tokio::test]
async fn a_key_that_says_only_its_name_gets_the_defaults() {
    let app = App::start().await;
    let made = app
        .post("/v1/keys", json!({"name": " First "}))
        .await
        .expect(201);
    let key = &made["key"];
    let token = text(&made["token"]);
    let root = app.get("/v1/accounts").await.expect(200)["data"][0]["id"].clone();
    assert_eq!(
        *key,
        json!({
            "id": key["id"], "name": "First", "accountId": root, "ownerId": null, "identityId": null,
            "environment": "production", "credits": null,
            "status": "active", "start": token[..15], "last8": token[token.len() - 8..],
            "rotation": null,
            "permissions": [], "resources": [], "allowedOrigins": [], "allowMissingOrigin": false, "allowedIps": [],
            "rateLimits": {"requestsPerMinute": 60, "requestsPerHour": null, "requestsPerDay": null},
            "enforcement": "leased", "expiresAt": null,
            "createdAt": "2027-01-15T08:00:00.000Z", "updatedAt": "2027-01-15T08:00:00.000Z",
            "rotationDueAt": null, "lastUsedAt": null, "usageCount": 0, "metadata": {}, "leak": null, "version": key["version"],
        })
    );
    assert_eq!(made["propagated"], false);
    let id = text(&key["id"]);
    assert_eq!(id.len(), 24);
    assert_eq!(app.get(&format!("/v1/keys/{id}")).await.expect(200), *key);

    let parsed = ParsedToken::parse(&token).unwrap();
    assert!(token.starts_with("kw_prod_sk_"));
    let secrets = TagSecrets::new(&Secret::from_text(TAG_SECRET).unwrap(), None);
    assert!(parsed.is_genuine(&secrets));
}

#[tokio::test]
async fn a_key_keeps_all_that_it_is_given() {
    let app = App::start().await;
    let owner = app.member("a@example.com", "developer", None).await;
    let given = json!({
        "name": "Ünïcode key", "environment": "staging", "ownerId": owner,
        "permissions": ["customers.read", "orders.*", "customers.read"], "resources": ["agent:a_17"],
        "allowedOrigins": ["https://*.example.com", "http://localhost:3000"], "allowMissingOrigin": true,
        "allowedIps": ["203.0.113.7", "10.1.2.3/8", "2001:db8::/32"],
        "rateLimits": {"requestsPerMinute": 1, "requestsPerHour": 5000, "requestsPerDay": 1_000_000_000},
        "enforcement": "strict", "expiresAt": "2027-02-01T01:00:00+01:00",
        "metadata": {"team": "payments", "nested": [1, {"a": null}]},
    });
    let (key, token) = app.key(given.clone()).await;
    for name in [
        "name",
        "environment",
        "ownerId",
        "resources",
        "allowedOrigins",
        "rateLimits",
        "enforcement",
        "metadata",
    ] {
        assert_eq!(key[name], given[name], "{name}");
    }
    assert_eq!(key["permissions"], json!(["customers.read", "orders.*"]));
    assert_eq!(key["allowMissingOrigin"], true);
    assert_eq!(
        key["allowedIps"],
        json!(["203.0.113.7/32", "10.0.0.0/8", "2001:db8::/32"])
    );
    assert_eq!(key["expiresAt"], "2027-02-01T00:00:00.000Z");
    assert!(token.starts_with("kw_stg_sk_"));
    assert_eq!(
        app.get(&format!("/v1/keys/{}", text(&key["id"])))
            .await
            .expect(200),
        key
    );
}

#[tokio::test]
async fn expiry_is_never_or_in_days_or_at_a_time_to_come() {
    let app = App::start().await;
    let expires = |body: Value| async { app.key(body).await.0["expiresAt"].clone() };
    assert_eq!(
        expires(json!({"name": "k", "expiresIn": "never"})).await,
        json!(null)
    );
    assert_eq!(
        expires(json!({"name": "k", "expiresAt": null})).await,
        json!(null)
    );
    assert_eq!(
        expires(json!({"name": "k", "expiresIn": "30d"})).await,
        "2027-02-14T08:00:00.000Z"
    );
    assert_eq!(
        expires(json!({"name": "k", "expiresIn": "90d"})).await,
        "2027-04-15T08:00:00.000Z"
    );
    for (field, value) in [
        ("expiresIn", json!("31d")),
        ("expiresIn", json!(30)),
        ("expiresIn", json!(null)),
        ("expiresAt", json!("2027-01-15T08:00:00Z")),
        ("expiresAt", json!("1999-01-15T08:00:00Z")),
        ("expiresAt", json!("tomorrow")),
        ("expiresAt", json!(1_900_000_000_000_u64)),
        ("expiresAt", json!("10000-01-01T00:00:00Z")),
    ] {
        app.post("/v1/keys", json!({"name": "k", field: value}))
            .await
            .refuses(&[field]);
    }
    let both = json!({"name": "k", "expiresIn": "30d", "expiresAt": "2028-01-01T00:00:00Z"});
    app.post("/v1/keys", both).await.refuses(&["expiresIn"]);
}

#[tokio::test]
async fn a_custom_environment_has_a_code_of_its_own() {
    let app = App::start().await;
    app.environment(json!({"name": "preview"})).await;
    app.environment(json!({"name": "load-test", "code": "lt"}))
        .await;
    let (key, token) = app
        .key(json!({"name": "k", "environment": "preview"}))
        .await;
    assert_eq!(key["environment"], "preview");
    assert!(token.starts_with("kw_preview_sk_"));
    let body = json!({"name": "k", "environment": "load-test", "environmentCode": "lt"});
    assert!(app.key(body).await.1.starts_with("kw_lt_sk_"));
    for (environment, code, field) in [
        ("load-test", json!("prod"), "environmentCode"),
        ("load-test", json!("L"), "environmentCode"),
        ("production", json!("stg"), "environmentCode"),
        ("Production", json!("x"), "environment"),
    ] {
        let body = json!({"name": "k", "environment": environment, "environmentCode": code});
        app.post("/v1/keys", body).await.refuses(&[field]);
    }
    let body = json!({"name": "k", "environment": "load-test"});
    assert!(app.key(body).await.1.starts_with("kw_lt_sk_"));
}

#[tokio::test]
async fn every_bad_field_is_named_at_once() {
    let app = App::start().await;
    let body = json!({
        "name": "x".repeat(101), "ownerId": "",
        "permissions": ["customers.read", "Customers", "*.read"], "resources": ["agent"],
        "allowedOrigins": ["https://example.com/"], "allowedIps": ["10.0.0.0/33"],
        "rateLimits": {"requestsPerMinute": 0, "requestsPerHour": 0}, "enforcement": "lax",
        "expiresIn": "2d", "environment": "Prod",
    });
    let mut expected = vec![
        "environment",
        "name",
        "ownerId",
        "permissions[1]",
        "permissions[2]",
        "resources[0]",
        "allowedOrigins[0]",
        "allowedIps[0]",
        "rateLimits.requestsPerMinute",
        "rateLimits.requestsPerHour",
        "enforcement",
        "expiresIn",
    ];
    let problem = app
        .post("/v1/keys", body)
        .await
        .problem(422, "validation_failed");
    let errors = problem["errors"].as_array().unwrap();
    let mut named: Vec<_> = errors
        .iter()
        .map(|e| e["field"].as_str().unwrap())
        .collect();
    named.sort_unstable();
    expected.sort_unstable();
    assert_eq!(named, expected);
    assert_eq!(app.get("/v1/keys").await.expect(200)["data"], json!([]));
}

#[tokio::test]
async fn lists_are_bounded_and_nothing_is_null_by_accident() {
    let app = App::start().await;
    let many: Vec<String> = (0..257).map(|n| format!("p{n}.read")).collect();
    let body = |permissions: &[String]| json!({"name": "k", "permissions": permissions});
    app.post("/v1/keys", body(&many))
        .await
        .refuses(&["permissions"]);
    app.post("/v1/keys", body(&many[1..])).await.expect(201);
    for field in [
        "permissions",
        "allowedIps",
        "metadata",
        "rateLimits",
        "enforcement",
        "accountId",
        "environment",
    ] {
        app.post("/v1/keys", json!({"name": "k", field: null}))
            .await
            .refuses(&[field]);
    }
    app.post("/v1/keys", json!({"name": "k", "id": "key_1"}))
        .await
        .refuses(&["id"]);
}

#[tokio::test]
async fn names_are_one_to_a_hundred_characters_of_any_script() {
    let app = App::start().await;
    let (key, _) = app.key(json!({"name": "鍵".repeat(100)})).await;
    assert_eq!(key["name"], json!("鍵".repeat(100)));
    for name in ["", "   ", &"鍵".repeat(101), "a\nb", "\u{0}"] {
        app.post("/v1/keys", json!({"name": name}))
            .await
            .refuses(&["name"]);
    }
}
