//! `GET /v1/me`: who calls.

use axum::extract::State;
use serde::Serialize;
use shared::permission::Permission;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::admin_tokens::TokenView;
use super::members::MemberView;
use crate::auth::Admin;
use crate::error::ApiError;
use crate::http::body::Reply;
use crate::openapi::Routes;
use crate::openapi::names::{AccountId, ManagementPermissions, Name, Permissions};
use crate::state::AppState;
use crate::store::{accounts, members};

/// The routes.
pub fn router() -> Routes {
    Routes::new().with(routes!(show))
}

/// Who calls.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Me {
    account: MyAccount,
    /// The member that the token stands for; `null`: it stands for none.
    #[schema(required)]
    member: Option<MemberView>,
    token: TokenView,
    /// What the token may do here, one by one.
    #[schema(value_type = ManagementPermissions)]
    permissions: Vec<&'static str>,
    /// What keys may do that the caller makes.
    #[schema(value_type = Permissions)]
    api_permissions: Vec<Permission>,
}

/// The account that the caller sees, with those below it.
#[derive(Debug, Serialize, ToSchema)]
struct MyAccount {
    #[schema(value_type = AccountId)]
    id: String,
    #[schema(value_type = Name)]
    name: String,
}

/// Show who calls
///
/// The token, its account and member, and what it may do.
#[utoipa::path(
    get, path = "/me", operation_id = "showMe", tag = "People",
    responses((status = 200, description = "The caller.", body = Me)),
    security(("adminToken" = [])),
)]
async fn show(State(state): State<AppState>, admin: Admin) -> Result<Reply<Me>, ApiError> {
    let mut conn = state.store().read().await?;
    let account = accounts::find(&mut conn, &admin.account, &admin.account)
        .await?
        .ok_or_else(|| ApiError::no("account", &admin.account))?;
    let member = match &admin.token.member_id {
        Some(id) => members::of_account(&mut conn, &account.id, id).await?,
        None => None,
    };
    Ok(Reply::ok(Me {
        account: MyAccount {
            id: account.id,
            name: account.name,
        },
        member: member.map(MemberView::of),
        permissions: admin.rights.management_permissions(),
        api_permissions: admin.rights.api,
        token: TokenView::of(admin.token),
    }))
}
