//! Turns every failure into a problem document that names the request's id, and sets the headers of every answer.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use shared::problem::{MEDIA_TYPE, Problem};

use crate::error::{self, Failure};
use crate::http::observe::RequestId;

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

/// Wraps a request, inside of [`observe`](super::observe) and outside of every other layer.
pub async fn layer(State(how): State<Finish>, request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().cloned();
    let RequestId(id) = id.unwrap_or_default();
    how.finish(next.run(request).await, &id)
}

impl Finish {
    fn finish(self, mut response: Response, id: &str) -> Response {
        if let Some(failure) = response.extensions_mut().remove::<Failure>() {
            if let Some(cause) = failure.cause {
                tracing::error!(error = format!("{cause:#}"), "request failed");
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
