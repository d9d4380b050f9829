//! `/v1/imports`: keys that were made elsewhere, by the SHA-256 of their tokens, a line of JSON each.

mod line;
mod lines;
mod report;

use axum::extract::{DefaultBodyLimit, Request, State};
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::Millis;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::UtoipaMethodRouterExt;
use utoipa_axum::routes;

use crate::audit::{Act, Audited, Target};
use crate::auth::Admin;
use crate::entropy;
use crate::environment::Environment;
use crate::error::{ApiError, FieldError};
use crate::http::body::Reply;
use crate::http::page::{Page, PageRequest, Position};
use crate::http::params::{Id, Params};
use crate::openapi::Routes;
use crate::openapi::answers::NotFound;
use crate::openapi::names::AccountId;
use crate::openapi::schema::schema;
use crate::routes::keys::{identity, input, owner};
use crate::state::AppState;
use crate::store::imports::{self, Import, ImportState, Refusal, Tally};
use crate::store::keys::{Fresh, Key};
use crate::store::outbox::Lane;
use crate::store::{Change, accounts, environments};
use crate::timestamp::Timestamp;
use crate::validate::Checks;
use line::Line;
use lines::Lines;

/// How many lines are taken in one transaction. Changes of others wait no longer than for one of these.
const BATCH: usize = 1_000;
/// An import that has not come further for so long ended with its server; in milliseconds.
const SILENCE: Millis = 120_000;

/// The routes.
pub fn router() -> Routes {
    Routes::new()
        .with(routes!(list))
        .with(routes!(create).layer(DefaultBodyLimit::disable()))
        .with(routes!(show))
        .with(routes!(report::report))
}

schema! {
    /// An import's id.
    pub ImportId = form("^imp_[0-9A-Za-z]{16}$").examples(["imp_p7Rb2mXv81KqLs0d"]);
    /// How an import stands: `running`: lines are coming; `done`: every line has been seen; `failed`: it broke off, and can be
    /// sent again.
    StateWord = word(&ImportState::NAMES);
    /// A number of lines.
    LineCount = count().examples([1_000_000]);
    /// Lines of JSON, a key each: what `POST /v1/keys` takes, and besides `hash` (the SHA-256 of the token, 64 hexadecimal
    /// digits; needed), `start` and `last8` (what people see of the token), `status` (`active` or `revoked`) and `createdAt`.
    /// `id`, `accountId` and whatever else an export tells of a key beyond its settings are passed over.
    KeyLines = text(0, usize::MAX);
}

/// An import.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Import)]
#[serde(rename_all = "camelCase")]
struct ImportView {
    #[schema(value_type = ImportId)]
    id: String,
    #[schema(value_type = AccountId)]
    account_id: String,
    #[schema(value_type = StateWord)]
    state: &'static str,
    /// Lines so far, empty ones left out.
    #[schema(value_type = LineCount)]
    lines: u64,
    /// Those that became keys.
    #[schema(value_type = LineCount)]
    created: u64,
    /// Those whose hash a key of this account has already.
    #[schema(value_type = LineCount)]
    existing: u64,
    /// Those that could not be taken; the report tells why.
    #[schema(value_type = LineCount)]
    refused: u64,
    started_at: Timestamp,
    updated_at: Timestamp,
}

impl ImportView {
    fn of(import: Import, now: Millis) -> Self {
        let is_over =
            import.state == ImportState::Running && now.saturating_sub(import.updated_at) > SILENCE;
        let state = if is_over {
            ImportState::Failed
        } else {
            import.state
        };
        Self {
            id: import.id,
            account_id: import.account_id,
            state: state.name(),
            lines: import.tally.lines,
            created: import.tally.created,
            existing: import.tally.existing,
            refused: import.tally.refused,
            started_at: Timestamp(import.started_at),
            updated_at: Timestamp(import.updated_at),
        }
    }
}

impl Audited for ImportView {
    fn target(&self) -> Target {
        Target {
            kind: "import",
            id: self.id.clone(),
            name: String::new(),
            account: self.account_id.clone(),
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct CreateImport {
    /// The account whose keys they become; the token's own by default.
    #[param(inline, value_type = AccountId)]
    account: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListImports {
    /// How many to show, 1 to 200.
    limit: Option<String>,
    /// Where to go on: `nextCursor` of the page before.
    cursor: Option<String>,
}

/// Import keys
///
/// Reads lines of JSON as they come, however many, and makes a key of each. What the key's token is stays unknown: only its
/// hash is kept. A line that can't be taken is refused by itself. How far it has come can be looked at meanwhile. If it breaks
/// off, what was taken stays, and the same lines can be sent again: those whose hash the account has already are passed over.
#[utoipa::path(
    post, path = "/imports", operation_id = "importKeys", tag = "Imports",
    params(CreateImport),
    request_body(content = KeyLines, content_type = "application/x-ndjson", example = json!(
        "{\"hash\":\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\",\"name\":\"Old key\"}\n"
    )),
    responses((status = 201, description = "What it came to.", body = ImportView), NotFound),
    security(("adminToken" = ["keys.write"])),
)]
async fn create(
    State(state): State<AppState>,
    admin: Admin,
    Params(query): Params<CreateImport>,
    request: Request,
) -> Result<Reply<ImportView>, ApiError> {
    let account = query.account.as_ref().unwrap_or(&admin.account);
    let mut change = state.change(&admin).await?;
    accounts::find(change.conn(), &admin.account, account)
        .await?
        .ok_or_else(|| ApiError::no("account", account))?;
    let now = change.now();
    let import = Import {
        id: shared::id::import(&*entropy::draw()?),
        account_id: account.clone(),
        state: ImportState::Running,
        tally: Tally::default(),
        started_at: now,
        updated_at: now,
    };
    imports::insert(change.conn(), &import).await?;
    let act = Act::create(&ImportView::of(import.clone(), now))?;
    let _ = change.commit(act).await?;

    let lines = Lines::of(request.into_body());
    // A task of its own: when the caller hangs up, it still notes how far the import came.
    let import = tokio::spawn(run(state.clone(), admin, import, lines));
    let import = import.await.map_err(|e| ApiError::Internal(e.into()))??;
    Ok(Reply::created(ImportView::of(import, state.now())))
}

async fn run(
    state: AppState,
    admin: Admin,
    mut import: Import,
    mut lines: Lines,
) -> Result<Import, ApiError> {
    let taken = take_all(&state, &admin, &mut import, &mut lines).await;
    import.state = match taken {
        Ok(()) => ImportState::Done,
        Err(_) => ImportState::Failed,
    };
    let mut tx = state.store().write().await?;
    import.updated_at = state.now();
    imports::progress(&mut tx, &import).await?;
    tx.commit().await?;
    taken.map(|()| import)
}

async fn take_all(
    state: &AppState,
    admin: &Admin,
    import: &mut Import,
    lines: &mut Lines,
) -> Result<(), ApiError> {
    loop {
        let batch = lines.next(BATCH).await?;
        if batch.is_empty() {
            return Ok(());
        }
        take(state, admin, import, batch).await?;
    }
}

/// Takes some lines in one transaction, with the word of how far the import has come. The audit log gets one entry for all
/// of them; the import's report names each key.
async fn take(
    state: &AppState,
    admin: &Admin,
    import: &mut Import,
    batch: Vec<(u64, Vec<u8>)>,
) -> Result<(), ApiError> {
    let now = state.now();
    let read = batch
        .into_iter()
        .map(|(number, text)| Line::read(number, &text, now));
    let lines: Vec<Line> = read.collect();
    let mut change = state.change_by(admin.caller.clone()).await?;
    let before = ImportView::of(import.clone(), now);
    let hashes: Vec<_> = lines.iter().filter_map(Line::hash).copied().collect();
    let mut known = imports::known(change.conn(), &hashes).await?;
    let environments = environments::known(change.conn(), &import.account_id).await?;
    let (mut made, mut refusals) = (Vec::with_capacity(lines.len()), Vec::new());
    import.tally.lines += lines.len() as u64;
    for line in lines {
        let key = match line.checked(&known, &import.account_id) {
            line::Checked::New(key) => key,
            line::Checked::Existing => {
                import.tally.existing += 1;
                continue;
            }
            line::Checked::Refused(refusal) => {
                import.tally.refused += 1;
                refusals.push(refusal);
                continue;
            }
        };
        let mut checks = Checks::default();
        let fields = input::ENVIRONMENT_FIELDS;
        let environment = key.environment.among(&environments, &mut checks, fields);
        if let Some(errors) = beyond(&mut change, admin, import, &key, checks).await? {
            import.tally.refused += 1;
            refusals.push(Refusal {
                line: key.line,
                errors: json!(errors),
            });
            continue;
        }
        known.insert(key.hash.to_hex(), import.account_id.clone());
        made.push(fresh(&mut change, import, *key, environment, now)?);
    }
    change.add_keys(Lane::Bulk, &made).await?;
    import.tally.created += made.len() as u64;
    imports::refuse(change.conn(), &import.id, &refusals).await?;
    import.updated_at = now;
    imports::progress(change.conn(), import).await?;
    // Nobody waits for the edges here: they are given the keys in the order of the lines.
    let after = ImportView::of(import.clone(), now);
    let act = Act::change("proceed", &before, &after)?;
    let _ = change.commit(act).await?;
    Ok(())
}

/// What of a key its owner's role or the caller may not give, or its account does not have.
async fn beyond(
    change: &mut Change,
    admin: &Admin,
    import: &Import,
    new: &line::NewKey,
    checks: Checks,
) -> Result<Option<Vec<FieldError>>, ApiError> {
    let account = &import.account_id;
    let conn = change.conn();
    let checked = async {
        checks.finish()?;
        owner::check(conn, admin, account, &new.settings, None).await?;
        identity::check(conn, account, &new.settings).await
    };
    match checked.await {
        Ok(()) => Ok(None),
        Err(ApiError::Validation(errors)) => Ok(Some(errors)),
        Err(ApiError::Forbidden(detail)) => Ok(Some(vec![FieldError {
            field: "permissions".to_owned(),
            detail,
        }])),
        Err(error) => Err(error),
    }
}

fn fresh(
    change: &mut Change,
    import: &Import,
    new: line::NewKey,
    environment: Environment,
    now: Millis,
) -> anyhow::Result<Fresh> {
    let key = Key {
        id: shared::id::key(&*entropy::draw()?),
        account_id: import.account_id.clone(),
        environment,
        state: new.state,
        hints: new.hints,
        settings: new.settings,
        version: change.next_version(),
        created_at: new.created_at.unwrap_or(now),
        token_created_at: new.created_at.unwrap_or(now),
        updated_at: now,
        last_used_at: None,
        usage_count: 0,
        rotation: None,
        leak: None,
    };
    Ok(Fresh {
        key,
        hash: new.hash,
        origin: Some((import.id.clone(), new.line)),
    })
}

/// List imports
#[utoipa::path(
    get, path = "/imports", operation_id = "listImports", tag = "Imports",
    params(ListImports),
    responses((status = 200, description = "A page of imports, newest first.", body = Page<ImportView>)),
    security(("adminToken" = ["keys.read"])),
)]
async fn list(
    State(state): State<AppState>,
    admin: Admin,
    Params(query): Params<ListImports>,
) -> Result<Reply<Page<ImportView>>, ApiError> {
    let mut checks = Checks::default();
    let page = PageRequest::check(&mut checks, query.limit.as_deref(), query.cursor.as_deref());
    checks.finish()?;
    let mut conn = state.store().read().await?;
    let rows = imports::list(&mut conn, &admin.account, &page).await?;
    let position = |import: &Import| Position {
        created_at: import.started_at,
        id: import.id.clone(),
    };
    let now = state.now();
    Ok(Reply::ok(
        page.page(rows, position, |row| ImportView::of(row, now)),
    ))
}

/// Show an import
///
/// Also while it runs.
#[utoipa::path(
    get, path = "/imports/{id}", operation_id = "showImport", tag = "Imports",
    params(("id" = inline(ImportId), Path)),
    responses((status = 200, description = "How it stands.", body = ImportView)),
    security(("adminToken" = ["keys.read"])),
)]
async fn show(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
) -> Result<Reply<ImportView>, ApiError> {
    let mut conn = state.store().read().await?;
    let import = imports::find(&mut conn, &admin.account, &id)
        .await?
        .ok_or_else(|| ApiError::no("import", &id))?;
    Ok(Reply::ok(ImportView::of(import, state.now())))
}
