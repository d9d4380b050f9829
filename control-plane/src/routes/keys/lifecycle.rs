//! `POST /v1/keys/{id}/rotate`, `/revoke`, `/reactivate`.

use axum::extract::State;
use serde::Deserialize;
use shared::Millis;
use shared::record::KeyState;
use utoipa::ToSchema;

use super::view::{ChangedKey, NewToken};
use super::{begin, commit, mint, save};
use crate::auth::Admin;
use crate::error::ApiError;
use crate::http::body::{OptionalBody, Reply, given};
use crate::http::params::Id;
use crate::openapi::answers::Conflict;
use crate::openapi::names::KeyId;
use crate::openapi::schema::schema;
use crate::state::AppState;
use crate::store::{accounts, keys};
use crate::validate::Checks;

/// 30 days, in seconds.
const MAX_GRACE: u32 = 2_592_000;

schema! {
    /// How long the old token still works, in seconds; not at all by default.
    Grace = whole(0, MAX_GRACE).default(Some(0.into())).examples([86_400]);
}

/// How to rotate.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rotate {
    #[schema(value_type = Grace)]
    #[serde(default, deserialize_with = "given")]
    grace_seconds: Option<u32>,
}

/// An empty object: there is nothing to say.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = Empty)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Rotate a key
///
/// Gives it a new token. The old one ends now or after a grace; one that was in an earlier grace ends now.
#[utoipa::path(
    post, path = "/keys/{id}/rotate", operation_id = "rotateKey", tag = "Keys",
    params(("id" = inline(KeyId), Path)),
    request_body(content = Option<Rotate>, examples(
        ("now" = (summary = "The old token ends now", value = json!({}))),
        ("grace" = (summary = "The old token works for another day", value = json!({"graceSeconds": 86400}))),
    )),
    responses((status = 200, description = "The key with its new token.", body = NewToken), Conflict),
    security(("adminToken" = ["keys.write"])),
)]
pub async fn rotate(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
    OptionalBody(input): OptionalBody<Rotate>,
) -> Result<Reply<NewToken>, ApiError> {
    let mut checks = Checks::default();
    let grace = input.grace_seconds.unwrap_or(0);
    let grace = checks.number("graceSeconds", grace, 0, MAX_GRACE);
    checks.finish()?;

    let (mut change, mut key) = begin(&state, &admin, &id).await?;
    let refusal = |detail: &str| Err(ApiError::Conflict(detail.to_owned()));
    if key.state == KeyState::Revoked {
        return refusal("The key is revoked, and so its new token would be; reactivate it first");
    }
    if key
        .settings
        .expires_at
        .is_some_and(|end| end <= change.now())
    {
        return refusal(
            "The key is expired, and so its new token would be; give it a later end first",
        );
    }
    admin.may_give_keys(&key.settings.permissions)?;
    let account = accounts::find(change.conn(), &admin.account, &key.account_id)
        .await?
        .ok_or_else(|| ApiError::no("key", &id))?;
    let token = mint(&state, &account, &key.environment)?;
    let old_ends = (grace > 0).then(|| change.now() + Millis::from(grace) * 1000);
    keys::set_credential(change.conn(), &key.id, &token.hash(), old_ends).await?;
    key.hints = token.hints();
    save(&mut change, &mut key).await?;
    let changed = commit(&state, change, key).await?;
    Ok(Reply::ok(changed.with_token(&token)))
}

/// Revoke a key
///
/// Stops it. Revoking a revoked key is a new version all the same, so that the answer tells whether the edges have it.
#[utoipa::path(
    post, path = "/keys/{id}/revoke", operation_id = "revokeKey", tag = "Keys",
    params(("id" = inline(KeyId), Path)),
    request_body(content = Option<Nothing>, example = json!({})),
    responses((status = 200, description = "The key as it is now.", body = ChangedKey)),
    security(("adminToken" = ["keys.write"])),
)]
pub async fn revoke(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
    OptionalBody(Nothing {}): OptionalBody<Nothing>,
) -> Result<Reply<ChangedKey>, ApiError> {
    set_state(&state, &admin, &id, KeyState::Revoked).await
}

/// Reactivate a key
///
/// Lets a revoked key be used again.
#[utoipa::path(
    post, path = "/keys/{id}/reactivate", operation_id = "reactivateKey", tag = "Keys",
    params(("id" = inline(KeyId), Path)),
    request_body(content = Option<Nothing>, example = json!({})),
    responses((status = 200, description = "The key as it is now.", body = ChangedKey)),
    security(("adminToken" = ["keys.write"])),
)]
pub async fn reactivate(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
    OptionalBody(Nothing {}): OptionalBody<Nothing>,
) -> Result<Reply<ChangedKey>, ApiError> {
    set_state(&state, &admin, &id, KeyState::Active).await
}

async fn set_state(
    state: &AppState,
    admin: &Admin,
    id: &str,
    to: KeyState,
) -> Result<Reply<ChangedKey>, ApiError> {
    let (mut change, mut key) = begin(state, admin, id).await?;
    key.state = to;
    save(&mut change, &mut key).await?;
    Ok(Reply::ok(commit(state, change, key).await?))
}
