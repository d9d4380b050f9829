//! `/v1/sync`: the edges, how far each has come, and whether it holds what it should. For the root account alone.

mod compare;
mod view;

use axum::extract::State;
use serde::Deserialize;
use serde_json::json;
use shared::record::MAX_ID;
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::audit::{self, Act};
use crate::auth::Admin;
use crate::error::ApiError;
use crate::http::body::{OptionalBody, Reply, given};
use crate::openapi::Routes;
use crate::openapi::answers::NotFound;
use crate::openapi::schema::schema;
use crate::state::AppState;
use crate::store::targets::Target;
use crate::store::{Conn, accounts, targets};
use crate::validate::{Checks, MAX_NAME};
use view::{Edges, TargetView};

/// The longest URL of an edge that is looked for, in characters.
const MAX_TARGET: usize = 2_048;

/// The routes.
pub fn router() -> Routes {
    Routes::new()
        .with(routes!(show))
        .with(routes!(resync))
        .with(routes!(compare::status))
        .with(routes!(compare::repair))
}

schema! {
    /// An edge's base URL, as the server is configured with it.
    TargetUrl = text(1, MAX_TARGET).examples(["https://edge.example.com"]);
}

/// Show the edges
///
/// How far each has come, what waits for it, and how it took the last push.
#[utoipa::path(
    get, path = "/sync", operation_id = "showSync", tag = "Sync",
    responses((status = 200, description = "Every edge.", body = Edges), NotFound),
    security(("adminToken" = ["sync.read"])),
)]
async fn show(State(state): State<AppState>, admin: Admin) -> Result<Reply<Edges>, ApiError> {
    let mut conn = state.store().read().await?;
    only_root(&mut conn, &admin).await?;
    Ok(Reply::ok(edges(&mut conn, None).await?))
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Resync {
    /// The edge; all of them by default.
    #[schema(value_type = TargetUrl)]
    #[serde(default, deserialize_with = "given")]
    target: Option<String>,
}

/// Deliver everything again
///
/// Begins a full delivery: every record there is, beside the changes that come meanwhile. It goes on in the background, and
/// changes overtake it. An edge that has everything is not harmed by it.
#[utoipa::path(
    post, path = "/sync/resync", operation_id = "resync", tag = "Sync",
    request_body(content = Resync, examples(("all" = (summary = "To every edge", value = json!({}))))),
    responses((status = 200, description = "The edges that are given everything.", body = Edges), NotFound),
    security(("adminToken" = ["sync.write"])),
)]
async fn resync(
    State(state): State<AppState>,
    admin: Admin,
    OptionalBody(input): OptionalBody<Resync>,
) -> Result<Reply<Edges>, ApiError> {
    let mut checks = Checks::default();
    check_target(&mut checks, input.target.as_deref());
    checks.finish()?;
    let mut change = state.change(&admin).await?;
    only_root(change.conn(), &admin).await?;
    let urls = chosen(change.conn(), input.target.as_deref()).await?;
    for target in &urls {
        targets::deliver_in_full(change.conn(), &target.url).await?;
    }
    let edges = edges(change.conn(), input.target.as_deref()).await?;
    let urls: Vec<&str> = urls.iter().map(|target| target.url.as_str()).collect();
    let target = audited(&admin, input.target.as_deref());
    let act = Act::on("resync", target, &json!({"targets": urls}))?;
    let _ = change.commit(act).await?;
    state.propagation().wake();
    Ok(Reply::ok(edges))
}

/// What the audit log calls an edge, or all of them.
fn audited(admin: &Admin, url: Option<&str>) -> audit::Target {
    let url = url.unwrap_or("all");
    audit::Target {
        kind: "edge",
        // As much of it as the audit log's document allows.
        id: url.chars().take(MAX_ID).collect(),
        name: url.chars().take(MAX_NAME).collect(),
        account: admin.account.clone(),
    }
}

/// The edges belong to the root account; to others they don't exist.
async fn only_root(conn: &mut Conn, admin: &Admin) -> Result<(), ApiError> {
    match accounts::root(conn).await? {
        Some(root) if root.id == admin.account => Ok(()),
        _ => Err(ApiError::NotFound(
            "There is nothing at this path".to_owned(),
        )),
    }
}

fn check_target(checks: &mut Checks, target: Option<&str>) {
    if let Some(target) = target {
        checks.text("target", target, MAX_TARGET);
    }
}

/// The edge of this URL, or every edge.
async fn chosen(conn: &mut Conn, url: Option<&str>) -> Result<Vec<Target>, ApiError> {
    match url {
        None => Ok(targets::all(conn).await?),
        Some(url) => match targets::find(conn, url.trim_end_matches('/')).await? {
            Some(target) => Ok(vec![target]),
            None => Err(ApiError::NotFound("There is no such edge".to_owned())),
        },
    }
}

async fn edges(conn: &mut Conn, url: Option<&str>) -> Result<Edges, ApiError> {
    let mut data = Vec::new();
    for target in chosen(conn, url).await? {
        data.push(TargetView::of(conn, target).await?);
    }
    Ok(Edges { data })
}
