//! What can go wrong in a request: the caller's mistakes, told in full, and ours, logged and not shown.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use shared::problem::Problem;
use utoipa::ToSchema;

use crate::http::precondition::etag;

/// What ids of ours begin with.
const ID_PREFIXES: [&str; 8] = [
    "acc_", "api_", "aud_", "imp_", "key_", "mem_", "role_", "tok_",
];

/// The answer to a request that failed.
#[derive(Debug)]
pub enum ApiError {
    /// No valid admin token, or no valid signature.
    Unauthorized(&'static str),
    /// Known, but not allowed.
    Forbidden(String),
    /// There is no such thing, or it is outside the token's account.
    NotFound(String),
    /// The path has other methods.
    MethodNotAllowed,
    /// It contradicts what is there.
    Conflict(String),
    /// Fields that can't be accepted.
    Validation(Vec<FieldError>),
    /// The body is not JSON.
    InvalidJson(String),
    /// The body is not said to be JSON.
    UnsupportedMediaType,
    /// The body is larger than this many bytes.
    PayloadTooLarge(usize),
    /// The caller wants to change another version than this one, which is there.
    PreconditionFailed(u64),
    /// The first call with the same `Idempotency-Key` is under way.
    InProgress,
    /// The `Idempotency-Key` belongs to another request.
    KeyReused,
    /// The request is not understood at all.
    BadRequest(String),
    /// The database is out of reach or overloaded; a retry may succeed.
    Unavailable,
    /// Parts of the server that can't serve at the moment, by name.
    NotReady(Vec<&'static str>),
    /// Too many invalid admin tokens came from this client; it may try again after this time.
    TooManyAttempts(Duration),
    /// Our mistake.
    Internal(anyhow::Error),
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Where: `routes[2].path`. Empty: the body or the query string as a whole.
    #[schema(examples("rateLimits.requestsPerMinute"))]
    pub field: String,
    /// What, for people.
    #[schema(examples("must be 1 to 1000000000"))]
    pub detail: String,
}

/// Travels in a response's extensions to the outermost layer, which knows the request's id.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The body to be.
    pub problem: Problem,
    /// For the log only.
    pub cause: Option<Arc<anyhow::Error>>,
}

impl ApiError {
    /// There is no such `thing` within reach of the token.
    pub fn no(thing: &str, id: &str) -> Self {
        // Only ids of ours are repeated: a path may hold anything, a token for example.
        let shown = id.len() <= 32 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let is_id = shown && ID_PREFIXES.iter().any(|p| id.starts_with(p));
        Self::NotFound(if is_id {
            format!("There is no {thing} {id}")
        } else {
            format!("There is no such {thing}")
        })
    }

    /// The body to be, but for the request's id.
    pub fn problem(&self) -> Problem {
        match self {
            Self::Unauthorized(detail) => {
                Problem::new(401, "unauthorized", "Unauthorized", *detail)
            }
            Self::Forbidden(detail) => Problem::new(403, "forbidden", "Forbidden", detail),
            Self::NotFound(detail) => Problem::new(404, "not_found", "Not found", detail),
            Self::MethodNotAllowed => Problem::new(
                405,
                "method_not_allowed",
                "Method not allowed",
                "This path does not have that method; the Allow header names those it has",
            ),
            Self::Conflict(detail) => Problem::new(409, "conflict", "Conflict", detail),
            Self::Validation(errors) => validation(errors),
            Self::InvalidJson(detail) => Problem::new(400, "invalid_json", "Invalid JSON", detail),
            Self::UnsupportedMediaType => Problem::new(
                415,
                "unsupported_media_type",
                "Unsupported media type",
                "The body must be JSON, with the header `Content-Type: application/json`",
            ),
            Self::PayloadTooLarge(limit) => Problem::new(
                413,
                "payload_too_large",
                "Payload too large",
                format!("The body may have at most {limit} bytes"),
            ),
            Self::PreconditionFailed(version) => Problem::new(
                412,
                "precondition_failed",
                "Precondition failed",
                format!("It was changed meanwhile: its version is {version}, which is not what If-Match wants"),
            )
            .with("currentVersion", *version),
            Self::InProgress => Problem::new(
                409,
                "idempotency_in_progress",
                "In progress",
                "The first call with this Idempotency-Key is still under way; ask again for its answer",
            ),
            Self::KeyReused => Problem::new(
                422,
                "idempotency_key_reused",
                "Idempotency key reused",
                "This Idempotency-Key was used for another request; a new request needs a new key",
            ),
            Self::BadRequest(detail) => Problem::new(400, "bad_request", "Bad request", detail),
            Self::Unavailable => Problem::new(
                503,
                "unavailable",
                "Unavailable",
                "The database can't be reached at the moment",
            ),
            Self::NotReady(parts) => Problem::new(
                503,
                "unavailable",
                "Unavailable",
                format!("Not ready: {}", parts.join(", ")),
            )
            .with(
                "parts",
                parts.iter().copied().collect::<serde_json::Value>(),
            ),
            Self::TooManyAttempts(_) => Problem::new(
                429,
                "too_many_attempts",
                "Too many attempts",
                "Too many admin tokens that are not valid came from this address; try again later",
            ),
            Self::Internal(_) => internal(),
        }
    }
}

/// The problem shown for a mistake of ours.
pub fn internal() -> Problem {
    Problem::new(
        500,
        "internal",
        "Internal error",
        "Something went wrong on the server; the log has it under this request id",
    )
}

fn validation(errors: &[FieldError]) -> Problem {
    let detail = match errors {
        [one] if one.field.is_empty() => one.detail.clone(),
        [one] => format!("{}: {}", one.field, one.detail),
        many => format!("{} fields can't be accepted", many.len()),
    };
    Problem::new(422, "validation_failed", "Validation failed", detail)
        .with("errors", serde_json::to_value(errors).unwrap_or_default())
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let problem = self.problem();
        let status =
            StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        let headers = response.headers_mut();
        match &self {
            Self::Unauthorized(_) => {
                headers.insert(
                    header::WWW_AUTHENTICATE,
                    HeaderValue::from_static("Bearer realm=\"keyward\""),
                );
            }
            Self::PreconditionFailed(version) => {
                headers.insert(header::ETAG, etag(*version));
            }
            Self::Unavailable | Self::InProgress | Self::NotReady(_) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Self::TooManyAttempts(wait) => {
                // Whole seconds, so that the moment named is not too early.
                let seconds = wait.as_millis().div_ceil(1000).max(1);
                let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
                headers.insert(header::RETRY_AFTER, seconds.into());
            }
            _ => {}
        }
        let cause = match self {
            Self::Internal(error) => Some(Arc::new(error)),
            _ => None,
        };
        response.extensions_mut().insert(Failure { problem, cause });
        response
    }
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        if is_passing(&error) {
            tracing::warn!(error = error.to_string(), "the database can't be reached");
            Self::Unavailable
        } else {
            Self::Internal(error.into())
        }
    }
}

/// Whether a later attempt may succeed: the database is out of reach, overloaded, or stopped waiting for a lock.
fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Io(_)
        | sqlx::Error::Tls(_) => true,
        sqlx::Error::Database(cause) => cause.code().is_some_and(|code| {
            // PostgreSQL: serialization failure, deadlock, lock or statement timeout, and class 57P, a server that is
            // shutting down or starting; SQLite: busy.
            matches!(
                code.as_ref(),
                "40001" | "40P01" | "55P03" | "57014" | "5" | "517"
            ) || code.starts_with("57P")
                || code.starts_with("08")
        }),
        _ => false,
    }
}

impl From<anyhow::Error> for ApiError {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<sqlx::Error>() {
            Ok(error) => error.into(),
            Err(error) => Self::Internal(error),
        }
    }
}
