//! Nonsense in, a clear refusal out, and the server lives on.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Answer, App};

async fn send(app: &App, kind: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = app
        .request(Method::POST, "/v1/keys")
        .header("content-type", kind);
    Answer::read(request.body(body).send().await.unwrap()).await
}

#[tokio::test]
async fn a_body_must_be_said_to_be_json() {
    let app = App::start().await;
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonx",
        "",
    ] {
        send(&app, kind, r#"{"name":"k"}"#)
            .await
            .problem(415, "unsupported_media_type");
    }
    let without = app.request(Method::POST, "/v1/keys").body("{}");
    Answer::read(without.send().await.unwrap())
        .await
        .problem(415, "unsupported_media_type");
    send(&app, "Application/JSON; charset=utf-8", r#"{"name":"k"}"#)
        .await
        .expect(201);
}

#[tokio::test]
async fn what_is_not_json_is_refused_as_such() {
    let app = App::start().await;
    let deep = format!(r#"{{"name":"k","metadata":{{"a":{}"#, "[".repeat(200_000));
    for body in [
        &b""[..],
        b"{",
        b"nonsense",
        b"{\"name\":\"k\"} more",
        b"{\"name\":\"\xff\xfe\"}",
        b"{\"name\":\"\\ud800\"}",
        b"{\"name\":\"k\",\"rateLimits\":{\"requestsPerMinute\":1e999}}",
        b"\xef\xbb\xbf{\"name\":\"k\"}",
        deep.as_bytes(),
    ] {
        send(&app, "application/json", body.to_vec())
            .await
            .problem(400, "invalid_json");
    }
    for body in ["null", "7", "\"name\"", "[]", "[\"k\"]"] {
        send(&app, "application/json", body).await.refuses(&[""]);
    }
    send(&app, "application/json", r#"{"name":"a","name":"b"}"#)
        .await
        .refuses(&["name"]);
}

#[tokio::test]
async fn an_oversized_body_is_refused_unread() {
    let app = App::start().await;
    let big = format!(r#"{{"name":"{}"}}"#, "x".repeat(1024 * 1024));
    send(&app, "application/json", big.clone())
        .await
        .problem(413, "payload_too_large");
    app.get("/v1/keys").await.expect(200);
}

#[tokio::test]
async fn numbers_out_of_all_bounds_are_refused() {
    let app = App::start().await;
    for number in [
        json!(-1),
        json!(0),
        json!(1_000_000_001_u64),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e300),
        json!(1.5),
        json!("60"),
        json!(true),
        json!([]),
    ] {
        for field in ["requestsPerMinute", "requestsPerHour", "requestsPerDay"] {
            let body = json!({"name": "k", "rateLimits": {field: number}});
            let named = format!("rateLimits.{field}");
            app.post("/v1/keys", body).await.refuses(&[&named]);
        }
    }
    let body = json!({"name": "k", "rateLimits": {"requestsPerMinute": null}});
    app.post("/v1/keys", body)
        .await
        .refuses(&["rateLimits.requestsPerMinute"]);
}

#[tokio::test]
async fn a_mistaken_value_is_not_repeated() {
    let app = App::start().await;
    let secret = "kw_prod_sk_notreallyakeybutsecretallthesame";
    for body in [
        json!({"name": "k", "metadata": secret}),
        json!({"name": "k", "rateLimits": secret}),
        json!({"name": "k", "expiresAt": secret}),
        json!({"name": "k", "enforcement": secret}),
        json!({"name": "k", "permissions": [secret, "Ä"]}),
        json!({"name": {"a": secret}}),
    ] {
        let answer = app
            .post("/v1/keys", body)
            .await
            .problem(422, "validation_failed");
        assert!(!answer.to_string().contains(secret), "{answer}");
    }
    for path in [
        format!("/v1/keys/{secret}"),
        format!("/v1/keys?account={secret}"),
    ] {
        let problem = app.get(&path).await.problem(404, "not_found");
        assert!(!problem.to_string().contains(secret), "{problem}");
    }
}

#[tokio::test]
async fn absurd_queries_and_ids_are_refused_or_find_nothing() {
    let app = App::start().await;
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=-1", "limit"),
        ("limit=1e2", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("cursor=nonsense", "cursor"),
        ("cursor=%00", "cursor"),
        ("status=sleeping", "status"),
        ("unusedForDays=0", "unusedForDays"),
        ("unusedForDays=-3", "unusedForDays"),
        ("q=", "q"),
        ("q=%00", "q"),
        ("owner=%0a%0d", "owner"),
        ("colour=red", ""),
        ("limit=1&limit=2", ""),
    ] {
        app.get(&format!("/v1/keys?{query}"))
            .await
            .refuses(&[field]);
    }
    let long = "x".repeat(4000);
    for id in [
        "%00",
        "%ff",
        "..",
        "'%20or%201=1--",
        "key_",
        "%F0%9F%92%A9",
        &long,
    ] {
        let path = format!("/v1/keys/{id}/revoke");
        let answer = app.post(&path, json!({})).await;
        assert!(
            matches!(answer.status, 404 | 405),
            "{id}: {}",
            answer.status
        );
    }
    for q in ["%25", "_", "%5C", "'", "%5C%25", "%ff"] {
        let found = app.get(&format!("/v1/keys?q={q}")).await.expect(200);
        assert_eq!(found["data"], json!([]), "{q}");
    }
}

#[tokio::test]
async fn metadata_is_an_object_of_at_most_eight_kilobytes() {
    let app = App::start().await;
    let with = |metadata: Value| json!({"name": "k", "metadata": metadata});
    app.post("/v1/keys", with(json!({"a": "x".repeat(8184)})))
        .await
        .expect(201);
    app.post("/v1/keys", with(json!({"a": "x".repeat(8185)})))
        .await
        .refuses(&["metadata"]);
    app.post("/v1/keys", with(json!([])))
        .await
        .refuses(&["metadata"]);
    let odd = json!({"": {"\u{0}": [null, -0.5, "💩\u{202e}"]}});
    let (key, _) = app.key(with(odd.clone())).await;
    assert_eq!(key["metadata"], odd);
}

#[tokio::test]
async fn what_is_hardly_http_does_not_stop_the_server() {
    let app = App::start().await;
    let address = app.base.strip_prefix("http://").unwrap();
    let token = app.admin.expose();
    let long = "x".repeat(1_000_000);
    for raw in [
        b"\0\0\0\0\r\n\r\n".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"GET /v1/keys HTTP/1.1\r\nhost: a\r\nauthorization: Bearer \xff\xfe\r\nconnection: close\r\n\r\n".to_vec(),
        format!("GET /{long} HTTP/1.1\r\nhost: a\r\n\r\n").into_bytes(),
        format!("GET / HTTP/1.1\r\nhost: a\r\nx: {long}\r\n\r\n").into_bytes(),
        format!(
            "POST /v1/keys HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
             content-length: 99999999999999999999\r\n\r\n"
        )
        .into_bytes(),
        format!(
            "POST /v1/keys HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
             content-length: 50\r\n\r\n{{"
        )
        .into_bytes(),
        b"GET \xc3\x28 HTTP/1.1\r\n\r\n".to_vec(),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // The server may close before it has read everything.
        let _ = stream.write_all(&raw).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    app.get("/v1/keys").await.expect(200);
}
