//! `/v1/audit-log`: what admins did, and the server by itself. Nothing changes or removes an entry.

mod export;
mod verify;
mod view;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde::Deserialize;

use crate::auth::Admin;
use crate::error::ApiError;
use crate::http::body::Reply;
use crate::http::page::{Page, PageRequest, Position};
use crate::http::params::{Id, Params};
use crate::state::AppState;
use crate::store::audit::{self, AuditFilter, Entry};
use crate::store::{Conn, accounts};
use crate::timestamp::Timestamp;
use crate::validate::Checks;
use view::EntryView;

const MAX_TEXT: usize = 100;

/// The routes.
pub fn router() -> Router<AppState> {
    Router::new()
        .route("/audit-log", get(list))
        .route("/audit-log/export", get(export::export))
        .route("/audit-log/verify", get(verify::verify))
        .route("/audit-log/{id}", get(show))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ListEntries {
    account: Option<String>,
    actor: Option<String>,
    action: Option<String>,
    target: Option<String>,
    from: Option<String>,
    to: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

async fn list(
    State(state): State<AppState>,
    admin: Admin,
    Params(query): Params<ListEntries>,
) -> Result<Reply<Page<EntryView>>, ApiError> {
    let mut checks = Checks::default();
    let page = PageRequest::check(&mut checks, query.limit.as_deref(), query.cursor.as_deref());
    let filter = query.filter(&mut checks);
    checks.finish()?;
    let mut conn = state.store().read().await?;
    reachable(&mut conn, &admin, &filter).await?;
    let rows = audit::list(&mut conn, &admin.account, &filter, &page).await?;
    // Entries are ordered by their place in the log, which stands where other lists have the time.
    let position = |entry: &Entry| Position {
        created_at: entry.seq,
        id: entry.id.clone(),
    };
    Ok(Reply::ok(page.page(rows, position, EntryView::of)))
}

async fn show(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
) -> Result<Reply<EntryView>, ApiError> {
    let mut conn = state.store().read().await?;
    let entry = audit::find(&mut conn, &admin.account, &id)
        .await?
        .ok_or_else(|| ApiError::no("audit entry", &id))?;
    Ok(Reply::ok(EntryView::of(entry)))
}

/// Refuses a filter by an account that is out of reach.
async fn reachable(conn: &mut Conn, admin: &Admin, filter: &AuditFilter) -> Result<(), ApiError> {
    if let Some(account) = &filter.account {
        accounts::find_ever(conn, &admin.account, account)
            .await?
            .ok_or_else(|| ApiError::no("account", account))?;
    }
    Ok(())
}

impl ListEntries {
    fn filter(self, checks: &mut Checks) -> AuditFilter {
        let mut text = |field: &str, value: Option<String>| {
            value.map(|text| checks.text(field, &text, MAX_TEXT))
        };
        let actor = text("actor", self.actor);
        let action = text("action", self.action);
        let target = text("target", self.target);
        let mut time = |field: &str, value: Option<String>| {
            let time = value.and_then(|text| checks.accept(field, Timestamp::parse(&text)));
            time.map(|t| t.0)
        };
        AuditFilter {
            account: self.account,
            actor,
            action,
            target,
            from: time("from", self.from),
            to: time("to", self.to),
        }
    }
}
