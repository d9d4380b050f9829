//! Every failure is a problem document.

use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, App};

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let app = App::start().await;
    for path in [
        "/",
        "/v1",
        "/v1/",
        "/v2/keys",
        "/v1/keys/a/b",
        "/v1/keys/a/rotate/",
        "/v1/%00",
        "/v1/kéys",
    ] {
        app.get(path).await.problem(404, "not_found");
    }
    for (path, allow) in [
        ("/healthz", "GET,HEAD"),
        ("/v1/keys", "GET,HEAD,POST"),
        ("/v1/keys/key_1/rotate", "POST"),
        ("/v1/edge/usage", "POST"),
    ] {
        let answer = Answer::read(app.request(Method::PUT, path).send().await.unwrap()).await;
        assert_eq!(answer.headers["allow"], allow, "{path}");
        answer.problem(405, "method_not_allowed");
    }
}

#[tokio::test]
async fn every_answer_has_an_id_of_its_own_and_is_not_to_be_stored() {
    let app = App::start().await;
    let given = app
        .request(Method::GET, "/v1/keys")
        .header("x-request-id", "mine");
    let first = Answer::read(given.send().await.unwrap()).await;
    let second = app.get("/healthz").await;
    for answer in [&first, &second] {
        let id = answer.headers["x-request-id"].to_str().unwrap();
        assert!(id.starts_with("req_") && id.len() == 24, "{id}");
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    }
    assert_ne!(
        first.headers["x-request-id"],
        second.headers["x-request-id"]
    );
}

#[tokio::test]
async fn the_server_says_whether_it_lives_and_can_serve() {
    let app = App::start().await;
    assert_eq!(
        app.get("/healthz").await.expect(200),
        json!({"status": "ok"})
    );
    assert_eq!(
        app.get("/readyz").await.expect(200),
        json!({"status": "ready"})
    );

    app.database
        .meddle("update _sqlx_migrations set success = false")
        .await;
    let answer = app.get("/readyz").await;
    assert_eq!(answer.headers["retry-after"], "1");
    answer.problem(503, "unavailable");
    app.get("/healthz").await.expect(200);
}

#[tokio::test]
async fn our_own_mistakes_are_not_shown() {
    let app = App::start().await;
    let (key, _) = app.key(json!({"name": "k"})).await;
    app.database
        .meddle("update keys set permissions = 'nonsense'")
        .await;
    let path = format!("/v1/keys/{}", key["id"].as_str().unwrap());
    let problem = app.get(&path).await.problem(500, "internal");
    let shown = problem.to_string();
    for word in ["nonsense", "sql", "column", "permissions"] {
        assert!(!shown.to_lowercase().contains(word), "{shown}");
    }
}
