//! `/v1/edge/usage`: the guards report what they counted. Signed with the push secret.

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::HeaderMap;
use shared::message::{MAX_USAGE_ROWS, UsageBatch, UsageReceipt};
use shared::webhook::{self, ID_HEADER, SIGNATURE_HEADER, SignedHeaders, TIMESTAMP_HEADER};
use utoipa_axum::router::UtoipaMethodRouterExt;
use utoipa_axum::routes;

use crate::error::ApiError;
use crate::http::body::{self, Reply};
use crate::openapi::Routes;
use crate::openapi::answers::{Unauthorized, Unavailable};
use crate::openapi::schema::schema;
use crate::state::AppState;
use crate::store::usage::{self, Taken};
use crate::validate::Checks;

/// The largest batch, in bytes.
const MAX_BODY: usize = 4 * 1024 * 1024;
/// The longest id or code in a batch, in bytes: more than any that an edge makes.
const MAX_NAME: usize = 128;
const MAX_SEQ: u64 = (u32::MAX as u64) << 20;

/// The routes.
pub fn router() -> Routes {
    Routes::new().with(routes!(take).layer(DefaultBodyLimit::max(MAX_BODY)))
}

schema! {
    /// An id or a code.
    NameText = text(0, MAX_NAME);
    /// Minutes since the Unix epoch, when the requests arrived.
    Minute = count();
    /// First digit of the status that the callers got.
    Class = whole(0, u8::MAX.into());
    /// The batch's number: counts up from 1.
    Seq = count().minimum(Some(1_u32)).maximum(Some(MAX_SEQ as usize));
    /// Milliseconds since the Unix epoch.
    LastAt = count();
    /// What was counted of a key in a minute.
    UsageRow = object([
        ("key", of::<NameText>(), true),
        ("api", of::<NameText>(), true),
        ("minute", of::<Minute>(), true),
        ("code", of::<NameText>(), true),
        ("class", of::<Class>(), true),
        ("count", count().into(), true),
        ("cost", count().into(), true),
        ("latencyMs", count().into(), false),
        ("lastAt", of::<LastAt>(), false),
    ]).additional_properties(OPEN);
    /// What a guard counted. Members that are not known are let be: an edge may be newer.
    Batch as "UsageBatch" = object([
        ("guard", text(1, MAX_NAME).into(), true),
        ("account", of::<NameText>(), true),
        ("seq", of::<Seq>(), true),
        ("rows", list::<UsageRow>(MAX_USAGE_ROWS).into(), true),
    ]).additional_properties(OPEN);
    /// The batch is kept, or was before.
    Receipt as "UsageReceipt" = object([("seq", of::<Seq>(), true)]);
}

/// Report usage
///
/// Counts a batch once. A repeated one is answered like the first, so that a guard whose answer got lost goes on.
#[utoipa::path(
    post, path = "/edge/usage", operation_id = "reportUsage", tag = "Edge",
    params(
        ("webhook-id" = String, Header, description = "The delivery's id."),
        ("webhook-timestamp" = String, Header, description = "When it was signed, in seconds since the Unix epoch."),
    ),
    request_body(content = Batch, example = json!({
        "guard": "g_5f0c", "account": "acc_00000000", "seq": 1,
        "rows": [{"key": "key_6fJq81Nn0sPz5cGhR2Wa", "api": "api_p7Rb2mXv81KqLs0d", "minute": 30000000, "code": "ok",
                  "class": 2, "count": 12, "cost": 12, "latencyMs": 340, "lastAt": 1800000001500u64}],
    })),
    responses((status = 200, description = "The batch is kept.", body = Receipt), Unauthorized, Unavailable),
    security(("edgeSignature" = [])),
)]
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
    if !(1..=MAX_SEQ).contains(&batch.seq) {
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
