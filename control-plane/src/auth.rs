//! Who calls: the extractor that carries an admin token's rights.

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;

use crate::admin_token::AdminToken;
use crate::audit::{Actor, Caller};
use crate::error::ApiError;
use crate::http::client::Client;
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
        let token = presented(parts)?;
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
        Ok(Self {
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
        })
    }
}

/// The token that a request presents, valid or not.
///
/// # Errors
/// When there is none, or more than one, or it can't be one.
pub fn presented(parts: &Parts) -> Result<AdminToken, ApiError> {
    let missing = ApiError::Unauthorized(
        "An admin token is needed, in the header `Authorization: Bearer kwa_…`",
    );
    let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
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
