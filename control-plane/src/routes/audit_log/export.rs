//! `GET /v1/audit-log/export`: every entry found, one JSON document a line, oldest first.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;

use super::view::EntryView;
use super::{ListEntries, reachable};
use crate::auth::Admin;
use crate::error::ApiError;
use crate::http::params::Params;
use crate::state::AppState;
use crate::store::Store;
use crate::store::audit::{self, AuditFilter};
use crate::validate::Checks;

/// How many entries are in memory at a time.
const BATCH: u32 = 200;

/// The query string.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExportEntries {
    account: Option<String>,
    actor: Option<String>,
    action: Option<String>,
    target: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

/// What is still to be sent.
struct Rest {
    store: Store,
    holder: String,
    filter: AuditFilter,
    /// The place of the last entry that was sent.
    sent: u64,
    /// The place of the last entry to be sent.
    last: u64,
}

/// The entries up to now. If they can't all be read the answer breaks off, so that what was received is known to be part.
pub async fn export(
    State(state): State<AppState>,
    admin: Admin,
    Params(query): Params<ExportEntries>,
) -> Result<Response, ApiError> {
    let mut checks = Checks::default();
    let filter = query.filter(&mut checks);
    checks.finish()?;
    let mut conn = state.store().read().await?;
    reachable(&mut conn, &admin, &filter).await?;
    let rest = Rest {
        store: state.store().clone(),
        holder: admin.account,
        filter,
        sent: 0,
        last: audit::last(&mut conn).await?,
    };
    drop(conn);
    let lines = stream::try_unfold(rest, Rest::next);
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, Body::from_stream(lines)).into_response())
}

impl ExportEntries {
    fn filter(self, checks: &mut Checks) -> AuditFilter {
        let list = ListEntries {
            account: self.account,
            actor: self.actor,
            action: self.action,
            target: self.target,
            from: self.from,
            to: self.to,
            limit: None,
            cursor: None,
        };
        list.filter(checks)
    }
}

impl Rest {
    /// The next lines; `None` after the last.
    async fn next(mut self) -> anyhow::Result<Option<(Bytes, Self)>> {
        // No connection is held while the client reads.
        let mut conn = self.store.read().await?;
        let span = (self.sent, self.last);
        let entries = audit::between(&mut conn, &self.holder, &self.filter, span, BATCH).await?;
        drop(conn);
        let Some(newest) = entries.last().map(|entry| entry.seq) else {
            return Ok(None);
        };
        let mut lines = Vec::new();
        for entry in entries {
            serde_json::to_writer(&mut lines, &EntryView::of(entry))?;
            lines.push(b'\n');
        }
        self.sent = newest;
        Ok(Some((Bytes::from(lines), self)))
    }
}
