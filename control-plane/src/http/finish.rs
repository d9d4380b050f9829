//! The outermost layer: gives every request an id, turns every failure into a problem document, and logs one
//! line for each request, without anything that the caller wrote.

use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use shared::problem::{MEDIA_TYPE, Problem};

use crate::entropy;
use crate::error::{self, ApiError, Failure};

/// The answer's header that holds the request's id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The policy for answers that are no pages: nothing may run or be loaded, and nothing may frame them.
const NO_CONTENT: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// A year.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// How answers are finished.
#[derive(Debug, Clone, Copy, Default)]
pub struct Finish {
    /// Whether browsers come through a proxy that speaks TLS: they are told to come no other way.
    pub behind_tls: bool,
}

/// Wraps a request. Must be outside of every other layer.
pub async fn layer(State(how): State<Finish>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = match entropy::draw() {
        Ok(bytes) => shared::id::request(&bytes),
        // Without randomness nothing secret can be made, but the failure still gets an answer.
        Err(cause) => return how.finish(ApiError::Internal(cause).into_response(), "req_unknown"),
    };
    let method = request.method().clone();
    let response = how.finish(next.run(request).await, &id);
    log(&method, &response, &id, started);
    response
}

/// Remembers the route's template for the log. A path itself is never logged: it may hold a secret by mistake.
pub async fn note_route(route: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if let Some(route) = route {
        response.extensions_mut().insert(route);
    }
    response
}

fn log(method: &Method, response: &Response, id: &str, started: Instant) {
    let route = response
        .extensions()
        .get::<MatchedPath>()
        .map_or("-", MatchedPath::as_str);
    let status = response.status().as_u16();
    let millis = started.elapsed().as_millis() as u64;
    // The method may be any token too; only the common ones are repeated.
    let method = match *method {
        Method::GET | Method::POST | Method::PATCH | Method::DELETE => method.as_str(),
        _ => "other",
    };
    // Probes come every few seconds.
    if route == "/healthz" || route == "/readyz" {
        tracing::debug!(request_id = id, method, route, status, millis, "request");
    } else {
        tracing::info!(request_id = id, method, route, status, millis, "request");
    }
}

impl Finish {
    fn finish(self, mut response: Response, id: &str) -> Response {
        if let Some(failure) = response.extensions_mut().remove::<Failure>() {
            if let Some(cause) = failure.cause {
                tracing::error!(
                    request_id = id,
                    error = format!("{cause:#}"),
                    "request failed"
                );
            }
            write(&mut response, failure.problem, id);
        } else if is_bare_failure(&response) {
            let problem = plain(response.status());
            write(&mut response, problem, id);
        }
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::from_str(id) {
            headers.insert(REQUEST_ID, id);
        }
        // Answers may hold a new key. What must not be so says it itself: the documentation is a page.
        let defaults = [
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (header::CONTENT_SECURITY_POLICY, NO_CONTENT),
        ];
        for (name, value) in defaults {
            headers.entry(name).or_insert(value);
        }
        let nosniff = HeaderValue::from_static("nosniff");
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
        let no_referrer = HeaderValue::from_static("no-referrer");
        headers.insert(header::REFERRER_POLICY, no_referrer);
        if self.behind_tls {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
        }
        response
    }
}

fn write(response: &mut Response, problem: Problem, id: &str) {
    let body = problem.with_request_id(id).to_json();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    *response.body_mut() = Body::from(body);
}

/// A failure that did not come from a handler: of the framework, a time limit, a caught panic.
fn is_bare_failure(response: &Response) -> bool {
    let status = response.status();
    let has_problem = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind == MEDIA_TYPE);
    (status.is_client_error() || status.is_server_error()) && !has_problem
}

fn plain(status: StatusCode) -> Problem {
    match status {
        StatusCode::INTERNAL_SERVER_ERROR => error::internal(),
        StatusCode::SERVICE_UNAVAILABLE => Problem::new(
            503,
            "unavailable",
            "Unavailable",
            "The request took too long; it may or may not have been carried out",
        ),
        other => Problem::new(
            other.as_u16(),
            "bad_request",
            other.canonical_reason().unwrap_or("Refused"),
            "The request can't be handled",
        ),
    }
}
