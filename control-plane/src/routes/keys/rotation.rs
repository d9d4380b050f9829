//! `POST /v1/keys/{id}/rotate`, `/rotation/finish`, `/rotation/cancel`.

use axum::extract::State;
use serde::Deserialize;
use shared::Millis;
use shared::record::KeyState;
use shared::token::Hints;
use utoipa::ToSchema;

use super::lifecycle::{Nothing, is_expired};
use super::view::{ChangedKey, KeyView, NewToken};
use super::{begin, conclude, mint, save, shown};
use crate::audit::Act;
use crate::auth::Admin;
use crate::error::ApiError;
use crate::http::body::{OptionalBody, Reply, given};
use crate::http::params::Id;
use crate::http::precondition::Precondition;
use crate::openapi::answers::Conflict;
use crate::openapi::names::{IdempotencyKey, IfMatch, KeyId};
use crate::openapi::schema::schema;
use crate::state::AppState;
use crate::store::keys::Rotation;
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

/// Rotate a key
///
/// Gives it a new token. The old one ends now or after a grace; one that was in an earlier grace ends now.
#[utoipa::path(
    post, path = "/keys/{id}/rotate", operation_id = "rotateKey", tag = "Keys",
    params(("id" = inline(KeyId), Path), IfMatch, IdempotencyKey),
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
    precondition: Precondition,
    OptionalBody(input): OptionalBody<Rotate>,
) -> Result<Reply<NewToken>, ApiError> {
    let mut checks = Checks::default();
    let grace = input.grace_seconds.unwrap_or(0);
    let grace = checks.number("graceSeconds", grace, 0, MAX_GRACE);
    checks.finish()?;

    let (mut change, before) = begin(&state, &admin, &id, &precondition).await?;
    if before.state == KeyState::Revoked {
        return refusal("The key is revoked, and so its new token would be; reactivate it first");
    }
    if is_expired(&before, change.now()) {
        return refusal(
            "The key is expired, and so its new token would be; give it a later end first",
        );
    }
    admin.may_give_keys(&before.settings.permissions)?;
    let account = accounts::find(change.conn(), &admin.account, &before.account_id)
        .await?
        .ok_or_else(|| ApiError::no("key", &id))?;
    let token = mint(&state, &account, &before.environment)?;
    let now = change.now();
    let old_ends = (grace > 0).then(|| now + Millis::from(grace) * 1000);
    keys::set_credential(change.conn(), &before.id, &token.hash(), old_ends).await?;
    let mut key = before.clone();
    key.rotation = old_ends.map(|ends_at| Rotation {
        started_at: now,
        ends_at,
        old: Some(before.hints.clone()),
        old_created_at: Some(before.token_created_at),
    });
    key.hints = token.hints();
    key.token_created_at = now;
    save(&mut change, &mut key).await?;
    let act = Act::change(
        "rotate",
        &KeyView::in_log(before, now),
        &KeyView::in_log(key.clone(), now),
    )?;
    let changed = shown(&mut change, key).await?;
    let reply = Reply::ok(changed.with_token(&token));
    state.commit(change, act, reply).await
}

/// Finish a rotation early
///
/// Ends its grace: the old token stops now.
#[utoipa::path(
    post, path = "/keys/{id}/rotation/finish", operation_id = "finishKeyRotation", tag = "Keys",
    params(("id" = inline(KeyId), Path), IfMatch, IdempotencyKey),
    request_body(content = Option<Nothing>, example = json!({})),
    responses((status = 200, description = "The key as it is now.", body = ChangedKey), Conflict),
    security(("adminToken" = ["keys.write"])),
)]
pub async fn finish(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
    precondition: Precondition,
    OptionalBody(Nothing {}): OptionalBody<Nothing>,
) -> Result<Reply<ChangedKey>, ApiError> {
    let (mut change, before) = begin(&state, &admin, &id, &precondition).await?;
    if before.rotation_at(change.now()).is_none() {
        return refusal("No rotation is under way: the old token has stopped already");
    }
    keys::drop_old_credential(change.conn(), &before.id).await?;
    let mut key = before.clone();
    key.rotation = None;
    save(&mut change, &mut key).await?;
    conclude(&state, change, "finish_rotation", before, key).await
}

/// Cancel a rotation
///
/// Takes it back, within its grace: the new token stops now, and the old one has no end any more.
#[utoipa::path(
    post, path = "/keys/{id}/rotation/cancel", operation_id = "cancelKeyRotation", tag = "Keys",
    params(("id" = inline(KeyId), Path), IfMatch, IdempotencyKey),
    request_body(content = Option<Nothing>, example = json!({})),
    responses((status = 200, description = "The key as it is now.", body = ChangedKey), Conflict),
    security(("adminToken" = ["keys.write"])),
)]
pub async fn cancel(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
    precondition: Precondition,
    OptionalBody(Nothing {}): OptionalBody<Nothing>,
) -> Result<Reply<ChangedKey>, ApiError> {
    let (mut change, before) = begin(&state, &admin, &id, &precondition).await?;
    let Some(rotation) = before.rotation_at(change.now()) else {
        return refusal(
            "No rotation is under way: the old token has stopped, and can't be brought back",
        );
    };
    let hints: Option<Hints> = rotation.old.clone();
    let Some(hints) = hints else {
        return refusal(
            "This rotation was begun by an older version, which kept too little of the old token; finish it, or let it end",
        );
    };
    keys::restore_old_credential(change.conn(), &before.id).await?;
    let mut key = before.clone();
    key.hints = hints;
    key.token_created_at = rotation.old_created_at.unwrap_or(before.created_at);
    key.rotation = None;
    save(&mut change, &mut key).await?;
    conclude(&state, change, "cancel_rotation", before, key).await
}

fn refusal<T>(detail: &str) -> Result<T, ApiError> {
    Err(ApiError::Conflict(detail.to_owned()))
}
