//! `GET /v1/audit-log/verify`: whether the log is as it was written.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::Admin;
use crate::error::ApiError;
use crate::http::body::Reply;
use crate::openapi::answers::NotFound;
use crate::openapi::names::AuditId;
use crate::openapi::schema::schema;
use crate::state::AppState;
use crate::store::{accounts, audit};

/// How many entries are in memory at a time.
const BATCH: u32 = 1000;

schema! {
    /// The hash of an entry; empty without any.
    LastHash = form("^([0-9a-f]{64})?$").examples(["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]);
}

/// What was found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditVerification)]
#[serde(rename_all = "camelCase")]
pub struct Verified {
    /// Whether every entry follows from the one before it.
    valid: bool,
    /// How many entries do.
    entries: u64,
    /// The hash of the last one that does: kept elsewhere, it shows later whether entries are missing at the end.
    #[schema(value_type = LastHash)]
    hash: String,
    /// The first entry that does not.
    #[schema(required, value_type = Option<AuditId>)]
    broken_at: Option<String>,
}

/// Verify the audit log
///
/// Follows the chain of hashes from the first entry on. The chain runs through all accounts, so only the root account's
/// admins can ask.
#[utoipa::path(
    get, path = "/audit-log/verify", operation_id = "verifyAuditLog", tag = "Audit log",
    responses((status = 200, description = "Whether the log is as it was written.", body = Verified), NotFound),
    security(("adminToken" = ["audit.read"])),
)]
pub async fn verify(
    State(state): State<AppState>,
    admin: Admin,
) -> Result<Reply<Verified>, ApiError> {
    let mut conn = state.store().read().await?;
    let root = accounts::root(&mut conn).await?;
    if root.is_none_or(|root| root.id != admin.account) {
        return Err(ApiError::NotFound(
            "There is no such audit entry".to_owned(),
        ));
    }
    let (mut seq, mut hash) = (0, String::new());
    loop {
        let entries = audit::after(&mut conn, seq, BATCH).await?;
        if entries.is_empty() {
            break;
        }
        for entry in entries {
            if !entry.follows(seq, &hash)? {
                return Ok(Reply::ok(Verified {
                    valid: false,
                    entries: seq,
                    hash,
                    broken_at: Some(entry.id),
                }));
            }
            (seq, hash) = (entry.seq, entry.hash);
        }
    }
    Ok(Reply::ok(Verified {
        valid: true,
        entries: seq,
        hash,
        broken_at: None,
    }))
}
