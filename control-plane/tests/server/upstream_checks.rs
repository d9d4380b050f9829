//! `POST /v1/apis/{id}/check-upstream`.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::any;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::support::app::text;
use crate::support::{App, Edge};

/// An upstream that answers every request with a status and keeps what was asked.
async fn upstream(status: u16) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = move |request: axum::extract::Request| async move {
        assert_eq!(request.method(), "HEAD");
        assert_eq!(request.uri().path(), "/base/");
        assert!(!request.headers().contains_key("authorization"));
        (
            StatusCode::from_u16(status).unwrap(),
            [("location", "http://127.0.0.1:1/")],
        )
    };
    let router = Router::new().fallback(any(answer));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}/base")
}

async fn check(app: &App, upstreams: &[&str]) -> Vec<Value> {
    let endpoints: Vec<Value> = upstreams
        .iter()
        .enumerate()
        .map(|(n, url)| json!({"host": format!("h{n}.example"), "environment": "production", "upstream": url}))
        .collect();
    let body = json!({"name": "a", "upstream": "https://unused.example", "endpoints": endpoints});
    let api = app.post("/v1/apis", body).await.expect(201);
    let path = format!("/v1/apis/{}/check-upstream", text(&api["api"]["id"]));
    let checked = app.post(&path, json!({})).await.expect(200);
    checked["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn each_endpoint_is_told_what_its_upstream_answers() {
    let app = App::start().await;
    let (good, moved) = (upstream(200).await, upstream(302).await);
    let nobody = format!("http://{}", Edge::nowhere().await);
    let babble = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let babbles = format!("http://{}", babble.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = babble.accept().await {
            let _ = stream.write_all(b"220 mail.example ESMTP\r\n").await;
        }
    });
    let unknown = "http://no-such-host.invalid";
    let data = check(&app, &[&good, &moved, &nobody, &babbles, unknown, &good]).await;
    let outcomes: Vec<_> = data
        .iter()
        .map(|one| (&one["reachable"], &one["status"], &one["reason"]))
        .map(|(r, s, why)| (r.as_bool().unwrap(), s.as_u64(), why.as_str()))
        .collect();
    assert_eq!(
        outcomes,
        [
            (true, Some(200), None),
            (true, Some(302), None),
            (false, None, Some("no_connection")),
            (false, None, Some("no_http")),
            (false, None, Some("unknown_name")),
            (true, Some(200), None),
        ]
    );
    assert_eq!(data[0]["host"], "h0.example");
    assert_eq!(data[0]["environment"], "production");
    assert_eq!(data[0]["upstream"], good);
    assert_eq!(data[0]["detail"], Value::Null);
    assert!(!text(&data[2]["detail"]).contains("127.0.0.1"));
}

#[tokio::test]
async fn without_leave_only_public_addresses_are_called() {
    let app = App::tuned(&[], |config| {
        config.network.allow_private_destinations = false;
    })
    .await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let upstreams = [
        format!("http://127.0.0.1:{port}"),
        format!("http://localhost:{port}"),
        format!("http://[::ffff:127.0.0.1]:{port}"),
        "http://169.254.169.254".to_owned(),
    ];
    let upstreams: Vec<&str> = upstreams.iter().map(String::as_str).collect();
    for one in check(&app, &upstreams).await {
        assert_eq!(one["reason"], "not_public", "{one}");
    }
    let called = tokio::time::timeout(std::time::Duration::from_millis(200), listener.accept());
    assert!(called.await.is_err(), "it was called");
}

#[tokio::test]
async fn an_api_of_others_does_not_exist() {
    let app = App::start().await;
    let api = app.api("a.example").await;
    let account = app.account(json!({"name": "below"})).await;
    let other = app.admin_of(&account).await;
    other
        .post(&format!("/v1/apis/{api}/check-upstream"), json!({}))
        .await
        .problem(404, "not_found");
}
