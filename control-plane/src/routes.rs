//! The HTTP API: one resource, one file.

pub mod accounts;
mod apis;
mod audit_log;
mod edge_usage;
mod health;
mod keys;
mod presets;

use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

use crate::error::ApiError;
use crate::http::body::MAX_ADMIN_BODY;
use crate::http::{finish, precondition};
use crate::idempotency;
use crate::state::AppState;

/// The longest that a request may take, its body included.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The whole API.
pub fn router(state: AppState) -> Router {
    let v1 = Router::new()
        .merge(accounts::router())
        .merge(apis::router())
        .merge(keys::router())
        .merge(presets::router())
        .merge(audit_log::router())
        .route_layer(from_fn_with_state(state.clone(), idempotency::layer))
        .merge(edge_usage::router());
    let all = Router::new()
        .merge(health::router())
        .nest("/v1", v1)
        .fallback(|| async { ApiError::NotFound("There is nothing at this path".to_owned()) })
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed });
    layered(all, TIMEOUT).with_state(state)
}

/// Puts around the routes what every request goes through; the last is the outermost.
fn layered<S: Clone + Send + Sync + 'static>(routes: Router<S>, timeout: Duration) -> Router<S> {
    routes
        .route_layer(from_fn(finish::note_route))
        .layer(from_fn(precondition::layer))
        .layer(DefaultBodyLimit::max(MAX_ADMIN_BODY))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            timeout,
        ))
        .layer(CatchPanicLayer::new())
        .layer(from_fn(finish::layer))
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::extract::Request;
    use axum::routing::get;
    use serde_json::Value;
    use tower::ServiceExt;

    use super::*;

    async fn panics() -> &'static str {
        panic!("a secret")
    }

    async fn problem(path: &str) -> (u16, Value) {
        let routes: Router = Router::new()
            .route("/panics", get(panics))
            .route("/hangs", get(std::future::pending::<()>));
        let request = Request::get(path).body(Body::empty()).unwrap();
        let app = layered(routes, Duration::from_millis(20));
        let response = app.oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json"
        );
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn a_panic_is_an_internal_problem_and_is_not_shown() {
        let (status, body) = problem("/panics").await;
        assert_eq!((status, &body["code"]), (500, &Value::from("internal")));
        assert!(!body.to_string().contains("secret"));
    }

    #[tokio::test]
    async fn a_request_that_hangs_is_given_up() {
        let (status, body) = problem("/hangs").await;
        assert_eq!((status, &body["code"]), (503, &Value::from("unavailable")));
    }
}
