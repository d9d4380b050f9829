//! `GET /v1/presets`: limits that go by a name.

use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};
use shared::preset::PRESETS;

use crate::auth::Admin;
use crate::http::body::Reply;
use crate::state::AppState;

/// The routes.
pub fn router() -> Router<AppState> {
    Router::new().route("/presets", get(list))
}

async fn list(_: Admin) -> Reply<Value> {
    Reply::ok(json!({"data": PRESETS, "nextCursor": null}))
}
