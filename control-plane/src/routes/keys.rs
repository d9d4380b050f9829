//! `/v1/keys`: create, list, show, change, delete. A key's life and usage are in files of their own.

mod input;
mod lifecycle;
mod list;
mod usage;
mod view;

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use serde_json::{Value, json};
use shared::account::locator_of;
use shared::record::KeyState;
use shared::token::Token;

use crate::auth::Admin;
use crate::entropy;
use crate::environment::Environment;
use crate::error::ApiError;
use crate::http::body::{Body, Reply};
use crate::http::params::Id;
use crate::state::AppState;
use crate::store::accounts::{self, Account};
use crate::store::keys::{self, Key};
use crate::store::{Change, key_list};
use crate::validate::Checks;
use input::{CreateKey, PatchKey};
use view::{ChangedKey, KeyView, NewToken};

/// The routes.
pub fn router() -> Router<AppState> {
    Router::new()
        .route("/keys", get(list::list).post(create))
        .route("/keys/{id}", get(show).patch(update).delete(remove))
        .route("/keys/{id}/rotate", post(lifecycle::rotate))
        .route("/keys/{id}/revoke", post(lifecycle::revoke))
        .route("/keys/{id}/reactivate", post(lifecycle::reactivate))
        .route("/keys/{id}/usage", get(usage::show))
}

async fn create(
    State(state): State<AppState>,
    admin: Admin,
    Body(input): Body<CreateKey>,
) -> Result<Reply<NewToken>, ApiError> {
    let mut checks = Checks::default();
    let environment = input.environment(&mut checks);
    let (account_id, patch) = input.split();
    let mut settings = input::fresh_settings();
    patch.apply(&mut checks, &mut settings, state.now());
    checks.finish()?;

    let mut change = state.change().await?;
    let account_id = account_id.unwrap_or(admin.account.clone());
    let account = accounts::find(change.conn(), &admin.account, &account_id)
        .await?
        .ok_or_else(|| ApiError::no("account", &account_id))?;
    let token = mint(&state, &account, &environment)?;
    let key = Key {
        id: shared::id::key(&*entropy::draw()?),
        account_id: account.id,
        environment,
        state: KeyState::Active,
        hints: token.hints(),
        settings,
        version: change.next_version(),
        created_at: change.now(),
        updated_at: change.now(),
        last_used_at: None,
        usage_count: 0,
    };
    keys::insert(change.conn(), &key).await?;
    keys::set_credential(change.conn(), &key.id, &token.hash(), None).await?;
    change.publish_key(&key).await?;
    let changed = commit(&state, change, key).await?;
    Ok(Reply::created(changed.with_token(&token)))
}

async fn show(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
) -> Result<Reply<KeyView>, ApiError> {
    let mut conn = state.store().read().await?;
    let key = keys::find(&mut conn, &admin.account, &id)
        .await?
        .ok_or_else(|| ApiError::no("key", &id))?;
    let status = key_list::status(&mut conn, &key, state.now()).await?;
    Ok(Reply::ok(KeyView::of(key, status)))
}

async fn update(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
    Body(patch): Body<PatchKey>,
) -> Result<Reply<ChangedKey>, ApiError> {
    let (mut change, mut key) = begin(&state, &admin, &id).await?;
    let mut checks = Checks::default();
    patch.apply(&mut checks, &mut key.settings, change.now());
    checks.finish()?;
    save(&mut change, &mut key).await?;
    Ok(Reply::ok(commit(&state, change, key).await?))
}

/// Leaves a tombstone: the row stays for its history, and the edges are told that the key is gone.
async fn remove(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
) -> Result<Reply<Value>, ApiError> {
    let (mut change, mut key) = begin(&state, &admin, &id).await?;
    key.state = KeyState::Deleted;
    save(&mut change, &mut key).await?;
    let propagated = state.commit(change).await?;
    Ok(Reply::ok(json!({"propagated": propagated})))
}

/// Begins a change of a key that exists and is within reach.
async fn begin(state: &AppState, admin: &Admin, id: &str) -> Result<(Change, Key), ApiError> {
    let mut change = state.change().await?;
    let key = keys::find(change.conn(), &admin.account, id)
        .await?
        .ok_or_else(|| ApiError::no("key", id))?;
    Ok((change, key))
}

/// Writes a changed key as its next version and puts it on its way to the edges.
async fn save(change: &mut Change, key: &mut Key) -> Result<(), ApiError> {
    key.version = change.next_version();
    key.updated_at = change.now();
    keys::update(change.conn(), key).await?;
    change.publish_key(key).await?;
    Ok(())
}

/// Commits, waits for the edges, and gives what to show.
async fn commit(state: &AppState, mut change: Change, key: Key) -> Result<ChangedKey, ApiError> {
    let status = key_list::status(change.conn(), &key, state.now()).await?;
    let propagated = state.commit(change).await?;
    Ok(ChangedKey {
        key: KeyView::of(key, status),
        propagated,
    })
}

/// A fresh token for a key of this account and environment.
fn mint(state: &AppState, account: &Account, environment: &Environment) -> Result<Token, ApiError> {
    let entropy = entropy::draw()?;
    let locator = locator_of(&account.id).unwrap_or_default();
    let prefix = &account.token_prefix;
    Token::mint(
        prefix,
        &environment.code,
        locator,
        &entropy,
        state.tag_secret(),
    )
    .map_err(|error| ApiError::Internal(error.into()))
}
