//! `/healthz`: the process lives. `/readyz`: it can serve.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::http::body::Reply;
use crate::state::AppState;

/// The routes.
pub fn router() -> Router<AppState> {
    Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
}

async fn alive() -> Reply<Value> {
    Reply::ok(json!({"status": "ok"}))
}

/// The database answers and is up to date.
async fn ready(State(state): State<AppState>) -> Result<Reply<Value>, ApiError> {
    if state.store().is_ready().await {
        Ok(Reply::ok(json!({"status": "ready"})))
    } else {
        Err(ApiError::Unavailable)
    }
}
