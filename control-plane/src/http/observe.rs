//! The outermost layer: a request's id, its span, its line in the log and its place in the metrics.
//!
//! Nothing of it is what the caller wrote: paths, queries and headers may hold a secret by mistake.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::entropy;
use crate::metrics::Metrics;
use crate::tracing_export;

/// The request's id, for the layers and handlers inside.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

impl Default for RequestId {
    /// Without randomness nothing secret can be made, but requests still get an answer.
    fn default() -> Self {
        Self("req_unknown".to_owned())
    }
}

/// Where the layer inside leaves the route's template for the one outside, also when no answer comes of it.
#[derive(Debug, Clone, Default)]
struct Route(Arc<OnceLock<MatchedPath>>);

/// Wraps a request.
pub async fn layer(State(metrics): State<Metrics>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let in_flight = metrics.begin();
    let id = entropy::draw().map(|bytes| RequestId(shared::id::request(&bytes)));
    let id = id.unwrap_or_default();
    let method = known(request.method());
    let span = span(&id.0, method);
    let given = tracing_export::adopt(&span, request.headers());
    if let Some(trace) = tracing_export::trace_id(&span).or(given) {
        span.record("trace_id", trace);
    }
    let route = Route::default();
    request.extensions_mut().insert(id);
    request.extensions_mut().insert(route.clone());
    let response = next.run(request).instrument(span.clone()).await;

    let took = started.elapsed();
    let route = route.0.get().map(MatchedPath::as_str);
    let status = response.status().as_u16();
    describe(&span, method, route, status);
    metrics.answered(method, route.unwrap_or("unmatched"), status, took);
    drop(in_flight);
    let _inside = span.entered();
    log(
        method,
        route.unwrap_or("-"),
        status,
        took.as_millis() as u64,
    );
    response
}

/// Tells the layer outside which route the request took.
pub async fn note_route(route: Option<MatchedPath>, request: Request, next: Next) -> Response {
    if let (Some(place), Some(route)) = (request.extensions().get::<Route>(), route) {
        // It is empty: a request takes one route.
        let _ = place.0.set(route);
    }
    next.run(request).await
}

/// An error's level, so that lines of every level have it around them.
fn span(id: &str, method: &'static str) -> Span {
    tracing::error_span!(
        "request",
        request_id = id,
        trace_id = Empty,
        otel.name = method,
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = Empty,
        http.response.status_code = Empty,
        error.type = Empty,
    )
}

/// By the semantic conventions for HTTP servers: named by method and route; an error only if it is ours.
fn describe(span: &Span, method: &str, route: Option<&str>, status: u16) {
    if let Some(route) = route {
        tracing_export::rename(span, format!("{method} {route}"));
        span.record("http.route", route);
    }
    span.record("http.response.status_code", status);
    if status >= 500 {
        span.record("otel.status_code", "ERROR");
        span.record("error.type", status.to_string());
    }
}

fn log(method: &str, route: &str, status: u16, millis: u64) {
    // Probes and scrapes come every few seconds.
    if matches!(route, "/healthz" | "/readyz" | "/metrics") {
        tracing::debug!(method, route, status, millis, "request");
    } else {
        tracing::info!(method, route, status, millis, "request");
    }
}

/// The method may be any token; only the common ones are repeated.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "_OTHER",
    }
}
