//! `/metrics`, for Prometheus.

use std::time::Duration;

use axum::Router;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::time::timeout;

use crate::auth::Admin;
use crate::error::ApiError;
use crate::state::AppState;
use crate::store::lag::Lag;
use crate::store::{accounts, lag};

/// How long the database may take: the other metrics are wanted most when it is slow.
const PATIENCE: Duration = Duration::from_secs(2);
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// For everybody who can reach the address.
pub fn open() -> Router<AppState> {
    Router::new().route("/metrics", get(show))
}

/// For admins of the root account.
pub fn guarded() -> Router<AppState> {
    Router::new().route("/metrics", get(show_to_root))
}

async fn show_to_root(State(state): State<AppState>, request: Request) -> Result<Response, ApiError> {
    let (mut parts, _) = request.into_parts();
    let admin = Admin::from_request_parts(&mut parts, &state).await?;
    let mut conn = state.store().read().await?;
    let root = accounts::root(&mut conn).await?;
    drop(conn);
    if root.is_none_or(|root| root.id != admin.account) {
        return Err(ApiError::NotFound("There is nothing at this path".to_owned()));
    }
    show(State(state)).await
}

async fn show(State(state): State<AppState>) -> Result<Response, ApiError> {
    // Before the lag is asked for, which takes a connection itself.
    let connections = state.store().connections();
    let lags = timeout(PATIENCE, lags(&state)).await;
    let lags = lags.ok().and_then(Result::ok);
    let metrics = state.metrics();
    let text = metrics.show(&connections, lags.as_deref(), state.now());
    let text = text.map_err(anyhow::Error::from)?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response())
}

async fn lags(state: &AppState) -> sqlx::Result<Vec<Lag>> {
    let mut conn = state.store().read().await?;
    lag::all(&mut conn).await
}
