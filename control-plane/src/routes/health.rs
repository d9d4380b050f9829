//! `/healthz`: the process lives. `/readyz`: it can serve.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::error::ApiError;
use crate::http::body::Reply;
use crate::openapi::Routes;
use crate::openapi::answers::Unavailable;
use crate::state::AppState;

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
/// The database answers and is up to date.
#[utoipa::path(
    get, path = "/readyz", operation_id = "checkReady", tag = "Server",
    responses((status = 200, description = "It can.", body = Health), Unavailable),
    security(()),
)]
async fn ready(State(state): State<AppState>) -> Result<Reply<Health>, ApiError> {
    if state.store().is_ready().await {
        Ok(Reply::ok(Health { status: "ready" }))
    } else {
        Err(ApiError::Unavailable)
    }
}
