//! `POST /v1/keys/{id}/revoke`, `/reactivate`.

use axum::extract::State;
use serde::Deserialize;
use shared::Millis;
use shared::record::KeyState;
use utoipa::ToSchema;

use super::view::ChangedKey;
use super::{begin, conclude, save};
use crate::auth::Admin;
use crate::error::ApiError;
use crate::http::body::{OptionalBody, Reply};
use crate::http::params::Id;
use crate::http::precondition::Precondition;
use crate::openapi::answers::Conflict;
use crate::openapi::names::{IdempotencyKey, IfMatch, KeyId};
use crate::state::AppState;
use crate::store::keys::Key;

/// An empty object: there is nothing to say.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = Empty)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Revoke a key
///
/// Stops it, with both of its tokens if it is being rotated. Revoking a revoked key is a new version all the same, so that the answer tells whether the edges have it.
#[utoipa::path(
    post, path = "/keys/{id}/revoke", operation_id = "revokeKey", tag = "Keys",
    params(("id" = inline(KeyId), Path), IfMatch, IdempotencyKey),
    request_body(content = Option<Nothing>, example = json!({})),
    responses((status = 200, description = "The key as it is now.", body = ChangedKey)),
    security(("adminToken" = ["keys.write"])),
)]
pub async fn revoke(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
    precondition: Precondition,
    OptionalBody(Nothing {}): OptionalBody<Nothing>,
) -> Result<Reply<ChangedKey>, ApiError> {
    let (mut change, before) = begin(&state, &admin, &id, &precondition).await?;
    let mut key = before.clone();
    key.state = KeyState::Revoked;
    save(&mut change, &mut key).await?;
    conclude(&state, change, "revoke", before, key).await
}

/// Reactivate a key
///
/// Lets a revoked key be used again. An expired one has to be given a later end first.
#[utoipa::path(
    post, path = "/keys/{id}/reactivate", operation_id = "reactivateKey", tag = "Keys",
    params(("id" = inline(KeyId), Path), IfMatch, IdempotencyKey),
    request_body(content = Option<Nothing>, example = json!({})),
    responses((status = 200, description = "The key as it is now.", body = ChangedKey), Conflict),
    security(("adminToken" = ["keys.write"])),
)]
pub async fn reactivate(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
    precondition: Precondition,
    OptionalBody(Nothing {}): OptionalBody<Nothing>,
) -> Result<Reply<ChangedKey>, ApiError> {
    let (mut change, before) = begin(&state, &admin, &id, &precondition).await?;
    if is_expired(&before, change.now()) {
        let detail = "The key is expired and would stay so; give it a later end first, with expiresAt or expiresIn";
        return Err(ApiError::Conflict(detail.to_owned()));
    }
    let mut key = before.clone();
    key.state = KeyState::Active;
    save(&mut change, &mut key).await?;
    conclude(&state, change, "reactivate", before, key).await
}

/// Whether a key's time is over.
pub fn is_expired(key: &Key, now: Millis) -> bool {
    key.settings.expires_at.is_some_and(|end| end <= now)
}
