//! Query strings and ids in paths.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::error::{ApiError, FieldError};
use crate::validate::Checks;

/// A query string, read into texts; unknown and repeated parameters are refused with 422.
#[derive(Debug, Clone, Copy)]
pub struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => {
                let text = rejection.body_text();
                let detail = text.rsplit_once(": ").map_or(text.as_str(), |(_, why)| why);
                Err(ApiError::Validation(vec![FieldError {
                    field: String::new(),
                    detail: format!("the query string can't be accepted: {detail}"),
                }]))
            }
        }
    }
}

/// The id in a path. Anything that can't be an id is left to be found nowhere.
#[derive(Debug, Clone)]
pub struct Id(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let id = Path::<String>::from_request_parts(parts, state)
            .await
            .map_or_else(|_| String::new(), |Path(id)| id);
        Ok(Self(if is_id(&id) { id } else { String::new() }))
    }
}

/// Whether a text has the characters and the length that ids have.
pub fn is_id(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// A parameter's number within bounds.
pub fn number(checks: &mut Checks, field: &str, text: &str, min: u32, max: u32) -> u32 {
    match text.parse() {
        Ok(number) => checks.number(field, number, min, max),
        Err(_) => {
            checks.fail(field, format!("must be a whole number, {min} to {max}"));
            min
        }
    }
}
