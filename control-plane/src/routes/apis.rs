//! `/v1/apis`: what is guarded.

mod input;
mod upstream;
mod view;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde::{Deserialize, Serialize};

use crate::audit::Act;
use crate::auth::Admin;
use crate::entropy;
use crate::error::ApiError;
use crate::http::body::{Body, Changed, Done, Reply};
use crate::http::page::{Page, PageRequest, Position};
use crate::http::params::{Id, Params};
use crate::http::precondition::Precondition;
use crate::state::AppState;
use crate::store::apis::{self, Api, ApiSettings};
use crate::store::{Change, accounts};
use crate::validate::Checks;
use input::{CreateApi, PatchApi};
use view::ApiView;

/// The routes.
pub fn router() -> Router<AppState> {
    Router::new()
        .route("/apis", get(list).post(create))
        .route("/apis/{id}", get(show).patch(update).delete(remove))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ListApis {
    account: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

#[derive(Debug, Serialize)]
struct ChangedApi {
    api: ApiView,
    propagated: bool,
}

impl Changed for ChangedApi {
    fn version(&self) -> Option<u64> {
        Some(self.api.version())
    }

    fn set_propagated(&mut self, propagated: bool) {
        self.propagated = propagated;
    }
}

async fn list(
    State(state): State<AppState>,
    admin: Admin,
    Params(query): Params<ListApis>,
) -> Result<Reply<Page<ApiView>>, ApiError> {
    let mut checks = Checks::default();
    let page = PageRequest::check(&mut checks, query.limit.as_deref(), query.cursor.as_deref());
    checks.finish()?;
    let mut conn = state.store().read().await?;
    if let Some(account) = &query.account {
        accounts::find(&mut conn, &admin.account, account)
            .await?
            .ok_or_else(|| ApiError::no("account", account))?;
    }
    let rows = apis::list(&mut conn, &admin.account, query.account.as_deref(), &page).await?;
    let position = |api: &Api| Position {
        created_at: api.created_at,
        id: api.id.clone(),
    };
    Ok(Reply::ok(page.page(rows, position, ApiView::of)))
}

async fn show(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
) -> Result<Reply<ApiView>, ApiError> {
    let mut conn = state.store().read().await?;
    let api = apis::find(&mut conn, &admin.account, &id)
        .await?
        .ok_or_else(|| ApiError::no("API", &id))?;
    let version = api.version;
    Ok(Reply::ok(ApiView::of(api)).tagged(version))
}

async fn create(
    State(state): State<AppState>,
    admin: Admin,
    Body(input): Body<CreateApi>,
) -> Result<Reply<ChangedApi>, ApiError> {
    let (account_id, patch) = input.split();
    let mut checks = Checks::default();
    let mut name = String::new();
    let mut settings = ApiSettings::default();
    patch.apply(&mut checks, &mut name, &mut settings);
    checks.finish()?;

    let mut change = state.change(&admin).await?;
    let account_id = account_id.unwrap_or(admin.account.clone());
    let account = accounts::find(change.conn(), &admin.account, &account_id)
        .await?
        .ok_or_else(|| ApiError::no("account", &account_id))?;
    let api = Api {
        id: shared::id::api(&*entropy::draw()?),
        account_id: account.id,
        name,
        settings,
        version: change.next_version(),
        created_at: change.now(),
        updated_at: change.now(),
        deleted: false,
    };
    apis::insert(change.conn(), &api).await?;
    claim_hosts(&mut change, &api).await?;
    change.publish_api(&api).await?;
    let api = ApiView::of(api);
    let act = Act::create(&api)?;
    let propagated = false;
    let reply = Reply::created(ChangedApi { api, propagated });
    state.commit(change, act, reply).await
}

async fn update(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
    precondition: Precondition,
    Body(patch): Body<PatchApi>,
) -> Result<Reply<ChangedApi>, ApiError> {
    let (mut change, mut api) = begin(&state, &admin, &id, &precondition).await?;
    let before = ApiView::of(api.clone());
    let mut checks = Checks::default();
    patch.apply(&mut checks, &mut api.name, &mut api.settings);
    checks.finish()?;
    api.version = change.next_version();
    api.updated_at = change.now();
    apis::update(change.conn(), &api).await?;
    claim_hosts(&mut change, &api).await?;
    change.publish_api(&api).await?;
    let api = ApiView::of(api);
    let act = Act::change("update", &before, &api)?;
    let propagated = false;
    let reply = Reply::ok(ChangedApi { api, propagated });
    state.commit(change, act, reply).await
}

async fn remove(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
    precondition: Precondition,
) -> Result<Reply<Done>, ApiError> {
    let (mut change, mut api) = begin(&state, &admin, &id, &precondition).await?;
    let act = Act::delete(&ApiView::of(api.clone()))?;
    api.deleted = true;
    api.version = change.next_version();
    api.updated_at = change.now();
    apis::update(change.conn(), &api).await?;
    apis::claim_hosts(change.conn(), &api.id, &[]).await?;
    change.publish_api(&api).await?;
    state.commit(change, act, Reply::ok(Done::default())).await
}

/// Begins a change of an API that exists and is within reach.
async fn begin(
    state: &AppState,
    admin: &Admin,
    id: &str,
    precondition: &Precondition,
) -> Result<(Change, Api), ApiError> {
    let mut change = state.change(admin).await?;
    let api = apis::find(change.conn(), &admin.account, id)
        .await?
        .ok_or_else(|| ApiError::no("API", id))?;
    precondition.check(api.version)?;
    Ok((change, api))
}

async fn claim_hosts(change: &mut Change, api: &Api) -> Result<(), ApiError> {
    let endpoints = &api.settings.endpoints;
    let hosts: Vec<String> = endpoints.iter().map(|e| e.host.clone()).collect();
    match apis::claim_hosts(change.conn(), &api.id, &hosts).await? {
        None => Ok(()),
        Some(host) => {
            let detail = format!("Another API answers for the host {host} already");
            Err(ApiError::Conflict(detail))
        }
    }
}
