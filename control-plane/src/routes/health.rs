//! `/healthz`: the process lives. `/readyz`: it can serve.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::error::ApiError;
use crate::http::body::Reply;
use crate::state::AppState;

/// How long the database may take to answer: less than probes wait.
const PATIENCE: Duration = Duration::from_secs(2);

/// The routes.
pub fn router() -> Router<AppState> {
    Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
}

async fn alive() -> Reply<Value> {
    Reply::ok(json!({"status": "ok"}))
}

/// The server is not about to stop, the database answers and has every migration, and changes are on their way to the
/// edges. An edge that is out of reach does not count: other instances would not reach it either.
async fn ready(State(state): State<AppState>) -> Result<Reply<Value>, ApiError> {
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
        Ok(Reply::ok(json!({"status": "ready"})))
    } else {
        Err(ApiError::NotReady(missing))
    }
}
