//! `GET /v1/audit-log/export`: every entry found, one JSON document a line, oldest first.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;

use super::view::EntryView;
use super::{ListEntries, Text, reachable};
use crate::auth::Admin;
use crate::error::ApiError;
use crate::http::ndjson::{self, Lines};
use crate::http::params::Params;
use crate::openapi::answers::NotFound;
use crate::openapi::names::AccountId;
use crate::state::AppState;
use crate::store::audit::{self, AuditFilter};
use crate::timestamp::Timestamp;
use crate::validate::Checks;

/// How many entries are in memory at a time.
const BATCH: u32 = 200;

/// The query string: that of the list, without pages.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExportEntries {
    /// Only of this account, and not of those below it.
    #[param(inline, value_type = Option<AccountId>)]
    account: Option<String>,
    /// Only by this token (id or name), this member (id), or `system`, `github`, `holder`.
    #[param(inline, value_type = Option<Text>)]
    actor: Option<String>,
    /// Only actions whose name begins with this: `key.` or `key.rotate`.
    #[param(inline, value_type = Option<Text>)]
    action: Option<String>,
    /// Only about what has this id.
    #[param(inline, value_type = Option<Text>)]
    target: Option<String>,
    /// Only at this time or later.
    #[param(inline, value_type = Option<Timestamp>)]
    from: Option<String>,
    /// Only before this time.
    #[param(inline, value_type = Option<Timestamp>)]
    to: Option<String>,
}

/// Export audit entries
///
/// Every entry up to now, one JSON document a line, oldest first. If they can't all be read the answer breaks off, so that
/// what was received is known to be part.
#[utoipa::path(
    get, path = "/audit-log/export", operation_id = "exportAuditEntries", tag = "Audit log",
    params(ExportEntries),
    responses(
        (status = 200, description = "The entries, one a line.", body = EntryView, content_type = "application/x-ndjson"),
        NotFound,
    ),
    security(("adminToken" = ["audit.read"])),
)]
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
    // Entries that come while this is sent are left for the next.
    let last = audit::last(&mut conn).await?;
    drop(conn);
    let source = Arc::new((state, admin.account, filter));
    let page = move |after: u64| {
        let source = Arc::clone(&source);
        async move { page_between(&source.0, &source.1, &source.2, (after, last)).await }
    };
    ndjson::answer(0, page).await
}

/// The entries between two places, as many as are in memory at a time, and the place of the last.
async fn page_between(
    state: &AppState,
    holder: &str,
    filter: &AuditFilter,
    span: (u64, u64),
) -> Result<Option<(Lines, u64)>, ApiError> {
    let mut conn = state.store().read().await?;
    let entries = audit::between(&mut conn, holder, filter, span, BATCH).await?;
    drop(conn);
    let Some(last) = entries.last().map(|entry| entry.seq) else {
        return Ok(None);
    };
    let mut lines = Lines::default();
    for entry in entries {
        lines.add(&EntryView::of(entry))?;
    }
    Ok(Some((lines, last)))
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
