//! `/v1/apis`: what is guarded.

mod input;
mod upstream;
mod upstream_checks;
mod view;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use crate::audit::Act;
use crate::auth::Admin;
use crate::entropy;
use crate::error::ApiError;
use crate::http::body::{Body, Changed, Done, Reply};
use crate::http::page::{Cursor, Page, PageLimit, PageRequest, Position};
use crate::http::params::{Id, Params};
use crate::http::precondition::Precondition;
use crate::openapi::Routes;
use crate::openapi::answers::{Conflict, NotFound, NotModified};
use crate::openapi::names::{AccountId, ApiId, IdempotencyKey, IfMatch};
use crate::state::AppState;
use crate::store::apis::{self, Api, ApiSettings};
use crate::store::{Change, accounts, environments};
use crate::validate::Checks;
use input::{CreateApi, PatchApi};
use view::ApiView;

/// The routes.
pub fn router() -> Routes {
    Routes::new()
        .with(routes!(list, create))
        .with(routes!(show, update, remove))
        .merge(upstream_checks::router())
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ListApis {
    /// Only APIs of this account.
    #[param(inline, value_type = Option<AccountId>)]
    account: Option<String>,
    #[param(inline, value_type = Option<PageLimit>)]
    limit: Option<String>,
    #[param(inline, value_type = Option<Cursor>)]
    cursor: Option<String>,
}

/// An API after a change.
#[derive(Debug, Serialize, ToSchema)]
struct ChangedApi {
    api: ApiView,
    /// Whether every edge has it.
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

/// List APIs
///
/// Those of the caller's account and of the accounts below it, newest first.
#[utoipa::path(
    get, path = "/apis", operation_id = "listApis", tag = "APIs",
    params(ListApis),
    responses((status = 200, description = "A page of APIs.", body = Page<ApiView>), NotFound),
    security(("adminToken" = ["apis.read"])),
)]
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

/// Show an API
#[utoipa::path(
    get, path = "/apis/{id}", operation_id = "showApi", tag = "APIs",
    params(("id" = inline(ApiId), Path)),
    responses((status = 200, description = "The API.", body = ApiView), NotModified),
    security(("adminToken" = ["apis.read"])),
)]
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

/// Create an API
///
/// No two APIs answer for the same host.
#[utoipa::path(
    post, path = "/apis", operation_id = "createApi", tag = "APIs",
    params(IdempotencyKey),
    request_body(content = CreateApi, examples(
        ("smallest" = (summary = "One host, no routes open", value = json!({
            "name": "Orders",
            "endpoints": [{"host": "orders.example.com", "environment": "production"}],
            "upstream": "https://orders.internal:8443",
        }))),
        ("full" = (summary = "Two environments, routes, browsers", value = json!({
            "name": "Customers",
            "accountId": "acc_4Tn0xQz9",
            "endpoints": [
                {"host": "api.example.com", "environment": "production"},
                {"host": "*.staging.example.com", "environment": "staging", "upstream": "https://staging.internal"},
            ],
            "upstream": "https://api.internal:8443/base",
            "upstreamTimeoutMs": 10000,
            "routes": [
                {"method": "GET", "path": "/v1/customers/{customerId}", "permission": "customers.read",
                 "resource": {"kind": "customer", "param": "customerId"}},
                {"method": "POST", "path": "/v1/accounts/{account}/exports", "permission": "exports.create",
                 "cost": 50, "accountParam": "account"},
            ],
            "unlisted": "closed",
            "cors": {"allowedOrigins": ["https://app.example.com"], "exposedHeaders": ["X-Total"],
                     "allowCredentials": true, "maxAgeSeconds": 3600},
            "onGuardFailure": "refuse",
            "acceptImported": true,
        }))),
    )),
    responses((status = 201, description = "The API is guarded.", body = ChangedApi), NotFound, Conflict),
    security(("adminToken" = ["apis.write"])),
)]
async fn create(
    State(state): State<AppState>,
    admin: Admin,
    Body(input): Body<CreateApi>,
) -> Result<Reply<ChangedApi>, ApiError> {
    let (account_id, patch) = input.split();
    let mut checks = Checks::default();
    let mut name = String::new();
    let mut settings = ApiSettings::default();
    let mut change = state.change(&admin).await?;
    let account_id = account_id.unwrap_or(admin.account.clone());
    let account = accounts::find(change.conn(), &admin.account, &account_id)
        .await?
        .ok_or_else(|| ApiError::no("account", &account_id))?;
    let known = environments::known(change.conn(), &account.id).await?;
    patch.apply(&mut checks, &known, &mut name, &mut settings);
    checks.finish()?;
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

/// Change an API
#[utoipa::path(
    patch, path = "/apis/{id}", operation_id = "updateApi", tag = "APIs",
    params(("id" = inline(ApiId), Path), IfMatch),
    request_body(content = PatchApi, examples(
        ("upstream" = (summary = "Another upstream", value = json!({"upstream": "https://new.internal"}))),
    )),
    responses((status = 200, description = "The API as it is now.", body = ChangedApi), Conflict),
    security(("adminToken" = ["apis.write"])),
)]
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
    let known = environments::known(change.conn(), &api.account_id).await?;
    patch.apply(&mut checks, &known, &mut api.name, &mut api.settings);
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

/// Delete an API
#[utoipa::path(
    delete, path = "/apis/{id}", operation_id = "deleteApi", tag = "APIs",
    params(("id" = inline(ApiId), Path), IfMatch),
    responses((status = 200, description = "The API is gone.", body = Done)),
    security(("adminToken" = ["apis.write"])),
)]
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
