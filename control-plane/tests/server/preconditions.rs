//! `ETag`, `If-Match` and `If-None-Match`.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{text, version};
use crate::support::{Answer, App};

async fn send(
    app: &App,
    method: Method,
    path: &str,
    header: (&str, &str),
    body: Option<Value>,
) -> Answer {
    let mut request = app.request(method, path).header(header.0, header.1);
    if let Some(body) = body {
        request = request.json(&body);
    }
    Answer::read(request.send().await.unwrap()).await
}

fn tag(version: u64) -> String {
    format!("\"{version}\"")
}

#[track_caller]
fn has_tag(answer: &Answer, version: u64) {
    assert_eq!(answer.headers["etag"].to_str().unwrap(), tag(version));
}

/// One resource of each kind: its path, and what its answers to changes call it.
async fn resources(app: &App) -> Vec<(String, &'static str)> {
    let (key, _) = app.key(json!({"name": "n"})).await;
    let api = app.api("api.example").await;
    let account = app.account(json!({"name": "n"})).await;
    vec![
        (format!("/v1/keys/{}", text(&key["id"])), "key"),
        (format!("/v1/apis/{api}"), "api"),
        (format!("/v1/accounts/{account}"), "account"),
    ]
}

#[tokio::test]
async fn every_resource_and_every_answer_to_a_change_has_the_tag_of_its_version() {
    let app = App::start().await;
    for (path, name) in resources(&app).await {
        let shown = app.get(&path).await;
        let first = version(&shown.body);
        has_tag(&shown, first);
        let changed = app.patch(&path, json!({"name": "m"})).await;
        let second = version(&changed.body[name]);
        assert!(second > first);
        has_tag(&changed, second);
        has_tag(&app.get(&path).await, second);
        let gone = app.delete(&path).await;
        assert!(!gone.headers.contains_key("etag"));
        gone.expect(200);
    }
    for (path, body, name) in [
        ("/v1/keys", json!({"name": "n"}), "key"),
        ("/v1/accounts", json!({"name": "n"}), "account"),
    ] {
        let made = app.post(path, body).await;
        has_tag(&made, version(&made.body[name]));
    }
}

#[tokio::test]
async fn a_change_of_another_version_is_refused_and_changes_nothing() {
    let app = App::start().await;
    for (path, _) in resources(&app).await {
        let current = version(&app.get(&path).await.body);
        let stale = tag(current - 1);
        for (method, body) in [
            (Method::PATCH, Some(json!({"name": "m"}))),
            (Method::DELETE, None),
        ] {
            let answer = send(&app, method, &path, ("if-match", &stale), body).await;
            has_tag(&answer, current);
            let problem = answer.problem(412, "precondition_failed");
            assert_eq!(problem["currentVersion"], json!(current));
        }
        assert_eq!(version(&app.get(&path).await.body), current);
        let right = tag(current);
        let body = Some(json!({"name": "m"}));
        send(&app, Method::PATCH, &path, ("if-match", &right), body)
            .await
            .expect(200);
        send(&app, Method::DELETE, &path, ("if-match", &right), None)
            .await
            .problem(412, "precondition_failed");
        send(&app, Method::DELETE, &path, ("if-match", "*"), None)
            .await
            .expect(200);
        send(&app, Method::DELETE, &path, ("if-match", "*"), None)
            .await
            .expect(404);
    }
}

#[tokio::test]
async fn every_act_on_a_key_heeds_the_precondition() {
    let app = App::start().await;
    let (key, _) = app.key(json!({"name": "k"})).await;
    let path = format!("/v1/keys/{}", text(&key["id"]));
    let grace = Some(json!({"graceSeconds": 60}));
    for (act, body) in [
        ("revoke", None),
        ("reactivate", None),
        ("rotate", grace.clone()),
        ("rotation/cancel", None),
        ("rotate", grace),
        ("rotation/finish", None),
    ] {
        let current = version(&app.get(&path).await.body);
        let path = format!("{path}/{act}");
        let stale = tag(current + 1);
        send(
            &app,
            Method::POST,
            &path,
            ("if-match", &stale),
            body.clone(),
        )
        .await
        .problem(412, "precondition_failed");
        let changed = send(&app, Method::POST, &path, ("if-match", &tag(current)), body).await;
        has_tag(&changed, version(&changed.body["key"]));
        changed.expect(200);
    }
}

#[tokio::test]
async fn several_tags_are_allowed_a_weak_one_never_matches_and_nonsense_is_refused() {
    let app = App::start().await;
    let (key, _) = app.key(json!({"name": "k"})).await;
    let path = format!("/v1/keys/{}", text(&key["id"]));
    for (form, status) in [
        ("\"1\", CURRENT", 200),
        ("W/CURRENT", 412),
        ("W/CURRENT, CURRENT", 200),
        ("\"1\"", 412),
        ("1", 400),
        ("\"1", 400),
        ("", 400),
    ] {
        let current = version(&app.get(&path).await.body);
        let value = form.replace("CURRENT", &tag(current));
        let body = Some(json!({"name": "k"}));
        let answer = send(&app, Method::PATCH, &path, ("if-match", &value), body).await;
        assert_eq!(answer.status, status, "{form}: {:#}", answer.body);
    }
}

#[tokio::test]
async fn of_two_changes_of_the_same_version_one_is_made() {
    let app = App::start().await;
    let (key, _) = app.key(json!({"name": "k"})).await;
    let path = format!("/v1/keys/{}", text(&key["id"]));
    let value = tag(version(&key));
    let calls = ["a", "b", "c", "d"].map(|name| {
        let body = Some(json!({"name": name}));
        send(&app, Method::PATCH, &path, ("if-match", &value), body)
    });
    let mut statuses: Vec<u16> = futures_util::future::join_all(calls)
        .await
        .iter()
        .map(|answer| answer.status)
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412, 412]);
}

#[tokio::test]
async fn who_has_the_current_version_is_not_sent_it_again() {
    let app = App::start().await;
    for (path, _) in resources(&app).await {
        let current = version(&app.get(&path).await.body);
        for value in [
            tag(current),
            format!("\"1\", W/{}", tag(current)),
            "*".to_owned(),
        ] {
            let request = app
                .request(Method::GET, &path)
                .header("if-none-match", &value);
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), 304, "{value}");
            assert_eq!(response.headers()["etag"].to_str().unwrap(), tag(current));
            assert_eq!(response.headers()["cache-control"], "no-store");
            assert_eq!(response.text().await.unwrap(), "");
        }
        for value in ["\"1\"", "nonsense"] {
            let header = ("if-none-match", value);
            send(&app, Method::GET, &path, header, None)
                .await
                .expect(200);
        }
    }
    // Lists have no tag, and what is not there is not "not modified".
    let header = ("if-none-match", "*");
    send(&app, Method::GET, "/v1/keys", header, None)
        .await
        .expect(200);
    send(&app, Method::GET, "/v1/keys/key_nobody", header, None)
        .await
        .expect(404);
}
