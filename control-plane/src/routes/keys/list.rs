//! `GET /v1/keys`.

use axum::extract::State;
use serde::Deserialize;
use shared::Millis;
use utoipa::IntoParams;

use super::input::OwnerId;
use super::view::{KeyView, Status};
use crate::auth::Admin;
use crate::environment::EnvironmentName;
use crate::error::ApiError;
use crate::http::body::Reply;
use crate::http::page::{Cursor, Page, PageLimit, PageRequest, Position};
use crate::http::params::{self, Params};
use crate::openapi::answers::NotFound;
use crate::openapi::names::AccountId;
use crate::openapi::schema::schema;
use crate::state::AppState;
use crate::store::accounts;
use crate::store::environments::Schedules;
use crate::store::key_list::{self, KeyFilter, KeyStatus, ListedKey};
use crate::validate::Checks;

const DAY: Millis = 24 * 60 * 60 * 1000;
const MAX_UNUSED_DAYS: u32 = 3650;
const MAX_TEXT: usize = 100;
const DUE: [(&str, ()); 1] = [("true", ())];

schema! {
    /// Part of a name, or of what tokens begin or end with.
    SearchText = text(1, MAX_TEXT).examples(["mobile"]);
    /// Only keys that were not used for so many days.
    UnusedDays = whole(1, MAX_UNUSED_DAYS);
    /// Only keys in use whose token is due to be replaced.
    RotationDue = word(&DUE).examples(["true"]);
    /// Only keys in use whose token is due to be replaced, now or within so many days.
    DueDays = whole(0, MAX_UNUSED_DAYS);
}

/// The query string.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListKeys {
    /// Only keys of this account.
    #[param(inline, value_type = Option<AccountId>)]
    account: Option<String>,
    #[param(inline, value_type = Option<EnvironmentName>)]
    environment: Option<String>,
    #[param(inline, value_type = Option<Status>)]
    status: Option<String>,
    #[param(inline, value_type = Option<OwnerId>)]
    owner: Option<String>,
    #[param(inline, value_type = Option<SearchText>)]
    q: Option<String>,
    #[param(inline, value_type = Option<UnusedDays>)]
    unused_for_days: Option<String>,
    #[param(inline, value_type = Option<RotationDue>)]
    rotation_due: Option<String>,
    #[param(inline, value_type = Option<DueDays>)]
    rotation_due_within_days: Option<String>,
    #[param(inline, value_type = Option<PageLimit>)]
    limit: Option<String>,
    #[param(inline, value_type = Option<Cursor>)]
    cursor: Option<String>,
}

/// List keys
///
/// Those of the caller's account and of the accounts below it, newest first.
#[utoipa::path(
    get, path = "/keys", operation_id = "listKeys", tag = "Keys",
    params(ListKeys),
    responses((status = 200, description = "A page of keys.", body = Page<KeyView>), NotFound),
    security(("adminToken" = ["keys.read"])),
)]
pub async fn list(
    State(state): State<AppState>,
    admin: Admin,
    Params(query): Params<ListKeys>,
) -> Result<Reply<Page<KeyView>>, ApiError> {
    let now = state.now();
    let mut checks = Checks::default();
    let page = PageRequest::check(&mut checks, query.limit.as_deref(), query.cursor.as_deref());
    let filter = query.filter(&mut checks, now);
    checks.finish()?;
    let mut conn = state.store().read().await?;
    if let Some(account) = &filter.account {
        accounts::find(&mut conn, &admin.account, account)
            .await?
            .ok_or_else(|| ApiError::no("account", account))?;
    }
    let rows = key_list::list(&mut conn, &admin.account, &filter, &page, now).await?;
    let position = |row: &ListedKey| Position {
        created_at: row.key.created_at,
        id: row.key.id.clone(),
    };
    let mut schedules = Schedules::default();
    let listed = page.page(rows, position, |row| row);
    let mut data = Vec::with_capacity(listed.data.len());
    for row in listed.data {
        let schedule = schedules.of(&mut conn, &row.key).await?;
        data.push(KeyView::of(row.key, row.status, now).due_after(schedule));
    }
    let next_cursor = listed.next_cursor;
    Ok(Reply::ok(Page { data, next_cursor }))
}

impl ListKeys {
    fn filter(self, checks: &mut Checks, now: Millis) -> KeyFilter {
        let mut text = |field: &str, value: Option<String>| {
            value.map(|text| checks.text(field, &text, MAX_TEXT))
        };
        let (environment, owner) = (
            text("environment", self.environment),
            text("owner", self.owner),
        );
        let q = text("q", self.q);
        let status = self.status.as_deref();
        let status = status.and_then(|s| checks.word("status", s, &KeyStatus::NAMES));
        let unused_since = self.unused_for_days.map(|text| {
            let days = params::number(checks, "unusedForDays", &text, 1, MAX_UNUSED_DAYS);
            now.saturating_sub(Millis::from(days) * DAY)
        });
        let due = self.rotation_due.as_deref();
        let due = due.and_then(|word| checks.word("rotationDue", word, &DUE));
        let within = self.rotation_due_within_days.map(|text| {
            let field = "rotationDueWithinDays";
            params::number(checks, field, &text, 0, MAX_UNUSED_DAYS)
        });
        let within = within.or(due.map(|()| 0));
        KeyFilter {
            account: self.account,
            environment,
            status,
            owner,
            text: q,
            unused_since,
            due_by: within.map(|days| now + Millis::from(days) * DAY),
        }
    }
}
