//! Who calls: the extractor that carries an admin token's rights.

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;

use crate::admin_token::AdminToken;
use crate::audit::{Actor, Caller};
use crate::error::ApiError;
use crate::http::client::Client;
use crate::http::client_address::ClientAddress;
use crate::metrics::LoginFailure;
use crate::state::AppState;
use crate::store::admin_tokens;

/// An admin, by a valid `Authorization: Bearer kwa_…`.
///
/// An admin sees and changes the token's account and those below it; everything else does not exist for them.
#[derive(Debug, Clone)]
pub struct Admin {
    /// The token's account.
    pub account: String,
    /// What a change is told of the call.
    pub caller: Caller,
}

impl FromRequestParts<AppState> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
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
}

impl Admin {
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
            account: holder.account_id,
            caller: Caller {
                actor: Actor::Admin {
                    token_id: holder.token_id,
                    token_name: holder.token_name,
                    member_id: None,
                },
                client: Client::of(parts),
                ticket: parts.extensions.get().cloned(),
            },
        }))
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
