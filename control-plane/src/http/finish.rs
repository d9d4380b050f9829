//! Turns every failure into a problem document that names the request's id, and sets the headers of every answer.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use shared::problem::{MEDIA_TYPE, Problem};

use crate::error::{self, Failure};
use crate::http::observe::RequestId;

/// The answer's header that holds the request's id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Wraps a request, inside of [`observe`](super::observe) and outside of every other layer.
pub async fn layer(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().cloned();
    let RequestId(id) = id.unwrap_or_else(|| RequestId("req_unknown".to_owned()));
    finish(next.run(request).await, &id)
}

fn finish(mut response: Response, id: &str) -> Response {
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
    // Answers may hold a new key.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
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
