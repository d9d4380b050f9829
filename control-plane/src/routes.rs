//! The HTTP API: one resource, one file.

mod accounts;
mod apis;
mod edge_usage;
mod explain;
mod health;
mod keys;
mod metrics;
mod presets;
mod upstream_checks;

use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

use crate::error::ApiError;
use crate::http::body::MAX_ADMIN_BODY;
use crate::http::client_address::{self, Proxies};
use crate::http::{finish, observe};
use crate::metrics::Metrics;
use crate::state::AppState;

/// The longest that a request may take, its body included.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Who may look at the metrics where the API is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsAccess {
    /// Whoever reaches the address.
    Everybody,
    /// Admins of the root account.
    Root,
    /// Nobody: they have an address of their own.
    Nobody,
}

/// The whole API.
pub fn router(state: AppState, proxies: Proxies, access: MetricsAccess) -> Router {
    let v1 = Router::new()
        .merge(accounts::router())
        .merge(apis::router())
        .merge(keys::router())
        .merge(presets::router())
        .merge(explain::router())
        .merge(upstream_checks::router())
        .merge(edge_usage::router());
    let metrics = match access {
        MetricsAccess::Everybody => metrics::open(),
        MetricsAccess::Root => metrics::guarded(),
        MetricsAccess::Nobody => Router::new(),
    };
    let all = Router::new()
        .merge(health::router())
        .merge(metrics)
        .nest("/v1", v1);
    layered(closed(all), TIMEOUT, proxies, state.metrics()).with_state(state)
}

/// The metrics alone, for an address of their own.
pub fn metrics_router(state: AppState) -> Router {
    let all = closed(metrics::open());
    layered(all, TIMEOUT, Proxies::None, state.metrics()).with_state(state)
}

/// What no route takes.
fn closed(routes: Router<AppState>) -> Router<AppState> {
    routes
        .fallback(|| async { ApiError::NotFound("There is nothing at this path".to_owned()) })
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
}

/// Puts around the routes what every request goes through; the last is the outermost.
fn layered<S: Clone + Send + Sync + 'static>(
    routes: Router<S>,
    timeout: Duration,
    proxies: Proxies,
    metrics: &Metrics,
) -> Router<S> {
    routes
        .route_layer(from_fn(observe::note_route))
        .layer(DefaultBodyLimit::max(MAX_ADMIN_BODY))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            timeout,
        ))
        .layer(CatchPanicLayer::new())
        .layer(from_fn(finish::layer))
        .layer(from_fn_with_state(proxies, client_address::layer))
        .layer(from_fn_with_state(metrics.clone(), observe::layer))
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
        let timeout = Duration::from_millis(20);
        let app = layered(routes, timeout, Proxies::None, &Metrics::new(0));
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
