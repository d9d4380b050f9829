//! What stands in the log.

use std::fs;

use keyward::admin_token::AdminToken;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::process::{Process, free_address};
use crate::support::{Answer, Database, Edge};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Serves one request that changes something and gives its id and the log.
async fn served(more: &[(&str, &str)]) -> (String, String) {
    let database = Database::fresh().await;
    let edge = Edge::start().await;
    let admin = AdminToken::mint().unwrap();
    let edges = [edge.url()];
    // What it logs is the matter here.
    let listen = free_address();
    let more: Vec<_> = more
        .iter()
        .copied()
        .chain([("KEYWARD_LISTEN", listen.as_str())])
        .collect();
    let more = more.as_slice();
    let mut server =
        Process::serve_with(&database, admin.expose(), &edges, "server.log", more).await;
    let request = server
        .request(Method::POST, "/v1/keys")
        .bearer_auth(admin.expose())
        .header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"))
        .json(&json!({"name": "k"}));
    let answer = Answer::read(request.send().await.unwrap()).await;
    let id = answer.headers["x-request-id"].to_str().unwrap().to_owned();
    answer.expect(201);
    assert!(server.terminate());
    (id, fs::read_to_string(&server.log).unwrap())
}

#[tokio::test]
async fn every_line_of_a_request_carries_its_id_and_its_callers_trace() {
    let (id, log) = served(&[]).await;
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect();
    for line in &lines {
        for field in ["timestamp", "level", "target"] {
            assert!(line[field].is_string(), "{line}");
        }
        // What is on spans for traces alone stays there.
        let keys = line.as_object().unwrap().keys();
        assert!(
            !keys
                .clone()
                .any(|k| k.starts_with("http.") || k.starts_with("otel."))
        );
    }
    let of_it: Vec<&Value> = lines.iter().filter(|l| l["request_id"] == id).collect();
    // At the finest level every statement of the database is a line.
    assert!(of_it.len() > 3, "{of_it:#?}");
    assert!(of_it.iter().any(|l| text(l, "target").starts_with("sqlx")));
    assert!(of_it.iter().all(|l| l["trace_id"] == TRACE));
    let last = of_it.last().unwrap();
    assert_eq!(last["message"], "request");
    assert_eq!(last["method"], "POST");
    assert_eq!(last["route"], "/v1/keys");
    assert_eq!(last["status"], 201);
    assert!(last["millis"].is_u64());
}

#[tokio::test]
async fn format_and_levels_are_set_by_the_environment() {
    let quiet = [("KEYWARD_LOG", "warn"), ("KEYWARD_LOG_FORMAT", "json")];
    let (_, log) = served(&quiet).await;
    assert_eq!(log, "");
    let text = [("KEYWARD_LOG", "info"), ("KEYWARD_LOG_FORMAT", "text")];
    let (id, log) = served(&text).await;
    let line = log.lines().find(|line| line.contains(&id)).unwrap();
    assert!(line.contains("route=\"/v1/keys\""), "{line}");
    assert!(!line.contains("http.request.method"), "{line}");
    assert!(serde_json::from_str::<Value>(line).is_err());
}

fn text<'a>(line: &'a Value, field: &str) -> &'a str {
    line[field].as_str().unwrap()
}
