//! `GET /v1/presets`: limits that go by a name.

use serde::Serialize;
use shared::preset::{PRESETS, Preset};
use shared::record::RateLimits;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::keys::{LimitsSchema, PresetName};
use crate::auth::Admin;
use crate::http::body::Reply;
use crate::http::page::Page;
use crate::openapi::Routes;

/// The routes.
pub fn router() -> Routes {
    Routes::new().with(routes!(list))
}

/// Limits that go by a name.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Preset)]
#[serde(rename_all = "camelCase")]
struct PresetView {
    #[schema(value_type = PresetName)]
    name: &'static str,
    #[schema(value_type = LimitsSchema)]
    rate_limits: RateLimits,
}

/// List presets
///
/// Limits that go by a name, smallest first. A key that is given a preset keeps its numbers; it is not changed when a
/// preset is.
#[utoipa::path(
    get, path = "/presets", operation_id = "listPresets", tag = "Keys",
    responses((status = 200, description = "All presets.", body = Page<PresetView>)),
    security(("adminToken" = ["keys.read"])),
)]
async fn list(_: Admin) -> Reply<Page<PresetView>> {
    let view = |Preset { name, rate_limits }| PresetView { name, rate_limits };
    Reply::ok(Page {
        data: PRESETS.into_iter().map(view).collect(),
        next_cursor: None,
    })
}
