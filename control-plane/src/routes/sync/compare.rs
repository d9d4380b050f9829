//! Whether edges hold what they should, and mending what they don't.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::view::{FailureText, KindWord, RecordCount};
use super::{TargetUrl, audited, check_target, chosen, only_root};
use crate::auth::Admin;
use crate::error::ApiError;
use crate::http::body::{OptionalBody, Reply, given};
use crate::http::params::{Params, is_id};
use crate::openapi::answers::NotFound;
use crate::openapi::names::{AccountId, Version};
use crate::openapi::schema::schema;
use crate::state::AppState;
use crate::store::digests;
use crate::sync::drift::{Comparison, Drift, Fault, Findings};
use crate::sync::edge_client::PushError;
use crate::sync::repair::{self, Mended};
use crate::validate::Checks;

/// Accounts that one call looks at.
const ACCOUNTS: u32 = 100;
/// Differences that one call lists.
const MOST: usize = 1_000;
/// How often one call of repair compares: the last time it only sees what is left.
const PASSES: usize = 3;

schema! {
    /// Where a comparison goes on.
    AccountCursor = text(1, 64).examples(["acc_4Tn0xQz9"]);
    /// A record's id.
    RecordId = text(1, 64).examples(["key_6fJq81Nn0sPz5cGhR2Wa"]);
    /// How a record differs: `missing` or `older` at the edge; `newer` there than in the database, or `unknown` to it, as after
    /// a backup was restored; `copy`: KV's copy is not of the guard's version.
    FaultWord = word(&[("missing", ()), ("older", ()), ("newer", ()), ("unknown", ()), ("copy", ())]);
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StatusQuery {
    /// The edge; all of them by default.
    #[param(value_type = Option<TargetUrl>)]
    target: Option<String>,
    /// Only the guard of this account.
    #[param(value_type = Option<AccountId>)]
    account_id: Option<String>,
    /// Whether KV's copies are looked at too, one by one. KV itself may lag by a minute.
    #[param(value_type = Option<bool>)]
    kv: Option<String>,
    /// `nextCursor` of the page before.
    #[param(value_type = Option<AccountCursor>)]
    cursor: Option<String>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Repair {
    /// The edge; all of them by default.
    #[schema(value_type = TargetUrl)]
    #[serde(default, deserialize_with = "given")]
    target: Option<String>,
    /// Only the guard of this account.
    #[schema(value_type = AccountId)]
    #[serde(default, deserialize_with = "given")]
    account_id: Option<String>,
    /// Whether KV's copies are looked at too, one by one.
    #[serde(default)]
    kv: bool,
    /// `nextCursor` of the page before.
    #[schema(value_type = AccountCursor)]
    #[serde(default, deserialize_with = "given")]
    cursor: Option<String>,
}

/// How edges compare with the database, for a page of accounts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SyncStatus)]
#[serde(rename_all = "camelCase")]
pub struct StatusView {
    /// Each edge.
    data: Vec<ComparedView>,
    /// Gives the next accounts; `null` after the last.
    #[schema(required, value_type = Option<AccountCursor>)]
    next_cursor: Option<String>,
}

/// How an edge compares with the database.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ComparedEdge)]
#[serde(rename_all = "camelCase")]
struct ComparedView {
    #[schema(value_type = TargetUrl)]
    target: String,
    /// Why the edge could not be asked, or not to the end; `null` when it was.
    #[schema(required, value_type = Option<FailureText>)]
    error: Option<String>,
    /// Accounts whose guards were compared.
    #[schema(value_type = RecordCount)]
    accounts: u64,
    /// Records that the edge has not yet, and that are on their way.
    #[schema(value_type = RecordCount)]
    waiting: u64,
    /// What differs.
    drift: Vec<DriftView>,
    /// Whether more differs than is listed.
    truncated: bool,
}

/// A record that differs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Drift)]
#[serde(rename_all = "camelCase")]
struct DriftView {
    /// The account whose guard holds the record.
    #[schema(value_type = AccountId)]
    account_id: String,
    #[schema(value_type = KindWord)]
    kind: String,
    #[schema(value_type = RecordId)]
    id: String,
    #[schema(value_type = FaultWord)]
    fault: &'static str,
    /// Its version at the edge; `null` when that lacks it.
    #[schema(required, value_type = Option<Version>)]
    edge_version: Option<u64>,
    /// Its version in the database; `null` when that does not know it.
    #[schema(required, value_type = Option<Version>)]
    database_version: Option<u64>,
}

impl From<Drift> for DriftView {
    fn from(drift: Drift) -> Self {
        Self {
            account_id: drift.account,
            kind: drift.kind,
            id: drift.id,
            fault: match drift.fault {
                Fault::Missing => "missing",
                Fault::Older => "older",
                Fault::Newer => "newer",
                Fault::Unknown => "unknown",
                Fault::Copy => "copy",
            },
            edge_version: drift.edge,
            database_version: drift.database,
        }
    }
}

impl ComparedView {
    fn of(target: String, found: Result<Findings, PushError>) -> Result<Self, ApiError> {
        let (found, error) = match found {
            Ok(found) => (found, None),
            Err(PushError::Local(error)) => return Err(error.into()),
            Err(error) => (Findings::default(), Some(error.to_string())),
        };
        Ok(Self {
            target,
            error,
            accounts: found.accounts,
            waiting: found.waiting,
            drift: found.drift.into_iter().map(DriftView::from).collect(),
            truncated: found.truncated,
        })
    }
}

/// Compare edges with the database
///
/// By digests: the edge tells, for each account, how many records it holds and sums of their versions; only where those
/// differ records are listed. What is on its way is not drift.
#[utoipa::path(
    get, path = "/sync/status", operation_id = "compareEdges", tag = "Sync",
    params(StatusQuery),
    responses((status = 200, description = "How each edge compares.", body = StatusView), NotFound),
    security(("adminToken" = ["sync.read"])),
)]
pub async fn status(
    State(state): State<AppState>,
    admin: Admin,
    Params(query): Params<StatusQuery>,
) -> Result<Reply<StatusView>, ApiError> {
    let mut checks = Checks::default();
    let words = [("true", true), ("false", false)];
    let kv = query.kv.as_deref();
    let kv = kv.and_then(|kv| checks.word("kv", kv, &words));
    checks.finish()?;
    let task = Task {
        target: query.target,
        account: query.account_id,
        cursor: query.cursor,
        kv: kv.unwrap_or(false),
    };
    let (targets, accounts, next_cursor) = task.begin(&state, &admin).await?;
    let mut data = Vec::new();
    for url in targets {
        let found = task.compare(&state, &url, &accounts).await?;
        data.push(ComparedView::of(url, found)?);
    }
    Ok(Reply::ok(StatusView { data, next_cursor }))
}

/// What was mended, and what is left.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RepairDone)]
#[serde(rename_all = "camelCase")]
pub struct RepairView {
    /// Records that were pushed again.
    #[schema(value_type = RecordCount)]
    pushed: u64,
    /// Records that were older than an edge's, and got a fresh version.
    #[schema(value_type = RecordCount)]
    republished: u64,
    /// Records that only an edge knew, and that are gone now.
    #[schema(value_type = RecordCount)]
    removed: u64,
    /// Whether every edge has what was published anew.
    propagated: bool,
    /// How each edge compares now.
    data: Vec<ComparedView>,
    /// Gives the next accounts; `null` after the last.
    #[schema(required, value_type = Option<AccountCursor>)]
    next_cursor: Option<String>,
}

/// Mend what differs
///
/// The database is right. What an edge lacks is pushed again. What it has in a newer version than the database, as after a
/// backup was restored, is published anew under a version above; what the database does not know is removed from the edges.
#[utoipa::path(
    post, path = "/sync/repair", operation_id = "repairEdges", tag = "Sync",
    request_body(content = Repair, examples(("all" = (summary = "Every edge", value = json!({}))))),
    responses((status = 200, description = "What was mended.", body = RepairView), NotFound),
    security(("adminToken" = ["sync.write"])),
)]
pub async fn repair(
    State(state): State<AppState>,
    admin: Admin,
    OptionalBody(input): OptionalBody<Repair>,
) -> Result<Reply<RepairView>, ApiError> {
    let task = Task {
        target: input.target,
        account: input.account_id,
        cursor: input.cursor,
        kv: input.kv,
    };
    let (targets, accounts, next_cursor) = task.begin(&state, &admin).await?;
    let mut sum = Mended::default();
    let mut propagated = true;
    let mut data = Vec::new();
    for url in targets {
        let mut found = task.compare(&state, &url, &accounts).await?;
        for _ in 1..PASSES {
            let Ok(findings) = &found else { break };
            if findings.drift.is_empty() {
                break;
            }
            match mend(&state, &admin, &url, &findings.drift).await? {
                Ok((mended, all)) => {
                    sum.pushed += mended.pushed;
                    sum.republished += mended.republished;
                    sum.removed += mended.removed;
                    propagated &= all;
                    found = task.compare(&state, &url, &accounts).await?;
                }
                Err(error) => found = Err(error),
            }
        }
        data.push(ComparedView::of(url, found)?);
    }
    Ok(Reply::ok(RepairView {
        pushed: sum.pushed,
        republished: sum.republished,
        removed: sum.removed,
        propagated,
        data,
        next_cursor,
    }))
}

/// Mends an edge; gives what was mended, and whether every edge has what was published anew.
async fn mend(
    state: &AppState,
    admin: &Admin,
    url: &str,
    drift: &[Drift],
) -> Result<Result<(Mended, bool), PushError>, ApiError> {
    let edge = state.propagation().client(url)?;
    let pushed = match repair::push_again(state.store(), &edge, drift, state.clock()).await {
        Ok(pushed) => pushed,
        Err(PushError::Local(error)) => return Err(error.into()),
        Err(error) => return Ok(Err(error)),
    };
    let target = audited(admin, Some(url));
    let (store, clock) = (state.store(), state.clock());
    let done = repair::publish_anew(store, drift, clock, &admin.caller, &target);
    let (mended, committed) = done.await?;
    let propagated = match committed {
        Some(committed) => state.propagation().settle(committed).await,
        None => true,
    };
    Ok(Ok((Mended { pushed, ..mended }, propagated)))
}

/// Which guards of which edges are compared.
struct Task {
    target: Option<String>,
    account: Option<String>,
    cursor: Option<String>,
    kv: bool,
}

impl Task {
    /// The edges, a page of accounts, and where the next begins.
    async fn begin(
        &self,
        state: &AppState,
        admin: &Admin,
    ) -> Result<(Vec<String>, Vec<String>, Option<String>), ApiError> {
        let mut checks = Checks::default();
        check_target(&mut checks, self.target.as_deref());
        if self
            .cursor
            .as_deref()
            .is_some_and(|c| !is_id(c) || c.is_empty())
        {
            checks.fail("cursor", "not a cursor of this list");
        }
        checks.finish()?;
        let mut conn = state.store().read().await?;
        only_root(&mut conn, admin).await?;
        let targets = chosen(&mut conn, self.target.as_deref()).await?;
        let targets = targets.into_iter().map(|target| target.url).collect();
        if let Some(account) = &self.account {
            return if digests::is_account(&mut conn, account).await? {
                Ok((targets, vec![account.clone()], None))
            } else {
                Err(ApiError::no("account", account))
            };
        }
        let after = self.cursor.as_deref().unwrap_or_default();
        let mut accounts = digests::accounts(&mut conn, after, ACCOUNTS + 1).await?;
        let has_more = accounts.len() > ACCOUNTS as usize;
        accounts.truncate(ACCOUNTS as usize);
        let next = accounts.last().filter(|_| has_more).cloned();
        Ok((targets, accounts, next))
    }

    async fn compare(
        &self,
        state: &AppState,
        url: &str,
        accounts: &[String],
    ) -> Result<Result<Findings, PushError>, ApiError> {
        let edge = state.propagation().client(url)?;
        let comparison = Comparison {
            store: state.store(),
            edge: &edge,
            kv: self.kv,
            most: MOST,
            now: state.now(),
        };
        Ok(comparison.of(accounts.to_vec()).await)
    }
}
