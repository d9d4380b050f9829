//! A small API to guard: answers what it was asked, so that everyone sees what the edge passes on.
//!
//! `demo-upstream --listen 127.0.0.1:8702`. Every request gets JSON with its method, path, query, headers and the size
//! of its body; `GET /stream` sends ten lines, one every 100 ms.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use clap::Parser;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Lines of `GET /stream`.
const LINES: u32 = 10;
/// The pause before each of them.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers every request with what it was asked.
#[derive(Parser)]
struct Options {
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8702")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let listener = TcpListener::bind(options.listen)
        .await
        .with_context(|| format!("can't listen on {}", options.listen))?;
    let mut terminate = signal(SignalKind::terminate())?;
    println!("listening on http://{}", options.listen);
    let app = Router::new().route("/stream", get(lines)).fallback(echo);
    tokio::select! {
        served = axum::serve(listener, app) => served.context("the server stopped"),
        // Nothing here is worth finishing: a slow stream must not hold up a stop.
        _ = terminate.recv() => Ok(()),
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

/// What was asked, the body counted and not kept.
async fn echo(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let size = match size_of(body).await {
        Ok(size) => size,
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    Json(json!({
        "method": parts.method.as_str(),
        "path": parts.uri.path(),
        "query": parts.uri.query(),
        "headers": headers_of(&parts.headers),
        "bodySize": size,
    }))
    .into_response()
}

/// Headers by name; a name that came more than once has a list.
fn headers_of(headers: &HeaderMap) -> BTreeMap<&str, Value> {
    headers
        .keys()
        .map(|name| {
            let mut values: Vec<Value> = headers
                .get_all(name)
                .iter()
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into())
                .collect();
            let value = match (values.len(), values.pop()) {
                (1, Some(only)) => only,
                (_, last) => {
                    values.extend(last);
                    Value::Array(values)
                }
            };
            (name.as_str(), value)
        })
        .collect()
}

async fn size_of(body: Body) -> Result<u64, axum::Error> {
    let mut body = Box::pin(body);
    let mut size = 0;
    while let Some(frame) = std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await
    {
        if let Ok(data) = frame?.into_data() {
            size += data.len() as u64;
        }
    }
    Ok(size)
}

/// Lines of JSON with a pause before each, so that a proxy which waits for the end is seen to.
async fn lines() -> Response {
    let lines = stream::unfold(0, |line| async move {
        if line == LINES {
            return None;
        }
        tokio::time::sleep(PAUSE).await;
        let text = format!("{}\n", json!({"line": line + 1, "of": LINES}));
        Some((Ok::<_, Infallible>(text), line + 1))
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    (kind, Body::from_stream(lines)).into_response()
}
