//! Who calls, and whether they may: [`guard`] stands before every handler and asks for what the operation's
//! documentation says; [`Admin`] tells the handler who passed.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use shared::permission::{Permission, allows};
use utoipa::openapi::OpenApi;

use crate::admin_token::AdminToken;
use crate::audit::{Actor, Caller};
use crate::error::ApiError;
use crate::http::client::Client;
use crate::http::client_address::ClientAddress;
use crate::metrics::LoginFailure;
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
pub async fn guard(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let need = match gate.need(&request) {
        Ok(Some(need)) => need,
        Ok(None) => return next.run(request).await,
        Err(error) => return error.into_response(),
    };
    let (mut parts, body) = request.into_parts();
    match Admin::with(&gate.state, &mut parts, &need).await {
        Ok(admin) => {
            parts.extensions.insert(admin);
            next.run(Request::from_parts(parts, body)).await
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
    /// What a change is told of the call.
    pub caller: Caller,
}

impl Admin {
    /// The admin who sent a request, if they may do what it needs.
    async fn with(state: &AppState, parts: &mut Parts, need: &Need) -> Result<Self, ApiError> {
        let admin = Self::logged_in(state, parts).await?;
        match need {
            Need::Permission(permission) if !allows(&admin.rights.management, permission) => {
                let detail = format!("The admin token lacks the permission {permission}");
                Err(ApiError::Forbidden(detail))
            }
            _ => Ok(admin),
        }
    }

    /// The admin who sent a request, whatever they may do. Who fails too often is not listened to for a while.
    ///
    /// # Errors
    /// Without a valid token, and after too many without.
    pub async fn logged_in(state: &AppState, parts: &mut Parts) -> Result<Self, ApiError> {
        let Ok(client) = ClientAddress::from_request_parts(parts, state).await;
        let token = match presented(parts) {
            Presented::Nothing => {
                state.metrics().login_failed(LoginFailure::Missing);
                return Err(ApiError::Unauthorized(
                    "An admin token is needed, in the header `Authorization: Bearer kwa_…`",
                ));
            }
            Presented::Nonsense => None,
            Presented::Token(token) => Some(token),
        };
        let hash = token.as_ref().map(AdminToken::hash);
        let limit = state.login_limit();
        limit.admit(client, hash.as_deref()).map_err(|wait| {
            state.metrics().login_failed(LoginFailure::TooMany);
            ApiError::TooManyAttempts(wait)
        })?;
        let found = match &token {
            Some(token) => Self::find(state, token, parts).await?,
            None => None,
        };
        match (found, hash) {
            (Some(admin), Some(hash)) => {
                limit.succeeded(&hash);
                Ok(admin)
            }
            (_, hash) => {
                limit.failed(client, hash.as_deref());
                state.metrics().login_failed(LoginFailure::Invalid);
                Err(ApiError::Unauthorized("The admin token is not valid"))
            }
        }
    }

    async fn find(
        state: &AppState,
        token: &AdminToken,
        parts: &Parts,
    ) -> Result<Option<Self>, ApiError> {
        let now = state.now();
        let mut conn = state.store().read().await?;
        let Some(holder) = admin_tokens::find(&mut conn, token, now).await? else {
            return Ok(None);
        };
        drop(conn);
        if holder.note_use {
            let mut tx = state.store().write().await?;
            admin_tokens::used(&mut tx, token, now).await?;
            tx.commit().await?;
        }
        Ok(Some(Self {
            account: holder.token.account_id.clone(),
            caller: Caller {
                actor: Actor::Admin {
                    token_id: holder.token.id.clone(),
                    token_name: holder.token.name.clone(),
                    member_id: holder.token.member_id.clone(),
                },
                client: Client::of(parts),
                ticket: None,
            },
            token: holder.token,
            rights: holder.rights,
        }))
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

/// The token that a request presents, valid or not.
pub fn token(parts: &Parts) -> Option<AdminToken> {
    match presented(parts) {
        Presented::Token(token) => Some(token),
        Presented::Nothing | Presented::Nonsense => None,
    }
}

/// What came as a credential.
enum Presented {
    Nothing,
    Nonsense,
    Token(AdminToken),
}

fn presented(parts: &Parts) -> Presented {
    let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Presented::Nothing;
    };
    let text = value.to_str().unwrap_or_default().trim();
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
            AdminToken::parse(token.trim()).map_or(Presented::Nonsense, Presented::Token)
        }
        _ => Presented::Nothing,
    }
}
