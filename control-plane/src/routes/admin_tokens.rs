//! `/v1/admin-tokens`: what admins show. A token stands for a member, or has a role of its own.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use shared::permission::Permission;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::keys::{Lifetime, check_expiry};
use super::members::rights_of_choice;
use crate::admin_token::AdminToken;
use crate::audit::{Act, Audited, Target};
use crate::auth::Admin;
use crate::entropy;
use crate::error::ApiError;
use crate::http::body::{Body, Changed, Reply, given};
use crate::http::page::{Cursor, Page, PageLimit, PageRequest, Position};
use crate::http::params::{Id, Params};
use crate::http::shown_once::ShownOnce;
use crate::openapi::Routes;
use crate::openapi::answers::NotFound;
use crate::openapi::names::{
    AccountId, AdminTokenText, IdempotencyKey, ManagementPermissions, MemberId, Name, RoleId,
    TokenId,
};
use crate::rights::{self, Rights};
use crate::state::AppState;
use crate::store::admin_tokens::{self, TokenRow};
use crate::store::{Conn, accounts, members, roles};
use crate::timestamp::Timestamp;
use crate::validate::{Checks, MAX_NAME};

/// The routes.
pub fn router() -> Routes {
    Routes::new()
        .with(routes!(list, create))
        .with(routes!(show, remove))
}

/// An admin token to be made: for a member, or with a role of its own.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CreateToken {
    #[schema(value_type = Name)]
    name: String,
    /// The account; the member's, or the token's own, by default.
    #[schema(value_type = AccountId)]
    #[serde(default, deserialize_with = "given")]
    account_id: Option<String>,
    /// For whom: it may do what the member's role says. Not beside `role`.
    #[schema(value_type = MemberId)]
    #[serde(default, deserialize_with = "given")]
    member_id: Option<String>,
    /// What it may do, if it is for no member.
    #[schema(value_type = RoleId)]
    #[serde(default, deserialize_with = "given")]
    role: Option<String>,
    /// Of what the role says, only these; all of it by default.
    #[schema(value_type = ManagementPermissions)]
    #[serde(default, deserialize_with = "given")]
    permissions: Option<Vec<String>>,
    #[schema(value_type = Lifetime)]
    #[serde(default, deserialize_with = "given")]
    expires_in: Option<String>,
    /// When it ends; `null`: never. Not beside `expiresIn`.
    #[schema(value_type = Option<Timestamp>)]
    #[serde(default)]
    expires_at: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ListTokens {
    /// Only tokens of this account.
    #[param(inline, value_type = Option<AccountId>)]
    account: Option<String>,
    /// Only tokens of this member.
    #[param(inline, value_type = Option<MemberId>)]
    member: Option<String>,
    #[param(inline, value_type = Option<PageLimit>)]
    limit: Option<String>,
    #[param(inline, value_type = Option<Cursor>)]
    cursor: Option<String>,
}

/// An admin token, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AdminToken)]
#[serde(rename_all = "camelCase")]
pub struct TokenView {
    #[schema(value_type = TokenId)]
    id: String,
    #[schema(value_type = AccountId)]
    account_id: String,
    #[schema(value_type = Name)]
    name: String,
    /// The member it stands for.
    #[schema(required, value_type = Option<MemberId>)]
    member_id: Option<String>,
    /// Its role: the member's, if it stands for one.
    #[schema(value_type = RoleId)]
    role: String,
    /// Of what the role says, only these; `null`: all of it.
    #[schema(required, value_type = Option<ManagementPermissions>)]
    permissions: Option<Vec<Permission>>,
    /// The token that made it; `null`: none did.
    #[schema(required, value_type = Option<TokenId>)]
    created_by: Option<String>,
    created_at: Timestamp,
    /// When it was last used, within a minute; `null`: not yet.
    #[schema(required)]
    last_used_at: Option<Timestamp>,
    /// When it ends; `null`: never.
    #[schema(required)]
    expires_at: Option<Timestamp>,
}

impl TokenView {
    /// The view of a token.
    pub fn of(token: TokenRow) -> Self {
        Self {
            id: token.id,
            account_id: token.account_id,
            name: token.name,
            member_id: token.member_id,
            role: token.role,
            permissions: token.scope,
            created_by: token.created_by,
            created_at: Timestamp(token.created_at),
            last_used_at: token.last_used_at.map(Timestamp),
            expires_at: token.expires_at.map(Timestamp),
        }
    }
}

/// An admin token with its secret: no other answer ever holds it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct NewAdminToken {
    #[schema(value_type = AdminTokenText)]
    token: ShownOnce,
    admin_token: TokenView,
}

impl Changed for NewAdminToken {
    fn version(&self) -> Option<u64> {
        None
    }

    fn set_propagated(&mut self, _: bool) {}
}

impl Audited for TokenView {
    fn target(&self) -> Target {
        Target {
            kind: "token",
            id: self.id.clone(),
            name: self.name.clone(),
            account: self.account_id.clone(),
        }
    }
}

/// The answer to a revocation.
#[derive(Debug, Serialize, ToSchema)]
struct RevokedToken {
    /// Always true: it is worth nothing from now on.
    revoked: bool,
}

impl Changed for RevokedToken {
    fn version(&self) -> Option<u64> {
        None
    }

    fn set_propagated(&mut self, _: bool) {}
}

/// List admin tokens
///
/// Those of the caller's account and of the accounts below it, newest first, expired ones included, revoked ones not.
#[utoipa::path(
    get, path = "/admin-tokens", operation_id = "listAdminTokens", tag = "People",
    params(ListTokens),
    responses((status = 200, description = "A page of tokens.", body = Page<TokenView>), NotFound),
    security(("adminToken" = ["tokens.read"])),
)]
async fn list(
    State(state): State<AppState>,
    admin: Admin,
    Params(query): Params<ListTokens>,
) -> Result<Reply<Page<TokenView>>, ApiError> {
    let mut checks = Checks::default();
    let page = PageRequest::check(&mut checks, query.limit.as_deref(), query.cursor.as_deref());
    checks.finish()?;
    let mut conn = state.store().read().await?;
    let (account, member) = (query.account.as_deref(), query.member.as_deref());
    if let Some(account) = account {
        accounts::find(&mut conn, &admin.account, account)
            .await?
            .ok_or_else(|| ApiError::no("account", account))?;
    }
    if let Some(member) = member {
        members::find(&mut conn, &admin.account, member)
            .await?
            .ok_or_else(|| ApiError::no("member", member))?;
    }
    let rows = admin_tokens::list(&mut conn, &admin.account, account, member, &page).await?;
    let position = |token: &TokenRow| Position {
        created_at: token.created_at,
        id: token.id.clone(),
    };
    Ok(Reply::ok(page.page(rows, position, TokenView::of)))
}

/// Show an admin token
#[utoipa::path(
    get, path = "/admin-tokens/{id}", operation_id = "showAdminToken", tag = "People",
    params(("id" = inline(TokenId), Path)),
    responses((status = 200, description = "The token.", body = TokenView)),
    security(("adminToken" = ["tokens.read"])),
)]
async fn show(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
) -> Result<Reply<TokenView>, ApiError> {
    let mut conn = state.store().read().await?;
    let token = admin_tokens::by_id(&mut conn, &admin.account, &id)
        .await?
        .ok_or_else(|| ApiError::no("admin token", &id))?;
    Ok(Reply::ok(TokenView::of(token)))
}

/// Create an admin token
///
/// The answer holds the token: it is shown this once. It may do no more than the caller.
#[utoipa::path(
    post, path = "/admin-tokens", operation_id = "createAdminToken", tag = "People",
    params(IdempotencyKey),
    request_body(content = CreateToken, examples(
        ("pipeline" = (summary = "Sees keys for 90 days", value = json!({
            "name": "Nightly report", "role": "viewer", "permissions": ["keys.read", "usage.read"], "expiresIn": "90d",
        }))),
    )),
    responses((status = 201, description = "The token is there.", body = NewAdminToken), NotFound),
    security(("adminToken" = ["tokens.write"])),
)]
async fn create(
    State(state): State<AppState>,
    admin: Admin,
    Body(input): Body<CreateToken>,
) -> Result<Reply<NewAdminToken>, ApiError> {
    let mut change = state.change(&admin).await?;
    let now = change.now();
    let mut checks = Checks::default();
    let name = checks.text("name", &input.name, MAX_NAME);
    let scope = input
        .permissions
        .as_ref()
        .map(|texts| rights::check_management(&mut checks, "permissions", texts));
    let expires_at = input.expires_at.clone().map(Some);
    let expires_at = check_expiry(&mut checks, input.expires_in.clone(), expires_at, now).flatten();
    match (&input.member_id, &input.role) {
        (Some(_), Some(_)) => checks.fail("memberId", "give either memberId or role"),
        (None, None) => checks.fail("role", "is needed, or memberId"),
        _ => {}
    }
    checks.finish()?;

    let (account_id, role, rights) = input.holder(change.conn(), &admin).await?;
    admin.outranks(&rights.narrowed(scope.as_deref()))?;
    let token = AdminToken::mint()?;
    let row = TokenRow {
        id: shared::id::admin_token(&*entropy::draw()?),
        account_id,
        name,
        member_id: input.member_id,
        role,
        scope,
        created_by: Some(admin.token.id),
        created_at: now,
        last_used_at: None,
        expires_at,
    };
    admin_tokens::insert(change.conn(), &token, &row).await?;
    let admin_token = TokenView::of(row);
    let act = Act::create(&admin_token)?;
    let token = ShownOnce::new(token.expose());
    let reply = Reply::created(NewAdminToken { token, admin_token });
    state.commit(change, act, reply).await
}

/// Revoke an admin token
///
/// It is worth nothing from now on. It may do no more than the caller.
#[utoipa::path(
    delete, path = "/admin-tokens/{id}", operation_id = "deleteAdminToken", tag = "People",
    params(("id" = inline(TokenId), Path)),
    responses((status = 200, description = "The token is revoked.", body = RevokedToken)),
    security(("adminToken" = ["tokens.write"])),
)]
async fn remove(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
) -> Result<Reply<RevokedToken>, ApiError> {
    let mut change = state.change(&admin).await?;
    let now = change.now();
    let token = admin_tokens::by_id(change.conn(), &admin.account, &id)
        .await?
        .ok_or_else(|| ApiError::no("admin token", &id))?;
    let rights = roles::rights(change.conn(), &token.account_id, &token.role).await?;
    admin.outranks(&rights.unwrap_or_default().narrowed(token.scope.as_deref()))?;
    admin_tokens::revoke(change.conn(), &id, now).await?;
    let act = Act::delete(&TokenView::of(token))?;
    let reply = Reply::ok(RevokedToken { revoked: true });
    state.commit(change, act, reply).await
}

impl CreateToken {
    /// The account, the role as it is kept with the token, and what that role may do now.
    async fn holder(
        &self,
        conn: &mut Conn,
        admin: &Admin,
    ) -> Result<(String, String, Rights), ApiError> {
        let account = self.account_id.as_ref().unwrap_or(&admin.account);
        let account = accounts::find(conn, &admin.account, account)
            .await?
            .ok_or_else(|| ApiError::no("account", account))?
            .id;
        let Some(id) = &self.member_id else {
            let role = self.role.clone().unwrap_or_default();
            let rights = rights_of_choice(conn, &account, &role).await?;
            return Ok((account, role, rights));
        };
        let member = members::find(conn, &admin.account, id)
            .await?
            .ok_or_else(|| ApiError::no("member", id))?;
        if self.account_id.is_some() && member.account_id != account {
            let mut checks = Checks::default();
            checks.fail("accountId", "is not the account of the member");
            return Err(checks.into_error());
        }
        let rights = roles::rights(conn, &member.account_id, &member.role).await?;
        Ok((member.account_id, member.role, rights.unwrap_or_default()))
    }
}
