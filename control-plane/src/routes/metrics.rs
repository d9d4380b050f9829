//! `/metrics`, for Prometheus.

use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::time::timeout;
use utoipa_axum::routes;

use crate::auth::Admin;
use crate::error::ApiError;
use crate::openapi::Routes;
use crate::openapi::answers::{NotFound, TooManyAttempts, Unauthorized, Unavailable};
use crate::state::{AppState, MetricsAccess};
use crate::store::lag::Lag;
use crate::store::{accounts, lag};

/// How long the database may take: the other metrics are wanted most when it is slow.
const PATIENCE: Duration = Duration::from_secs(2);
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The route, where the API is served.
pub fn router() -> Routes {
    Routes::new().with(routes!(show))
}

/// The route on an address of its own, for whoever reaches that.
pub fn alone() -> Router<AppState> {
    Router::new().route("/metrics", get(write))
}

/// Show the metrics
///
/// Counters and times for Prometheus, in the text format of OpenMetrics. Where the server stands behind a proxy, only an
/// admin token of the root account opens them, unless they are served on an address of their own: then they are
/// not found here.
#[utoipa::path(
    get, path = "/metrics", operation_id = "showMetrics", tag = "Server",
    responses(
        (status = 200, description = "The metrics.", body = String, content_type = OPEN_METRICS),
        Unauthorized, NotFound, TooManyAttempts, Unavailable,
    ),
    security(()),
)]
async fn show(state: State<AppState>, request: Request) -> Result<Response, ApiError> {
    let hidden = || ApiError::NotFound("There is nothing at this path".to_owned());
    match state.metrics_access() {
        MetricsAccess::Everybody => {}
        MetricsAccess::Nobody => return Err(hidden()),
        MetricsAccess::Root => {
            let (mut parts, _) = request.into_parts();
            let admin = Admin::logged_in(&state, &mut parts).await?;
            let mut conn = state.store().read().await?;
            let root = accounts::root(&mut conn).await?;
            if root.is_none_or(|root| root.id != admin.account) {
                return Err(hidden());
            }
        }
    }
    write(state).await
}

async fn write(State(state): State<AppState>) -> Result<Response, ApiError> {
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
