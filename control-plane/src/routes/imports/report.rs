//! `GET /v1/imports/{id}/report`: what became of each line.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::ImportId;
use crate::auth::Admin;
use crate::error::ApiError;
use crate::http::ndjson::{self, Lines};
use crate::http::params::Id;
use crate::openapi::names::KeyId;
use crate::openapi::schema::schema;
use crate::state::AppState;
use crate::store::imports::{self, Import, Refusal};

/// Lines of one page.
const PAGE: i64 = 1_000;

schema! {
    /// What became of a line: `created`: it is a key now; `refused`: it could not be taken; `existing`: the account had the key
    /// already, or the line was empty.
    Became = word(&[("created", ()), ("refused", ()), ("existing", ())]);
    /// The line's number, from 1.
    LineNumber = count().minimum(Some(1_u32)).examples([1]);
    /// What is wrong with it, field by field.
    LineErrors as "LineErrors" = list::<crate::error::FieldError>(100);
}

/// What became of a line.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportedLine)]
pub struct ReportLine {
    #[schema(value_type = LineNumber)]
    line: u64,
    #[schema(value_type = Became)]
    status: &'static str,
    /// The key's id, of a created one.
    #[schema(value_type = Option<KeyId>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[schema(value_type = Option<LineErrors>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Value>,
}

/// Report on an import
///
/// Every line that was created or refused, in order, a line of JSON each.
#[utoipa::path(
    get, path = "/imports/{id}/report", operation_id = "reportImport", tag = "Imports",
    params(("id" = inline(ImportId), Path)),
    responses((
        status = 200, description = "Lines of JSON.", body = ReportLine, content_type = "application/x-ndjson",
    )),
    security(("adminToken" = ["keys.read"])),
)]
pub async fn report(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
) -> Result<Response, ApiError> {
    let mut conn = state.store().read().await?;
    let import = imports::find(&mut conn, &admin.account, &id)
        .await?
        .ok_or_else(|| ApiError::no("import", &id))?;
    drop(conn);
    let source = Arc::new((state, import));
    let page = move |after: u64| {
        let source = Arc::clone(&source);
        async move { page_after(&source.0, &source.1, after).await }
    };
    ndjson::answer(0, page).await
}

/// The lines after a line, merged of the created and the refused ones, with the last line's number.
async fn page_after(
    state: &AppState,
    import: &Import,
    after: u64,
) -> Result<Option<(Lines, u64)>, ApiError> {
    let mut conn = state.store().read().await?;
    let created = imports::created_after(&mut conn, &import.id, after, PAGE).await?;
    let refused = imports::refused_after(&mut conn, &import.id, after, PAGE).await?;
    drop(conn);
    // Beyond the end of a full page there may be others that are not fetched yet.
    let full = |len: usize, last: Option<u64>| last.filter(|_| len as i64 == PAGE);
    let bound = full(created.len(), created.last().map(|(line, _)| *line))
        .into_iter()
        .chain(full(refused.len(), refused.last().map(|r| r.line)))
        .min()
        .unwrap_or(u64::MAX);
    let mut created: VecDeque<(u64, String)> = created.into();
    let mut refused: VecDeque<Refusal> = refused.into();
    let mut lines = Lines::default();
    let mut last = None;
    loop {
        let next_created = created.front().map_or(u64::MAX, |(line, _)| *line);
        let next_refused = refused.front().map_or(u64::MAX, |r| r.line);
        let next = next_created.min(next_refused);
        if next > bound || next == u64::MAX {
            break;
        }
        let told = if next == next_created {
            let id = created.pop_front().map(|(_, id)| id);
            ReportLine {
                line: next,
                status: "created",
                id,
                errors: None,
            }
        } else {
            let errors = refused.pop_front().map(|r| r.errors);
            ReportLine {
                line: next,
                status: "refused",
                id: None,
                errors,
            }
        };
        lines.add(&told)?;
        last = Some(next);
    }
    Ok(last.map(|last| (lines, last)))
}
