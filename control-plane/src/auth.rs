//! Who calls, and whether they may: [`guard`] stands before every handler and asks for what the operation's
//! documentation says; [`Admin`] tells the handler who passed.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use shared::permission::{Permission, allows};
use utoipa::openapi::OpenApi;

use crate::admin_token::AdminToken;
use crate::error::ApiError;
use crate::openapi::{self, Access};
use crate::rights::Rights;
use crate::state::AppState;
use crate::store::admin_tokens::{self, TokenRow};

/// What every operation needs, by path and method: of its documentation, and so told once.
#[derive(Clone)]
pub struct Gate {
    state: AppState,
    needs: Arc<HashMap<String, HashMap<Method, Option<Access>>>>,
}

impl Gate {
    /// The gate of the operations that a document describes.
    pub fn new(state: AppState, document: &OpenApi) -> Self {
        let mut needs: HashMap<String, HashMap<Method, Option<Access>>> = HashMap::new();
        for route in openapi::routes(document) {
            let methods = needs.entry(route.path).or_default();
            methods.insert(route.method, route.access);
        }
        Self {
            state,
            needs: Arc::new(needs),
        }
    }

    /// What the operation of a request asks for; `None`: it is for everybody, or the router refuses it.
    fn need(&self, request: &Request) -> Result<Option<Need>, ApiError> {
        let closed = |what| {
            Err(ApiError::Internal(anyhow::anyhow!(
                "{what}: it stays closed"
            )))
        };
        let path = request.extensions().get::<MatchedPath>();
        let Some(methods) = path.and_then(|path| self.needs.get(path.as_str())) else {
            return closed("the route is not documented");
        };
        let method = match *request.method() {
            // Is answered by the handler of GET.
            Method::HEAD => &Method::GET,
            ref method => method,
        };
        match methods.get(method) {
            None | Some(Some(Access::Public | Access::Edge | Access::GitHub)) => Ok(None),
            Some(None) => closed("the documentation does not say who may use the operation"),
            Some(Some(Access::AnyAdmin)) => Ok(Some(Need::AnyAdmin)),
            Some(Some(Access::Admin(permission))) => Ok(Some(Need::Permission(permission.clone()))),
        }
    }
}

/// What an operation for admins asks for.
enum Need {
    AnyAdmin,
    Permission(Permission),
}

/// Lets a request through to its handler if its caller may do that; nothing of its body was read then.
pub async fn guard(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let need = match gate.need(&request) {
        Ok(Some(need)) => need,
        Ok(None) => return next.run(request).await,
        Err(error) => return error.into_response(),
    };
    match Admin::of(&gate.state, request.headers(), &need).await {
        Ok(admin) => {
            request.extensions_mut().insert(admin);
            next.run(request).await
        }
        Err(error) => error.into_response(),
    }
}

/// An admin, by a valid `Authorization: Bearer kwa_…`.
///
/// An admin sees and changes the token's account and those below it; everything else does not exist for them.
#[derive(Debug, Clone)]
pub struct Admin {
    /// The token's account.
    pub account: String,
    /// The token.
    pub token: TokenRow,
    /// What the token may do, as its role and its member's role are now.
    pub rights: Rights,
}

impl Admin {
    async fn of(state: &AppState, headers: &HeaderMap, need: &Need) -> Result<Self, ApiError> {
        let token = presented(headers)?;
        let now = state.now();
        let mut conn = state.store().read().await?;
        let holder = admin_tokens::find(&mut conn, &token, now)
            .await?
            .ok_or(ApiError::Unauthorized("The admin token is not valid"))?;
        drop(conn);
        if holder.note_use {
            let mut tx = state.store().write().await?;
            admin_tokens::used(&mut tx, &token, now).await?;
            tx.commit().await?;
        }
        if let Need::Permission(permission) = need
            && !allows(&holder.rights.management, permission)
        {
            let detail = format!("The admin token lacks the permission {permission}");
            return Err(ApiError::Forbidden(detail));
        }
        Ok(Self {
            account: holder.token.account_id.clone(),
            token: holder.token,
            rights: holder.rights,
        })
    }

    /// Nobody gives rights that they don't have, nor changes somebody or something that has more than they.
    ///
    /// # Errors
    /// [`ApiError::Forbidden`], with the first right that is lacking.
    pub fn outranks(&self, rights: &Rights) -> Result<(), ApiError> {
        match self.rights.lack(rights) {
            None => Ok(()),
            Some(lack) => Err(ApiError::Forbidden(format!(
                "The admin token lacks {lack}, which this would give or touch"
            ))),
        }
    }

    /// Nobody makes keys, or tokens of keys, that may do more than their own role's keys.
    ///
    /// # Errors
    /// [`ApiError::Forbidden`], with the first permission that is lacking.
    pub fn may_give_keys(&self, permissions: &[Permission]) -> Result<(), ApiError> {
        self.outranks(&Rights {
            management: Vec::new(),
            api: permissions.to_vec(),
        })
    }
}

impl FromRequestParts<AppState> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, ApiError> {
        let admin = parts.extensions.get::<Self>().cloned();
        admin.ok_or_else(|| {
            ApiError::Internal(anyhow::anyhow!(
                "an operation that anybody may use asks for an admin: it stays closed"
            ))
        })
    }
}

fn presented(headers: &HeaderMap) -> Result<AdminToken, ApiError> {
    let missing = ApiError::Unauthorized(
        "An admin token is needed, in the header `Authorization: Bearer kwa_…`",
    );
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(missing);
    };
    let text = value.to_str().unwrap_or_default().trim();
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
            AdminToken::parse(token.trim())
                .map_err(|_| ApiError::Unauthorized("The admin token is not valid"))
        }
        _ => Err(missing),
    }
}
