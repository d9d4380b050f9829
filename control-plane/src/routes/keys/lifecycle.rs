//! `POST /v1/keys/{id}/revoke`, `/reactivate`.

use axum::extract::State;
use serde::Deserialize;
use shared::Millis;
use shared::record::KeyState;

use super::view::ChangedKey;
use super::{begin, conclude, save};
use crate::auth::Admin;
use crate::error::ApiError;
use crate::http::body::{OptionalBody, Reply};
use crate::http::params::Id;
use crate::http::precondition::Precondition;
use crate::state::AppState;
use crate::store::keys::Key;

/// These acts have nothing to say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Stops a key, with both of its tokens if it is being rotated. Revoking a revoked key is a new version all the same, so
/// that the answer tells whether the edges have it.
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

/// Lets a revoked key be used again.
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
