//! `/v1/environments`: those of an account, and after how long tokens in each are due to be replaced. Three are built in;
//! what an account defines beside them, the accounts below it have, too.

mod view;

use axum::extract::State;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use crate::audit::Act;
use crate::auth::Admin;
use crate::entropy;
use crate::environment::{BUILT_IN, Environment, EnvironmentCode, EnvironmentName, built_in};
use crate::error::ApiError;
use crate::http::body::{Body, Reply, given, nullable};
use crate::http::page::{Cursor, Page, PageLimit, PageRequest, Position};
use crate::http::params::{Id, Params};
use crate::http::precondition::Precondition;
use crate::openapi::Routes;
use crate::openapi::answers::{Conflict, NotFound, NotModified};
use crate::openapi::names::{AccountId, EnvironmentId, IdempotencyKey, IfMatch};
use crate::openapi::schema::schema;
use crate::state::AppState;
use crate::store::accounts::{self, Account};
use crate::store::environments::{self, Defined};
use crate::store::{Change, Conn, apis};
use crate::validate::Checks;
use view::{ChangedEnvironment, EnvironmentView, RemovedEnvironment};

/// The most environments that an account defines.
const MAX_OWN: i64 = 200;
const MAX_DAYS: u32 = 3650;

/// The routes.
pub fn router() -> Routes {
    Routes::new()
        .with(routes!(list, create))
        .with(routes!(show, update, remove))
}

schema! {
    /// After how many days a token is due to be replaced.
    Days = whole(1, MAX_DAYS).examples([90]);
}

/// An environment to be defined.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CreateEnvironment {
    /// The account that has it, with those below; the token's own by default.
    #[schema(value_type = AccountId)]
    #[serde(default, deserialize_with = "given")]
    account_id: Option<String>,
    #[schema(value_type = EnvironmentName)]
    name: String,
    /// Its short code, if it is not the name itself.
    #[schema(value_type = EnvironmentCode)]
    #[serde(default, deserialize_with = "given")]
    code: Option<String>,
    /// After how many days a token is due to be replaced; `null`: never.
    #[schema(value_type = Option<Days>)]
    #[serde(default)]
    rotate_after_days: Option<u32>,
}

/// What is given replaces what there was. Name and code stand in keys, and stay.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PatchEnvironment {
    /// After how many days a token is due to be replaced; `null`: never.
    #[schema(value_type = Option<Days>)]
    #[serde(default, deserialize_with = "nullable")]
    rotate_after_days: Option<Option<u32>>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListEnvironments {
    /// Those of this account; of the token's own by default.
    #[param(inline, value_type = Option<AccountId>)]
    account: Option<String>,
    #[param(inline, value_type = Option<PageLimit>)]
    limit: Option<String>,
    #[param(inline, value_type = Option<Cursor>)]
    cursor: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct OfAccount {
    /// Of one that is built in: whose schedule; the token's own account by default.
    #[param(inline, value_type = Option<AccountId>)]
    account: Option<String>,
}

/// List environments
///
/// All that keys and endpoints of an account may name: what it and the accounts above it define, newest first, then those
/// that are built in.
#[utoipa::path(
    get, path = "/environments", operation_id = "listEnvironments", tag = "APIs",
    params(ListEnvironments),
    responses((status = 200, description = "A page of environments.", body = Page<EnvironmentView>), NotFound),
    security(("adminToken" = ["apis.read"])),
)]
async fn list(
    State(state): State<AppState>,
    admin: Admin,
    Params(query): Params<ListEnvironments>,
) -> Result<Reply<Page<EnvironmentView>>, ApiError> {
    let mut checks = Checks::default();
    let page = PageRequest::check(&mut checks, query.limit.as_deref(), query.cursor.as_deref());
    checks.finish()?;
    let mut conn = state.store().read().await?;
    let account = account(&mut conn, &admin, query.account).await?;
    let defined = environments::list(&mut conn, &account.id, &page).await?;
    let mut rows: Vec<_> = defined.into_iter().map(EnvironmentView::of).collect();
    let mut names = BUILT_IN.map(|(name, _)| name);
    names.sort_unstable_by(|a, b| b.cmp(a));
    for name in names {
        let is_after = match &page.after {
            Some(after) => after.created_at > 0 || name < after.id.as_str(),
            None => true,
        };
        if is_after {
            rows.push(of_built_in(&mut conn, &account.id, name).await?);
        }
    }
    let position = |row: &EnvironmentView| -> Position { row.position() };
    Ok(Reply::ok(page.page(rows, position, |row| row)))
}

/// Show an environment
#[utoipa::path(
    get, path = "/environments/{id}", operation_id = "showEnvironment", tag = "APIs",
    params(("id" = inline(EnvironmentId), Path), OfAccount),
    responses((status = 200, description = "The environment.", body = EnvironmentView), NotModified),
    security(("adminToken" = ["apis.read"])),
)]
async fn show(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
    Params(query): Params<OfAccount>,
) -> Result<Reply<EnvironmentView>, ApiError> {
    let mut conn = state.store().read().await?;
    let view = if built_in(&id).is_some() {
        let account = account(&mut conn, &admin, query.account).await?;
        of_built_in(&mut conn, &account.id, &id).await?
    } else {
        EnvironmentView::of(find(&mut conn, &admin, &id).await?)
    };
    let version = view.version();
    Ok(match version {
        Some(version) => Reply::ok(view).tagged(version),
        None => Reply::ok(view),
    })
}

/// Define an environment
///
/// Keys and endpoints of the account and of those below may name it from then on. Neither an account above nor one below may
/// have one of the same name or code.
#[utoipa::path(
    post, path = "/environments", operation_id = "createEnvironment", tag = "APIs",
    params(IdempotencyKey),
    request_body(content = CreateEnvironment, examples(
        ("smallest" = (summary = "The name is the code", value = json!({"name": "preview"}))),
        ("full" = (summary = "With a code, and a schedule", value = json!({
            "name": "load-test", "accountId": "acc_4Tn0xQz9", "code": "lt", "rotateAfterDays": 30,
        }))),
    )),
    responses((status = 201, description = "The environment is there.", body = ChangedEnvironment), NotFound, Conflict),
    security(("adminToken" = ["apis.write"])),
)]
async fn create(
    State(state): State<AppState>,
    admin: Admin,
    Body(input): Body<CreateEnvironment>,
) -> Result<Reply<ChangedEnvironment>, ApiError> {
    let mut checks = Checks::default();
    let environment = Environment::check_new(&mut checks, &input.name, input.code.as_deref());
    let rotate_after_days = check_days(&mut checks, input.rotate_after_days);
    checks.finish()?;
    let mut change = state.change(&admin).await?;
    let account = account(change.conn(), &admin, input.account_id).await?;
    claim(&mut change, &account.id, &environment).await?;
    let defined = Defined {
        id: shared::id::environment(&*entropy::draw()?),
        account_id: account.id,
        environment,
        rotate_after_days,
        version: change.next_version(),
        created_at: change.now(),
        updated_at: change.now(),
    };
    environments::insert(change.conn(), &defined).await?;
    let environment = EnvironmentView::of(defined);
    let act = Act::create(&environment)?;
    let reply = Reply::created(ChangedEnvironment { environment });
    state.commit(change, act, reply).await
}

/// Change an environment's schedule
///
/// Of one that is built in each account may have its own; else it has that of the account above. The schedule refuses
/// nothing: `rotationDueAt` of a key and `GET /v1/keys?rotationDue=true` follow it.
#[utoipa::path(
    patch, path = "/environments/{id}", operation_id = "updateEnvironment", tag = "APIs",
    params(("id" = inline(EnvironmentId), Path), OfAccount, IfMatch),
    request_body(content = PatchEnvironment, examples(
        ("quarterly" = (summary = "Every 90 days", value = json!({"rotateAfterDays": 90}))),
        ("never" = (summary = "No schedule", value = json!({"rotateAfterDays": null}))),
    )),
    responses((status = 200, description = "The environment as it is now.", body = ChangedEnvironment)),
    security(("adminToken" = ["apis.write"])),
)]
async fn update(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
    Params(query): Params<OfAccount>,
    precondition: Precondition,
    Body(patch): Body<PatchEnvironment>,
) -> Result<Reply<ChangedEnvironment>, ApiError> {
    let mut checks = Checks::default();
    let days = patch
        .rotate_after_days
        .map(|days| check_days(&mut checks, days));
    checks.finish()?;
    let mut change = state.change(&admin).await?;
    let (before, defined) = match built_in(&id) {
        Some(code) => {
            let account = account(change.conn(), &admin, query.account).await?;
            let own = environments::of_built_in(change.conn(), &account.id, &id).await?;
            let before = of_built_in(change.conn(), &account.id, &id).await?;
            let named = Environment {
                name: id.clone(),
                code: code.to_owned(),
            };
            let defined = match own {
                Some(own) => own,
                None => {
                    let counts =
                        environments::schedule_of(change.conn(), &account.id, &named).await?;
                    fresh(&mut change, account, named, counts)?
                }
            };
            (before, defined)
        }
        None => {
            let defined = find(change.conn(), &admin, &id).await?;
            (EnvironmentView::of(defined.clone()), defined)
        }
    };
    precondition.check(before.version().unwrap_or(0))?;
    let is_new = defined.version == 0;
    let after = Defined {
        rotate_after_days: days.unwrap_or(defined.rotate_after_days),
        version: change.next_version(),
        updated_at: change.now(),
        ..defined
    };
    if is_new {
        environments::insert(change.conn(), &after).await?;
    } else {
        environments::update(change.conn(), &after).await?;
    }
    let environment = EnvironmentView::of(after);
    let act = Act::change("update", &before, &environment)?;
    let reply = Reply::ok(ChangedEnvironment { environment });
    state.commit(change, act, reply).await
}

/// Delete an environment
///
/// No key and no endpoint may use it any more.
#[utoipa::path(
    delete, path = "/environments/{id}", operation_id = "deleteEnvironment", tag = "APIs",
    params(("id" = inline(EnvironmentId), Path), IfMatch),
    responses((status = 200, description = "The environment is gone.", body = RemovedEnvironment), Conflict),
    security(("adminToken" = ["apis.write"])),
)]
async fn remove(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
    precondition: Precondition,
) -> Result<Reply<RemovedEnvironment>, ApiError> {
    if built_in(&id).is_some() {
        let detail = format!("The environment {id} is built in and can't be deleted");
        return Err(ApiError::Conflict(detail));
    }
    let mut change = state.change(&admin).await?;
    let defined = find(change.conn(), &admin, &id).await?;
    precondition.check(defined.version)?;
    let (account, environment) = (&defined.account_id, &defined.environment);
    let keys = environments::keys(change.conn(), account, environment).await?;
    let apis = apis::all_below(change.conn(), account).await?;
    let endpoints = apis.iter().flat_map(|api| &api.settings.endpoints);
    let endpoints = endpoints
        .filter(|e| e.environment == environment.name && e.code == environment.code)
        .count();
    if keys > 0 || endpoints > 0 {
        let detail = format!(
            "{keys} keys and {endpoints} endpoints use the environment; delete or change them first"
        );
        return Err(ApiError::Conflict(detail));
    }
    environments::remove(change.conn(), &id).await?;
    let act = Act::delete(&EnvironmentView::of(defined))?;
    let reply = Reply::ok(RemovedEnvironment { deleted: true });
    state.commit(change, act, reply).await
}

/// The account that is named, or the caller's own.
async fn account(
    conn: &mut Conn,
    admin: &Admin,
    named: Option<String>,
) -> Result<Account, ApiError> {
    let id = named.unwrap_or(admin.account.clone());
    accounts::find(conn, &admin.account, &id)
        .await?
        .ok_or_else(|| ApiError::no("account", &id))
}

async fn find(conn: &mut Conn, admin: &Admin, id: &str) -> Result<Defined, ApiError> {
    environments::find(conn, &admin.account, id)
        .await?
        .ok_or_else(|| ApiError::no("environment", id))
}

/// One that is built in, with the schedule that counts in an account.
async fn of_built_in(
    conn: &mut Conn,
    account: &str,
    name: &str,
) -> Result<EnvironmentView, ApiError> {
    let own = environments::of_built_in(conn, account, name).await?;
    let environment = Environment {
        name: name.to_owned(),
        code: built_in(name).unwrap_or_default().to_owned(),
    };
    let counts = environments::schedule_of(conn, account, &environment).await?;
    Ok(EnvironmentView::built_in(
        environment,
        counts,
        own.as_ref(),
        account,
    ))
}

/// What an account says of one that is built in, before it said anything.
fn fresh(
    change: &mut Change,
    account: Account,
    environment: Environment,
    rotate_after_days: Option<u32>,
) -> Result<Defined, ApiError> {
    Ok(Defined {
        id: shared::id::environment(&*entropy::draw()?),
        account_id: account.id,
        environment,
        rotate_after_days,
        version: 0,
        created_at: change.now(),
        updated_at: change.now(),
    })
}

fn check_days(checks: &mut Checks, days: Option<u32>) -> Option<u32> {
    days.map(|days| checks.number("rotateAfterDays", days, 1, MAX_DAYS))
}

async fn claim(change: &mut Change, account: &str, wanted: &Environment) -> Result<(), ApiError> {
    if let Some(taken) = environments::taken(change.conn(), account, wanted).await? {
        let Environment { name, code } = taken;
        let detail = format!(
            "The account, one above it or one below it has the environment {name} with the code {code}"
        );
        return Err(ApiError::Conflict(detail));
    }
    if environments::count(change.conn(), account).await? >= MAX_OWN {
        let detail = format!("An account defines at most {MAX_OWN} environments");
        return Err(ApiError::Conflict(detail));
    }
    Ok(())
}
