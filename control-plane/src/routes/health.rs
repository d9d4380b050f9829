//! `/healthz`: the process lives. `/readyz`: it can serve.

use std::time::Duration;

use axum::extract::State;
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::error::ApiError;
use crate::http::body::Reply;
use crate::openapi::Routes;
use crate::openapi::answers::NotReady;
use crate::state::AppState;

/// How long the database may take to answer: less than probes wait.
const PATIENCE: Duration = Duration::from_secs(2);

/// The routes.
pub fn router() -> Routes {
    Routes::new().with(routes!(alive)).with(routes!(ready))
}

/// What a probe is told.
#[derive(Debug, Serialize, ToSchema)]
struct Health {
    /// `ok` or `ready`.
    #[schema(value_type = String, examples("ok"))]
    status: &'static str,
}

/// Say whether the process lives
#[utoipa::path(
    get, path = "/healthz", operation_id = "checkAlive", tag = "Server",
    responses((status = 200, description = "It lives.", body = Health)),
    security(()),
)]
async fn alive() -> Reply<Health> {
    Reply::ok(Health { status: "ok" })
}

/// Say whether the server can serve
///
/// It is not about to stop, the database answers and has every migration, and changes are on their way to the edges.
/// An edge that is out of reach does not count: no other instance would reach it either.
#[utoipa::path(
    get, path = "/readyz", operation_id = "checkReady", tag = "Server",
    responses((status = 200, description = "It can.", body = Health), NotReady),
    security(()),
)]
async fn ready(State(state): State<AppState>) -> Result<Reply<Health>, ApiError> {
    let mut missing = Vec::new();
    if state.is_stopping() {
        missing.push("stopping");
    }
    match timeout(PATIENCE, state.store().schema()).await {
        Ok(Ok(schema)) if schema.is_usable() => {}
        Ok(Ok(_)) => missing.push("schema"),
        Ok(Err(_)) | Err(_) => missing.push("database"),
    }
    if !state.delivers() {
        missing.push("delivery");
    }
    if missing.is_empty() {
        Ok(Reply::ok(Health { status: "ready" }))
    } else {
        Err(ApiError::NotReady(missing))
    }
}
