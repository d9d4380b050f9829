//! `/v1/sync`: the edges, how far each has come, and whether it holds what it should. For the root account alone.

mod compare;
mod view;

use axum::extract::State;
use serde::Deserialize;
use serde_json::{Map, Value};
use shared::record::MAX_ID;
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::audit::{Act, Target};
use crate::auth::Admin;
use crate::error::ApiError;
use crate::http::body::{OptionalBody, Reply, given};
use crate::openapi::Routes;
use crate::openapi::answers::NotFound;
use crate::openapi::schema::schema;
use crate::state::AppState;
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
    let url = input.target.as_deref();
    let mut acts = Vec::new();
    for target in chosen(change.conn(), url).await? {
        targets::deliver_in_full(change.conn(), &target.url).await?;
        acts.push(act("resync", &target.url, &admin.account, Map::new()));
    }
    let edges = edges(change.conn(), url).await?;
    if let Some(last) = acts.pop() {
        for act in acts {
            change.note(act).await?;
        }
        let _ = change.commit(last).await?;
    }
    state.propagation().wake();
    Ok(Reply::ok(edges))
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

/// An act on an edge, which belongs to the root account.
fn act(verb: &str, url: &str, root: &str, more: Map<String, Value>) -> Act {
    let mut after = more;
    after.insert("url".to_owned(), url.into());
    Act {
        action: format!("edge.{verb}"),
        target: Target {
            kind: "edge",
            id: url.chars().take(MAX_ID).collect(),
            name: url.chars().take(MAX_NAME).collect(),
            account: root.to_owned(),
        },
        before: None,
        after: Some(after),
    }
}

fn check_target(checks: &mut Checks, target: Option<&str>) {
    if let Some(target) = target {
        checks.text("target", target, MAX_TARGET);
    }
}

/// The edge of this URL, or every edge.
async fn chosen(conn: &mut Conn, url: Option<&str>) -> Result<Vec<targets::Target>, ApiError> {
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
