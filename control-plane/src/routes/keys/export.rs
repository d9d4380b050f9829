//! `GET /v1/keys/export`: every key with its hash, a line each, as an import takes them.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::view::KeyView;
use crate::auth::Admin;
use crate::environment::EnvironmentCode;
use crate::error::ApiError;
use crate::http::ndjson::{self, Lines};
use crate::http::params::Params;
use crate::openapi::answers::NotFound;
use crate::openapi::names::AccountId;
use crate::openapi::schema::schema;
use crate::state::AppState;
use crate::store::environments::Schedules;
use crate::store::key_list::KeyStatus;
use crate::store::{accounts, keys};

/// Keys of one page.
const PAGE: u32 = 500;

schema! {
    /// The SHA-256 of the current token, in hexadecimal digits.
    HashText = form("^[0-9a-f]{64}$");
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportKeys {
    /// Of this account alone; of the token's own and those below it by default.
    #[param(inline, value_type = AccountId)]
    account: Option<String>,
}

/// A key as it is exported.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ExportedKey {
    #[schema(value_type = HashText)]
    hash: String,
    #[schema(value_type = EnvironmentCode)]
    environment_code: String,
    #[serde(flatten)]
    key: KeyView,
}

/// Export keys
///
/// Every key that is not deleted, in the order of their ids, a line of JSON each. An import takes these lines. `hash` is the
/// SHA-256 of the current token: no token can be made of it. A token in a grace after a rotation is left out.
#[utoipa::path(
    get, path = "/keys/export", operation_id = "exportKeys", tag = "Imports",
    params(ExportKeys),
    responses(
        (status = 200, description = "Lines of JSON.", body = ExportedKey, content_type = "application/x-ndjson"),
        NotFound,
    ),
    security(("adminToken" = ["keys.read"])),
)]
pub async fn export(
    State(state): State<AppState>,
    admin: Admin,
    Params(query): Params<ExportKeys>,
) -> Result<Response, ApiError> {
    if let Some(account) = &query.account {
        let mut conn = state.store().read().await?;
        accounts::find(&mut conn, &admin.account, account)
            .await?
            .ok_or_else(|| ApiError::no("account", account))?;
    }
    let source = Arc::new((state, admin.account, query.account));
    let page = move |after: String| {
        let source = Arc::clone(&source);
        async move { page_after(&source.0, &source.1, source.2.as_deref(), &after).await }
    };
    ndjson::answer(String::new(), page).await
}

async fn page_after(
    state: &AppState,
    holder: &str,
    account: Option<&str>,
    after: &str,
) -> Result<Option<(Lines, String)>, ApiError> {
    let mut conn = state.store().read().await?;
    let keys = keys::after(&mut conn, holder, account, after, PAGE).await?;
    let Some(last) = keys.last().map(|row| row.key.id.clone()) else {
        return Ok(None);
    };
    let now = state.now();
    let mut lines = Lines::default();
    let mut schedules = Schedules::default();
    for keys::Exported { key, hash } in keys {
        let status = KeyStatus::unused(&key, now);
        let schedule = schedules.of(&mut conn, &key).await?;
        lines.add(&ExportedKey {
            hash: hash.unwrap_or_default(),
            environment_code: key.environment.code.clone(),
            key: KeyView::of(key, status, now).due_after(schedule),
        })?;
    }
    Ok(Some((lines, last)))
}
