//! `/v1/apis`.

use serde_json::{Value, json};

use crate::support::App;
use crate::support::app::{text, version};

fn full() -> Value {
    json!({
        "name": "Customers",
        "endpoints": [
            {"host": "API.example.com", "environment": "production"},
            {"host": "*.staging.example.com:8443", "environment": "staging", "upstream": "http://stg.internal/v2/"},
            {"host": "preview.example.com", "environment": "pre-view", "code": "pre"},
        ],
        "upstream": "https://internal.example/base/",
        "upstreamTimeoutMs": 5000,
        "routes": [
            {"method": "GET", "path": "/v1/customers/{id}", "permission": "customers.read", "cost": 2,
             "resource": {"kind": "customer", "param": "id"}},
            {"method": "*", "path": "/v1/accounts/{account}/{*rest}", "accountParam": "account"},
        ],
        "unlisted": "open",
        "cors": {"allowedOrigins": ["https://*.example.com"], "allowedMethods": ["GET"], "allowedHeaders": ["*"],
                 "exposedHeaders": ["X-Total"], "allowCredentials": true, "maxAgeSeconds": 600},
        "onGuardFailure": "allow",
        "acceptImported": true,
    })
}

/// A server with the environments that [`full`] names.
async fn start() -> App {
    let app = App::start().await;
    app.environment(json!({"name": "pre-view", "code": "pre"}))
        .await;
    app
}

#[tokio::test]
async fn an_api_is_kept_as_given_and_in_normal_form() {
    let app = start().await;
    let made = app.post("/v1/apis", full()).await.expect(201);
    let api = &made["api"];
    assert_eq!(api["endpoints"][0]["host"], "api.example.com");
    assert_eq!(api["endpoints"][0]["code"], "prod");
    assert_eq!(api["endpoints"][1]["code"], "stg");
    assert_eq!(api["endpoints"][1]["upstream"], "http://stg.internal/v2");
    assert_eq!(api["endpoints"][2]["code"], "pre");
    assert_eq!(api["upstream"], "https://internal.example/base");
    assert_eq!(api["upstreamTimeoutMs"], 5000);
    assert_eq!(
        api["routes"][0]["resource"],
        json!({"kind": "customer", "param": "id"})
    );
    assert_eq!(api["routes"][1]["cost"], 1);
    assert_eq!(api["unlisted"], "open");
    assert_eq!(api["onGuardFailure"], "allow");
    assert_eq!(api["acceptImported"], true);
    assert_eq!(
        api["cors"]["allowedOrigins"],
        json!(["https://*.example.com"])
    );
    let path = format!("/v1/apis/{}", text(&api["id"]));
    assert_eq!(app.get(&path).await.expect(200), *api);
    // What is shown can be sent back.
    let mut again = api.clone();
    for name in ["id", "accountId", "createdAt", "updatedAt", "version"] {
        again.as_object_mut().unwrap().remove(name);
    }
    let patched = app.patch(&path, again).await.expect(200);
    assert_eq!(patched["api"]["routes"], api["routes"]);
    assert!(version(&patched["api"]) > version(api));
}

#[tokio::test]
async fn an_api_that_says_little_is_closed() {
    let app = App::start().await;
    let id = app.api("a.example").await;
    let api = app.get(&format!("/v1/apis/{id}")).await.expect(200);
    assert_eq!(api["unlisted"], "closed");
    assert_eq!(api["onGuardFailure"], "refuse");
    assert_eq!(api["acceptImported"], false);
    assert_eq!(api["upstreamTimeoutMs"], 30_000);
    assert_eq!(api["cors"]["allowedOrigins"], json!([]));
}

#[tokio::test]
async fn browsers_may_remember_a_preflight_for_ten_minutes_unless_the_policy_says_otherwise() {
    let app = App::start().await;
    let path = format!("/v1/apis/{}", app.api("a.example").await);
    for (said, expected) in [(None, 600), (Some(0), 0), (Some(86_400), 86_400)] {
        let mut cors = json!({"allowedOrigins": ["https://app.example"]});
        if let Some(said) = said {
            cors["maxAgeSeconds"] = json!(said);
        }
        let patched = app.patch(&path, json!({"cors": cors})).await.expect(200);
        assert_eq!(patched["api"]["cors"]["maxAgeSeconds"], expected);
    }
}

#[tokio::test]
async fn a_host_belongs_to_one_api_until_it_lets_go_of_it() {
    let app = App::start().await;
    let first = format!("/v1/apis/{}", app.api("a.example").await);
    let second = format!("/v1/apis/{}", app.api("b.example").await);
    let endpoints = |host| json!({"endpoints": [{"host": host, "environment": "production"}]});

    let before = app.get(&second).await.expect(200);
    let problem = app
        .patch(&second, endpoints("A.example"))
        .await
        .problem(409, "conflict");
    assert!(text(&problem["detail"]).contains("a.example"));
    let kept = app.get(&second).await.expect(200);
    assert_eq!(kept["endpoints"][0]["host"], "b.example");
    assert_eq!(kept["version"], before["version"]);

    app.patch(&first, endpoints("c.example")).await.expect(200);
    app.patch(&second, endpoints("a.example")).await.expect(200);
    app.delete(&second).await.expect(200);
    app.get(&second).await.problem(404, "not_found");
    app.api("a.example").await;
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_nothing_else() {
    let app = start().await;
    let made = app.post("/v1/apis", full()).await.expect(201);
    let path = format!("/v1/apis/{}", text(&made["api"]["id"]));
    app.clock.advance(1000);
    let patched = app
        .patch(&path, json!({"unlisted": "closed", "routes": []}))
        .await
        .expect(200);
    let mut expected = made["api"].clone();
    expected["unlisted"] = json!("closed");
    expected["routes"] = json!([]);
    expected["version"] = patched["api"]["version"].clone();
    expected["updatedAt"] = patched["api"]["updatedAt"].clone();
    assert_eq!(patched["api"], expected);
    assert_ne!(patched["api"]["updatedAt"], made["api"]["updatedAt"]);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = start().await;
    let with = |field: &str, value: Value| {
        let mut body = full();
        body[field] = value;
        body
    };
    let endpoint = |host: &str, environment: &str, code: &str| json!({"host": host, "environment": environment, "code": code});
    let route = |method: &str, path: &str| json!({"method": method, "path": path});
    for (field, value, named) in [
        ("name", json!(""), "name"),
        ("endpoints", json!([]), "endpoints"),
        (
            "endpoints",
            json!([endpoint("a b", "production", "prod")]),
            "endpoints[0].host",
        ),
        (
            "endpoints",
            json!([endpoint("https://a", "production", "prod")]),
            "endpoints[0].host",
        ),
        (
            "endpoints",
            json!([endpoint("a", "production", "stg")]),
            "endpoints[0].code",
        ),
        (
            "endpoints",
            json!([endpoint("a", "live", "prod")]),
            "endpoints[0].environment",
        ),
        (
            "endpoints",
            json!([endpoint("a", "Live", "live")]),
            "endpoints[0].environment",
        ),
        (
            "endpoints",
            json!([
                endpoint("a", "pre-view", "pre"),
                endpoint("b", "pre-view", "y")
            ]),
            "endpoints[1].code",
        ),
        (
            "endpoints",
            json!([
                endpoint("a", "pre-view", "pre"),
                endpoint("A", "pre-view", "pre")
            ]),
            "endpoints[1].host",
        ),
        ("upstream", json!("ftp://a"), "upstream"),
        ("upstream", json!("https://u:p@a"), "upstream"),
        ("upstream", json!("https://a?b"), "upstream"),
        ("upstreamTimeoutMs", json!(0), "upstreamTimeoutMs"),
        ("upstreamTimeoutMs", json!(600_001), "upstreamTimeoutMs"),
        ("routes", json!([route("get", "/a")]), "routes[0]"),
        ("routes", json!([route("GET", "a")]), "routes[0]"),
        (
            "routes",
            json!([route("GET", "/a"), route("GET", "/a")]),
            "routes[1]",
        ),
        (
            "routes",
            json!([{"method": "GET", "path": "/a", "cost": 0}]),
            "routes[0]",
        ),
        (
            "routes",
            json!([{"method": "GET", "path": "/a", "accountParam": "x"}]),
            "routes[0]",
        ),
        (
            "routes",
            json!([{"method": "GET", "path": "/a", "permission": "A"}]),
            "routes[0].permission",
        ),
        (
            "routes",
            json!([{"method": "GET", "path": "/a", "cots": 1}]),
            "routes[0].cots",
        ),
        ("unlisted", json!("ajar"), "unlisted"),
        ("onGuardFailure", json!("shrug"), "onGuardFailure"),
        ("acceptImported", json!("yes"), "acceptImported"),
        (
            "cors",
            json!({"allowedOrigins": ["example.com"]}),
            "cors.allowedOrigins[0]",
        ),
        (
            "cors",
            json!({"allowedMethods": ["GET", "A B"]}),
            "cors.allowedMethods[1]",
        ),
        (
            "cors",
            json!({"maxAgeSeconds": 86_401}),
            "cors.maxAgeSeconds",
        ),
        (
            "cors",
            json!({"allowedOrigins": ["*"], "allowCredentials": true}),
            "cors.allowCredentials",
        ),
        ("colour", json!("red"), "colour"),
    ] {
        app.post("/v1/apis", with(field, value))
            .await
            .refuses(&[named]);
    }
    assert_eq!(app.get("/v1/apis").await.expect(200)["data"], json!([]));
}

#[tokio::test]
async fn a_routes_table_is_bounded() {
    let app = start().await;
    let routes: Vec<Value> = (0..1001)
        .map(|n| json!({"method": "GET", "path": format!("/{n}")}))
        .collect();
    let mut body = full();
    body["routes"] = json!(routes);
    app.post("/v1/apis", body.clone())
        .await
        .refuses(&["routes"]);
    body["routes"] = json!(routes[..1000]);
    app.post("/v1/apis", body).await.expect(201);
}

#[tokio::test]
async fn apis_are_listed_by_account() {
    let app = App::start().await;
    let account = app.account(json!({"name": "a"})).await;
    app.api("root.example").await;
    let body = json!({
        "name": "Below", "accountId": account, "upstream": "http://u",
        "endpoints": [{"host": "below.example", "environment": "production"}],
    });
    app.post("/v1/apis", body).await.expect(201);
    assert_eq!(
        app.get("/v1/apis").await.expect(200)["data"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let below = app
        .get(&format!("/v1/apis?account={account}"))
        .await
        .expect(200);
    assert_eq!(below["data"].as_array().unwrap().len(), 1);
    assert_eq!(below["data"][0]["name"], "Below");
}
