//! `/v1/audit-log`: what admins did, and the server by itself. Nothing changes or removes an entry.

mod export;
mod verify;
mod view;

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::routes;

use crate::auth::Admin;
use crate::error::ApiError;
use crate::http::body::Reply;
use crate::http::page::{Cursor, Page, PageLimit, PageRequest, Position};
use crate::http::params::{Id, Params};
use crate::openapi::Routes;
use crate::openapi::answers::NotFound;
use crate::openapi::names::{AccountId, AuditId};
use crate::openapi::schema::schema;
use crate::state::AppState;
use crate::store::audit::{self, AuditFilter, Entry};
use crate::store::{Conn, accounts};
use crate::timestamp::Timestamp;
use crate::validate::Checks;
use view::EntryView;

const MAX_TEXT: usize = 100;

/// The routes.
pub fn router() -> Routes {
    Routes::new()
        .with(routes!(list))
        .with(routes!(export::export))
        .with(routes!(verify::verify))
        .with(routes!(show))
}

schema! {
    /// A text without spaces around it.
    pub Text = text(1, MAX_TEXT);
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ListEntries {
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
    #[param(inline, value_type = Option<PageLimit>)]
    limit: Option<String>,
    #[param(inline, value_type = Option<Cursor>)]
    cursor: Option<String>,
}

/// List audit entries
///
/// What was done in the caller's account and those below it, newest first. Nothing changes or removes an entry.
#[utoipa::path(
    get, path = "/audit-log", operation_id = "listAuditEntries", tag = "Audit log",
    params(ListEntries),
    responses((status = 200, description = "A page of entries.", body = Page<EntryView>), NotFound),
    security(("adminToken" = ["audit.read"])),
)]

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

/// Show an audit entry
#[utoipa::path(
    get, path = "/audit-log/{id}", operation_id = "showAuditEntry", tag = "Audit log",
    params(("id" = inline(AuditId), Path)),
    responses((status = 200, description = "The entry.", body = EntryView)),
    security(("adminToken" = ["audit.read"])),
)]
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
        accounts::find_with_deleted(conn, &admin.account, account)
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
