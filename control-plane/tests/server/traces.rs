//! Traces, as a collector gets them. It answers from a thread of its own, also while a test waits for the program to end.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use keyward::admin_token::AdminToken;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use reqwest::Method;
use serde_json::json;
use tokio::net::TcpListener;

use crate::support::process::{Process, free_address};
use crate::support::{Answer, Database, Edge};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// What a collector was given: spans, and the names of the services.
#[derive(Clone, Default)]
struct Collected(Arc<Mutex<(Vec<Span>, Vec<String>)>>);

/// A collector on loopback that decodes what it is sent.
async fn collector() -> (String, Collected) {
    let collected = Collected::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/otlp", listener.local_addr().unwrap());
    let router = Router::new()
        .route("/otlp/v1/traces", post(take))
        .with_state(collected.clone());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (base, collected)
}

async fn take(State(to): State<Collected>, headers: HeaderMap, body: Bytes) -> StatusCode {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    assert_eq!(headers["x-tenant"], "keyward");
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let mut to = to.0.lock().unwrap();
    for of_resource in request.resource_spans {
        for pair in of_resource.resource.unwrap().attributes {
            if pair.key == "service.name" {
                to.1.push(text(pair.value.and_then(|v| v.value)));
            }
        }
        for of_scope in of_resource.scope_spans {
            to.0.extend(of_scope.spans);
        }
    }
    StatusCode::OK
}

fn text(value: Option<Value>) -> String {
    match value {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => panic!("{other:?}"),
    }
}

fn attribute(span: &Span, name: &str) -> Option<String> {
    let pair = span.attributes.iter().find(|pair| pair.key == name)?;
    Some(text(pair.value.clone().and_then(|v| v.value)))
}

/// Serves a request that changes something.
async fn served(database: &Database, edge: &Edge, more: &[(&str, &str)]) {
    serves(database, edge, more, 1).await;
}

/// Serves so many requests that change something, one after the other; gives the time that they took.
async fn serves(
    database: &Database,
    edge: &Edge,
    more: &[(&str, &str)],
    requests: u32,
) -> Duration {
    let admin = AdminToken::mint().unwrap();
    let edges = [edge.url()];
    // What it logs is set by the test.
    let listen = free_address();
    let more: Vec<_> = more
        .iter()
        .copied()
        .chain([("KEYWARD_LISTEN", listen.as_str())])
        .collect();
    let more = more.as_slice();
    let mut server =
        Process::serve_with(database, admin.expose(), &edges, "server.log", more).await;
    let began = Instant::now();
    for _ in 0..requests {
        let request = server
            .request(Method::POST, "/v1/keys")
            .bearer_auth(admin.expose())
            .header("traceparent", format!("00-{TRACE}-{PARENT}-01"))
            .json(&json!({"name": "k"}));
        let made = Answer::read(request.send().await.unwrap());
        assert_eq!(made.await.expect(201)["propagated"], true);
    }
    let took = began.elapsed();
    assert!(server.terminate());
    took
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_its_transactions_and_its_push_are_one_trace_of_the_caller() {
    let (endpoint, collected) = collector().await;
    let (database, edge) = (Database::fresh().await, Edge::start().await);
    let more = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=keyward"),
        // Traces don't depend on what is logged.
        ("KEYWARD_LOG", "error"),
    ];
    served(&database, &edge, &more).await;
    // Everything was sent before the program ended.
    let (spans, services) = collected.0.lock().unwrap().clone();
    assert_eq!(services.first().map(String::as_str), Some("keyward"));
    assert!(services.iter().all(|name| name == "keyward"));
    let of_caller: Vec<&Span> = spans
        .iter()
        .filter(|span| hex::encode(&span.trace_id) == TRACE)
        .collect();
    let named = |name: &str| -> Vec<&Span> {
        let named = of_caller.iter().filter(|span| span.name == name);
        named.copied().collect()
    };
    let server = named("POST /v1/keys")[0];
    assert_eq!(hex::encode(&server.parent_span_id), PARENT);
    assert_eq!(server.kind, 2);
    for (name, expected) in [
        ("http.request.method", "POST"),
        ("http.route", "/v1/keys"),
        ("http.response.status_code", "201"),
    ] {
        assert_eq!(attribute(server, name).as_deref(), Some(expected), "{name}");
    }
    let transactions = named("transaction");
    assert!(!transactions.is_empty());
    for transaction in transactions {
        assert_eq!(transaction.parent_span_id, server.span_id);
        assert!(attribute(transaction, "db.system.name").is_some());
        assert!(transaction.end_time_unix_nano <= server.end_time_unix_nano);
    }
    let push = named("POST /.keyward/push")[0];
    assert_eq!(push.parent_span_id, server.span_id);
    assert_eq!(push.kind, 3);
    let told = format!("00-{TRACE}-{}-01", hex::encode(&push.span_id));
    assert!(
        edge.seen.traces().contains(&told),
        "{:?}",
        edge.seen.traces()
    );
    for span in &spans {
        assert!(attribute(span, "url.path").is_none() && attribute(span, "url.full").is_none());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_or_silent_collector_slows_nothing_down() {
    const REQUESTS: u32 = 20;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = (silent.local_addr().unwrap(), silent);
    for endpoint in [
        "http://127.0.0.1:1".to_owned(),
        format!("http://{}", silent.0),
    ] {
        let (database, edge) = (Database::fresh().await, Edge::start().await);
        let more = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_BSP_SCHEDULE_DELAY", "10"),
        ];
        // Who waits for the collector waits 5 s, each time.
        let took = serves(&database, &edge, &more, REQUESTS).await;
        assert!(took < REQUESTS * Duration::from_secs(5), "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_collector_pushes_carry_no_trace() {
    let (database, edge) = (Database::fresh().await, Edge::start().await);
    served(&database, &edge, &[]).await;
    assert_eq!(edge.seen.traces(), Vec::<String>::new());
}
