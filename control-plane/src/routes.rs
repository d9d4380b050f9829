//! The HTTP API: one resource, one file.

mod accounts;
mod apis;
mod edge_usage;
mod health;
mod keys;

use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::from_fn;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

use crate::error::ApiError;
use crate::http::body::MAX_ADMIN_BODY;
use crate::http::finish;
use crate::state::AppState;

/// The longest that a request may take, its body included.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The whole API.
pub fn router(state: AppState) -> Router {
    let v1 = Router::new()
        .merge(accounts::router())
        .merge(apis::router())
        .merge(keys::router())
        .merge(edge_usage::router());
    Router::new()
        .merge(health::router())
        .nest("/v1", v1)
        .fallback(|| async { ApiError::NotFound("There is nothing at this path".to_owned()) })
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
        .route_layer(from_fn(finish::note_route))
        .layer(DefaultBodyLimit::max(MAX_ADMIN_BODY))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            TIMEOUT,
        ))
        .layer(CatchPanicLayer::new())
        .layer(from_fn(finish::layer))
        .with_state(state)
}
