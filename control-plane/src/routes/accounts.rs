//! `/v1/accounts`: the tree of accounts.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde::{Deserialize, Serialize};
use shared::account::MAX_DEPTH;
use shared::token::{MAX_PREFIX, is_prefix};

use crate::audit::{Act, Audited, Target};
use crate::auth::Admin;
use crate::bootstrap::fresh_account_id;
use crate::error::ApiError;
use crate::http::body::{Body, Changed, Done, Reply, given};
use crate::http::page::{Page, PageRequest, Position};
use crate::http::params::{Id, Params};
use crate::http::precondition::Precondition;
use crate::state::AppState;
use crate::store::Change;
use crate::store::accounts::{self, Account};
use crate::timestamp::Timestamp;
use crate::validate::Checks;

const MAX_NAME: usize = 100;

/// The routes.
pub fn router() -> Router<AppState> {
    Router::new()
        .route("/accounts", get(list).post(create))
        .route("/accounts/{id}", get(show).patch(update).delete(remove))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CreateAccount {
    name: String,
    /// The account above; the token's own by default.
    #[serde(default, deserialize_with = "given")]
    parent_id: Option<String>,
    /// What its keys' tokens begin with; the parent's by default.
    #[serde(default, deserialize_with = "given")]
    token_prefix: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PatchAccount {
    #[serde(default, deserialize_with = "given")]
    name: Option<String>,
    #[serde(default, deserialize_with = "given")]
    token_prefix: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ListAccounts {
    parent: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// An account in JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountView {
    id: String,
    /// `null` for the topmost account that the caller sees.
    parent_id: Option<String>,
    name: String,
    token_prefix: String,
    created_at: Timestamp,
    updated_at: Timestamp,
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

#[derive(Debug, Serialize)]
struct ChangedAccount {
    account: AccountView,
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
