//! `/v1/edge/usage`: the guards report what they counted. Signed with the push secret.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::HeaderMap;
use axum::routing::post;
use shared::message::{MAX_USAGE_ROWS, UsageBatch, UsageReceipt};
use shared::webhook::{self, ID_HEADER, SIGNATURE_HEADER, SignedHeaders, TIMESTAMP_HEADER};

use crate::error::ApiError;
use crate::http::body::{self, Reply};
use crate::state::AppState;
use crate::store::usage::{self, Taken};
use crate::validate::Checks;

/// The largest batch, in bytes.
const MAX_BODY: usize = 4 * 1024 * 1024;
/// The longest id or code in a batch, in bytes: more than any that an edge makes.
const MAX_NAME: usize = 128;

/// The routes.
pub fn router() -> Router<AppState> {
    Router::new().route(
        "/edge/usage",
        post(take).layer(DefaultBodyLimit::max(MAX_BODY)),
    )
}

/// Counts a batch once. A repeated one is answered like the first, so that a guard whose answer got lost goes on.
async fn take(
    State(state): State<AppState>,
    request: Request,
) -> Result<Reply<UsageReceipt>, ApiError> {
    let headers = request.headers().clone();
    let body = body::bytes(request, &state, MAX_BODY).await?;
    let signed = SignedHeaders {
        id: text(&headers, ID_HEADER),
        timestamp: text(&headers, TIMESTAMP_HEADER),
        signature: text(&headers, SIGNATURE_HEADER),
    };
    // A replay within the tolerance repeats a batch, which its number tells.
    webhook::verify(state.push_secret(), signed, &body, state.now() / 1000)
        .map_err(|_| ApiError::Unauthorized("The signature is missing, old or does not match"))?;
    let batch: UsageBatch = body::parse(&body)?;
    check(&batch)?;

    let mut tx = state.store().write().await?;
    let (taken, seq) = usage::apply(&mut tx, &batch, state.now()).await?;
    tx.commit().await?;
    state.metrics().usage(taken);
    if let Taken::Counted { missing: 1.. } = taken {
        tracing::warn!(
            guard = batch.guard,
            seq = batch.seq,
            "usage batches are missing before this one"
        );
    }
    Ok(Reply::ok(UsageReceipt { seq }))
}

fn check(batch: &UsageBatch) -> Result<(), ApiError> {
    let mut checks = Checks::default();
    let mut name = |field: &str, text: &str| {
        if text.len() > MAX_NAME || text.chars().any(char::is_control) {
            checks.fail(
                field,
                format!("at most {MAX_NAME} bytes, no control characters"),
            );
        }
    };
    name("guard", &batch.guard);
    name("account", &batch.account);
    for (index, row) in batch.rows.iter().enumerate() {
        for text in [&row.cell.key, &row.cell.api, &row.cell.code] {
            name(&format!("rows[{index}]"), text);
        }
    }
    if batch.guard.is_empty() {
        checks.fail("guard", "is needed");
    }
    if !(1..=u64::from(u32::MAX) << 20).contains(&batch.seq) {
        checks.fail("seq", "counts up from 1");
    }
    if batch.rows.len() > MAX_USAGE_ROWS {
        checks.fail("rows", format!("at most {MAX_USAGE_ROWS}"));
    }
    checks.finish()
}

/// A header's text, if it was sent once.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}
