//! `/v1/keys`: create, list, show, change, delete. A key's life and usage are in files of their own.

mod credits;
mod export;
pub mod identity;
pub mod input;
mod lifecycle;
mod list;
pub mod owner;
mod rotation;
mod usage;
mod view;

use axum::extract::State;
use shared::account::locator_of;
use shared::record::KeyState;
use shared::token::Token;
use utoipa_axum::routes;

use crate::audit::Act;
use crate::auth::Admin;
use crate::entropy;
use crate::environment::Environment;
use crate::error::ApiError;
use crate::http::body::{Body, Done, Reply};
use crate::http::params::Id;
use crate::http::precondition::Precondition;
use crate::openapi::Routes;
use crate::openapi::answers::{NotFound, NotModified};
use crate::openapi::names::{IdempotencyKey, IfMatch, KeyId};
use crate::state::AppState;
use crate::store::Change;
use crate::store::accounts::{self, Account};
use crate::store::environments;
use crate::store::key_list::{self, KeyStatus, ListedKey};
use crate::store::keys::{self, Fresh, Key};
use crate::store::outbox::Lane;
use crate::validate::Checks;
use input::{CreateKey, PatchKey};
use view::{ChangedKey, NewToken};

pub use input::{Lifetime, PresetName, check_expiry};
pub use lifecycle::Nothing;
pub use view::{KeyView, LimitsSchema};

/// The routes.
pub fn router() -> Routes {
    Routes::new()
        .with(routes!(list::list, create))
        .with(routes!(export::export))
        .with(routes!(show, update, remove))
        .with(routes!(rotation::rotate))
        .with(routes!(rotation::finish))
        .with(routes!(rotation::cancel))
        .with(routes!(lifecycle::revoke))
        .with(routes!(lifecycle::reactivate))
        .with(routes!(credits::add))
        .with(routes!(usage::show))
}

/// Create a key
///
/// The answer holds the token: it is shown this once. The key works at the edges as soon as the answer is there.
#[utoipa::path(
    post, path = "/keys", operation_id = "createKey", tag = "Keys",
    params(IdempotencyKey),
    request_body(content = CreateKey, examples(
        ("smallest" = (summary = "60 requests a minute, no permissions", value = json!({"name": "Mobile app"}))),
        ("full" = (summary = "Bound in every way", value = json!({
            "name": "Partner integration",
            "accountId": "acc_4Tn0xQz9",
            "environment": "staging",
            "permissions": ["customers.read", "orders.*"],
            "resources": ["customer:c_9"],
            "allowedOrigins": ["https://app.example.com", "https://*.example.com"],
            "allowMissingOrigin": true,
            "allowedIps": ["203.0.113.0/24", "2001:db8::/32"],
            "rateLimits": {"preset": "production", "requestsPerMinute": 250, "requestsPerDay": null},
            "credits": {"remaining": 10_000, "refill": {"amount": 1_000, "interval": "daily"}},
            "enforcement": "strict",
            "expiresIn": "90d",
            "metadata": {"plan": "gold"},
        }))),
    )),
    responses((status = 201, description = "The key is there.", body = NewToken), NotFound),
    security(("adminToken" = ["keys.write"])),
)]
async fn create(
    State(state): State<AppState>,
    admin: Admin,
    Body(input): Body<CreateKey>,
) -> Result<Reply<NewToken>, ApiError> {
    let named = input.environment();
    let (account_id, patch) = input.split();
    let mut change = state.change(&admin).await?;
    let account_id = account_id.unwrap_or(admin.account.clone());
    let account = accounts::find(change.conn(), &admin.account, &account_id)
        .await?
        .ok_or_else(|| ApiError::no("account", &account_id))?;
    let known = environments::known(change.conn(), &account.id).await?;
    let mut checks = Checks::default();
    let environment = named.among(&known, &mut checks, input::ENVIRONMENT_FIELDS);
    let mut settings = input::fresh_settings();
    patch.apply(&mut checks, &mut settings, change.now(), 0);
    checks.finish()?;
    owner::check(change.conn(), &admin, &account.id, &settings, None).await?;
    identity::check(change.conn(), &account.id, &settings).await?;
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
        token_created_at: change.now(),
        updated_at: change.now(),
        last_used_at: None,
        usage_count: 0,
        rotation: None,
        leak: None,
    };
    let new = Fresh {
        key: key.clone(),
        hash: token.hash(),
        origin: None,
    };
    change.add_keys(Lane::Urgent, &[new]).await?;
    let now = change.now();
    let act = Act::create(&KeyView::in_log(key.clone(), now))?;
    let status = KeyStatus::unused(&key, now);
    let schedule = environments::schedule(change.conn(), &key).await?;
    let changed = ChangedKey {
        key: KeyView::of(key, status, now).due_after(schedule),
        propagated: false,
    };
    let reply = Reply::created(changed.with_token(&token));
    state.commit(change, act, reply).await
}

/// Show a key
#[utoipa::path(
    get, path = "/keys/{id}", operation_id = "showKey", tag = "Keys",
    params(("id" = inline(KeyId), Path)),
    responses((status = 200, description = "The key.", body = KeyView), NotModified),
    security(("adminToken" = ["keys.read"])),
)]
async fn show(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
) -> Result<Reply<KeyView>, ApiError> {
    let mut conn = state.store().read().await?;
    let now = state.now();
    let ListedKey { key, status } = key_list::find(&mut conn, &admin.account, &id, now)
        .await?
        .ok_or_else(|| ApiError::no("key", &id))?;
    let schedule = environments::schedule(&mut conn, &key).await?;
    let version = key.version;
    let view = KeyView::of(key, status, now).due_after(schedule);
    Ok(Reply::ok(view).tagged(version))
}

/// Change a key
#[utoipa::path(
    patch, path = "/keys/{id}", operation_id = "updateKey", tag = "Keys",
    params(("id" = inline(KeyId), Path), IfMatch),
    request_body(content = PatchKey, examples(
        ("limits" = (summary = "Another limit of a minute, none of a day",
            value = json!({"rateLimits": {"requestsPerMinute": 120, "requestsPerDay": null}}))),
        ("credits" = (summary = "Starts over with so many credits, without a refill",
            value = json!({"credits": {"remaining": 500, "refill": null}}))),
        ("endless" = (summary = "No end", value = json!({"expiresAt": null}))),
    )),
    responses((status = 200, description = "The key as it is now.", body = ChangedKey)),
    security(("adminToken" = ["keys.write"])),
)]
async fn update(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
    precondition: Precondition,
    Body(patch): Body<PatchKey>,
) -> Result<Reply<ChangedKey>, ApiError> {
    let (mut change, before) = begin(&state, &admin, &id, &precondition).await?;
    let mut key = before.clone();
    let mut checks = Checks::default();
    patch.apply(&mut checks, &mut key.settings, change.now(), before.version);
    checks.finish()?;
    let (account, conn) = (&key.account_id, change.conn());
    owner::check(conn, &admin, account, &key.settings, Some(&before.settings)).await?;
    identity::check(change.conn(), &key.account_id, &key.settings).await?;
    save(&mut change, &mut key).await?;
    conclude(&state, change, "update", before, key).await
}

/// Delete a key
///
/// It can't be undone. A tombstone stays for its history: `GET /v1/keys?status=deleted` lists it, and its usage and audit
/// entries can still be read. The edges are told that the key is gone.
#[utoipa::path(
    delete, path = "/keys/{id}", operation_id = "deleteKey", tag = "Keys",
    params(("id" = inline(KeyId), Path), IfMatch),
    responses((status = 200, description = "The key is gone.", body = Done)),
    security(("adminToken" = ["keys.write"])),
)]
async fn remove(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
    precondition: Precondition,
) -> Result<Reply<Done>, ApiError> {
    let (mut change, mut key) = begin(&state, &admin, &id, &precondition).await?;
    let act = Act::delete(&KeyView::in_log(key.clone(), change.now()))?;
    key.state = KeyState::Deleted;
    save(&mut change, &mut key).await?;
    state.commit(change, act, Reply::ok(Done::default())).await
}

/// Begins a change of a key that exists and is within reach.
async fn begin(
    state: &AppState,
    admin: &Admin,
    id: &str,
    precondition: &Precondition,
) -> Result<(Change, Key), ApiError> {
    let mut change = state.change(admin).await?;
    let key = keys::find(change.conn(), &admin.account, id)
        .await?
        .ok_or_else(|| ApiError::no("key", id))?;
    precondition.check(key.version)?;
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

/// What to show of a key at the end of a change.
async fn shown(change: &mut Change, key: Key) -> Result<ChangedKey, ApiError> {
    let now = change.now();
    let status = key_list::status(change.conn(), &key, now).await?;
    let schedule = environments::schedule(change.conn(), &key).await?;
    Ok(ChangedKey {
        key: KeyView::of(key, status, now).due_after(schedule),
        propagated: false,
    })
}

/// Commits an act that made `key` of `before`.
async fn conclude(
    state: &AppState,
    mut change: Change,
    verb: &str,
    before: Key,
    key: Key,
) -> Result<Reply<ChangedKey>, ApiError> {
    let now = change.now();
    let after = KeyView::in_log(key.clone(), now);
    let act = Act::change(verb, &KeyView::in_log(before, now), &after)?;
    let changed = shown(&mut change, key).await?;
    state.commit(change, act, Reply::ok(changed)).await
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
