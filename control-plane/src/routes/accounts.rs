//! `/v1/accounts`: the tree of accounts.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use shared::account::MAX_DEPTH;
use shared::token::{MAX_PREFIX, is_prefix};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use crate::audit::{Act, Audited, Target};
use crate::auth::Admin;
use crate::bootstrap::fresh_account_id;
use crate::error::ApiError;
use crate::http::body::{Body, Changed, Done, Reply, given};
use crate::http::page::{Cursor, Page, PageLimit, PageRequest, Position};
use crate::http::params::{Id, Params};
use crate::http::precondition::Precondition;
use crate::openapi::Routes;
use crate::openapi::answers::{Conflict, NotFound, NotModified};
use crate::openapi::names::{AccountId, IdempotencyKey, IfMatch, Name, Version};
use crate::openapi::schema::schema;
use crate::state::AppState;
use crate::store::Change;
use crate::store::accounts::{self, Account};
use crate::timestamp::Timestamp;
use crate::validate::{Checks, MAX_NAME};

/// The routes.
pub fn router() -> Routes {
    Routes::new()
        .with(routes!(list, create))
        .with(routes!(show, update, remove))
}

schema! {
    /// What tokens begin with: a lower-case letter, then lower-case letters and digits.
    TokenPrefix = form("^[a-z][a-z0-9]*$").max_length(Some(MAX_PREFIX)).examples(["kw"]);
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CreateAccount {
    #[schema(value_type = Name)]
    name: String,
    /// The account above; the token's own by default.
    #[schema(value_type = AccountId)]
    #[serde(default, deserialize_with = "given")]
    parent_id: Option<String>,
    /// What its keys' tokens begin with; the parent's by default.
    #[schema(value_type = TokenPrefix)]
    #[serde(default, deserialize_with = "given")]
    token_prefix: Option<String>,
}

/// What is given replaces what there was.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PatchAccount {
    #[schema(value_type = Name)]
    #[serde(default, deserialize_with = "given")]
    name: Option<String>,
    /// What its keys' tokens begin with, from the next one on.
    #[schema(value_type = TokenPrefix)]
    #[serde(default, deserialize_with = "given")]
    token_prefix: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ListAccounts {
    /// Only the accounts right below this one.
    #[param(inline, value_type = Option<AccountId>)]
    parent: Option<String>,
    #[param(inline, value_type = Option<PageLimit>)]
    limit: Option<String>,
    #[param(inline, value_type = Option<Cursor>)]
    cursor: Option<String>,
}

/// An account.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Account)]
#[serde(rename_all = "camelCase")]
pub struct AccountView {
    #[schema(value_type = AccountId)]
    id: String,
    /// The account above; `null` for the topmost account that the caller sees.
    #[schema(required, value_type = Option<AccountId>)]
    parent_id: Option<String>,
    #[schema(value_type = Name)]
    name: String,
    /// What its keys' tokens begin with.
    #[schema(value_type = TokenPrefix)]
    token_prefix: String,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[schema(value_type = Version)]
    version: u64,
}

impl AccountView {
    fn of(account: Account, admin: &Admin) -> Self {
        let is_own = account.id == admin.account;
        let mut view = Self::whole(account);
        view.parent_id = view.parent_id.filter(|_| !is_own);
        view
    }

    /// Of an account as it is, whoever looks.
    pub fn whole(account: Account) -> Self {
        Self {
            parent_id: account.parent_id,
            id: account.id,
            name: account.name,
            token_prefix: account.token_prefix,
            created_at: Timestamp(account.created_at),
            updated_at: Timestamp(account.updated_at),
            version: account.version,
        }
    }
}

impl Audited for AccountView {
    fn target(&self) -> Target {
        Target {
            kind: "account",
            id: self.id.clone(),
            name: self.name.clone(),
            account: self.id.clone(),
        }
    }
}

/// An account after a change.
#[derive(Debug, Serialize, ToSchema)]
struct ChangedAccount {
    account: AccountView,
    /// Whether every edge has it.
    propagated: bool,
}

impl Changed for ChangedAccount {
    fn version(&self) -> Option<u64> {
        Some(self.account.version)
    }

    fn set_propagated(&mut self, propagated: bool) {
        self.propagated = propagated;
    }
}

/// List accounts
///
/// The caller's account and those below it, newest first.
#[utoipa::path(
    get, path = "/accounts", operation_id = "listAccounts", tag = "Accounts",
    params(ListAccounts),
    responses((status = 200, description = "A page of accounts.", body = Page<AccountView>), NotFound),
    security(("adminToken" = ["accounts.read"])),
)]
async fn list(
    State(state): State<AppState>,
    admin: Admin,
    Params(query): Params<ListAccounts>,
) -> Result<Reply<Page<AccountView>>, ApiError> {
    let mut checks = Checks::default();
    let page = PageRequest::check(&mut checks, query.limit.as_deref(), query.cursor.as_deref());
    checks.finish()?;
    let mut conn = state.store().read().await?;
    if let Some(parent) = &query.parent {
        accounts::find(&mut conn, &admin.account, parent)
            .await?
            .ok_or_else(|| ApiError::no("account", parent))?;
    }
    let rows = accounts::list(&mut conn, &admin.account, query.parent.as_deref(), &page).await?;
    let position = |account: &Account| Position {
        created_at: account.created_at,
        id: account.id.clone(),
    };
    let page = page.page(rows, position, |account| AccountView::of(account, &admin));
    Ok(Reply::ok(page))
}

/// Show an account
#[utoipa::path(
    get, path = "/accounts/{id}", operation_id = "showAccount", tag = "Accounts",
    params(("id" = inline(AccountId), Path)),
    responses((status = 200, description = "The account.", body = AccountView), NotModified),
    security(("adminToken" = ["accounts.read"])),
)]
async fn show(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
) -> Result<Reply<AccountView>, ApiError> {
    let mut conn = state.store().read().await?;
    let account = accounts::find(&mut conn, &admin.account, &id)
        .await?
        .ok_or_else(|| ApiError::no("account", &id))?;
    let version = account.version;
    Ok(Reply::ok(AccountView::of(account, &admin)).tagged(version))
}

/// Create an account
#[utoipa::path(
    post, path = "/accounts", operation_id = "createAccount", tag = "Accounts",
    params(IdempotencyKey),
    request_body(content = CreateAccount, examples(
        ("smallest" = (summary = "Below the caller's own account", value = json!({"name": "Acme"}))),
        ("full" = (summary = "With tokens that begin with its own name",
            value = json!({"name": "Acme Europe", "parentId": "acc_4Tn0xQz9", "tokenPrefix": "acme"}))),
    )),
    responses((status = 201, description = "The account is there.", body = ChangedAccount), NotFound, Conflict),
    security(("adminToken" = ["accounts.write"])),
)]
async fn create(
    State(state): State<AppState>,
    admin: Admin,
    Body(input): Body<CreateAccount>,
) -> Result<Reply<ChangedAccount>, ApiError> {
    let mut checks = Checks::default();
    let name = checks.text("name", &input.name, MAX_NAME);
    check_prefix(&mut checks, input.token_prefix.as_deref());
    checks.finish()?;

    let mut change = state.change(&admin).await?;
    let parent_id = input.parent_id.as_ref().unwrap_or(&admin.account);
    let parent = accounts::find(change.conn(), &admin.account, parent_id)
        .await?
        .ok_or_else(|| ApiError::no("account", parent_id))?;
    let above = accounts::ancestors(change.conn(), &parent.id).await?.len();
    if above + 2 > MAX_DEPTH {
        let detail = format!("The tree of accounts is at most {MAX_DEPTH} deep");
        return Err(ApiError::Conflict(detail));
    }
    let account = Account {
        id: fresh_account_id(change.conn()).await?,
        parent_id: Some(parent.id),
        name,
        token_prefix: input.token_prefix.unwrap_or(parent.token_prefix),
        version: change.next_version(),
        created_at: change.now(),
        updated_at: change.now(),
        deleted: false,
    };
    accounts::insert(change.conn(), &account).await?;
    change.publish_account(&account).await?;
    let account = AccountView::of(account, &admin);
    let act = Act::create(&account)?;
    let propagated = false;
    let reply = Reply::created(ChangedAccount {
        account,
        propagated,
    });
    state.commit(change, act, reply).await
}

/// Change an account
#[utoipa::path(
    patch, path = "/accounts/{id}", operation_id = "updateAccount", tag = "Accounts",
    params(("id" = inline(AccountId), Path), IfMatch),
    request_body(content = PatchAccount, examples(
        ("rename" = (summary = "Another name", value = json!({"name": "Acme Inc."}))),
    )),
    responses((status = 200, description = "The account as it is now.", body = ChangedAccount)),
    security(("adminToken" = ["accounts.write"])),
)]
async fn update(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
    precondition: Precondition,
    Body(input): Body<PatchAccount>,
) -> Result<Reply<ChangedAccount>, ApiError> {
    let mut checks = Checks::default();
    let name = input.name.map(|n| checks.text("name", &n, MAX_NAME));
    check_prefix(&mut checks, input.token_prefix.as_deref());
    checks.finish()?;

    let (mut change, mut account) = begin(&state, &admin, &id, &precondition).await?;
    let before = AccountView::of(account.clone(), &admin);
    account.name = name.unwrap_or(account.name);
    account.token_prefix = input.token_prefix.unwrap_or(account.token_prefix);
    account.version = change.next_version();
    account.updated_at = change.now();
    accounts::update(change.conn(), &account).await?;
    change.publish_account(&account).await?;
    let account = AccountView::of(account, &admin);
    let act = Act::change("update", &before, &account)?;
    let propagated = false;
    let reply = Reply::ok(ChangedAccount {
        account,
        propagated,
    });
    state.commit(change, act, reply).await
}

/// Delete an account
///
/// It must be empty, and not the account of the token in use.
#[utoipa::path(
    delete, path = "/accounts/{id}", operation_id = "deleteAccount", tag = "Accounts",
    params(("id" = inline(AccountId), Path), IfMatch),
    responses((status = 200, description = "The account is gone.", body = Done), Conflict),
    security(("adminToken" = ["accounts.write"])),
)]
async fn remove(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
    precondition: Precondition,
) -> Result<Reply<Done>, ApiError> {
    let (mut change, mut account) = begin(&state, &admin, &id, &precondition).await?;
    if account.id == admin.account {
        let detail = "The account of the admin token in use can't be deleted with it";
        return Err(ApiError::Conflict(detail.to_owned()));
    }
    if let Some(held) = accounts::content(change.conn(), &id).await? {
        let detail = format!("The account still has {held}; delete them first");
        return Err(ApiError::Conflict(detail));
    }
    let act = Act::delete(&AccountView::of(account.clone(), &admin))?;
    account.deleted = true;
    account.version = change.next_version();
    account.updated_at = change.now();
    accounts::update(change.conn(), &account).await?;
    change.publish_account(&account).await?;
    state.commit(change, act, Reply::ok(Done::default())).await
}

/// Begins a change of an account that exists and is within reach.
async fn begin(
    state: &AppState,
    admin: &Admin,
    id: &str,
    precondition: &Precondition,
) -> Result<(Change, Account), ApiError> {
    let mut change = state.change(admin).await?;
    let account = accounts::find(change.conn(), &admin.account, id)
        .await?
        .ok_or_else(|| ApiError::no("account", id))?;
    precondition.check(account.version)?;
    Ok((change, account))
}

fn check_prefix(checks: &mut Checks, prefix: Option<&str>) {
    if prefix.is_some_and(|p| !is_prefix(p)) {
        let detail = format!(
            "a lower-case letter, then lower-case letters and digits, {MAX_PREFIX} characters at most"
        );
        checks.fail("tokenPrefix", detail);
    }
}
