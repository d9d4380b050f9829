//! `/v1/apis/{id}/check-upstream`: whether the upstreams of an API answer, seen from here.

use std::collections::BTreeMap;

use axum::extract::State;
use futures_util::{StreamExt, stream};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::input::{Host, Upstream};
use crate::auth::Admin;
use crate::environment::EnvironmentName;
use crate::error::ApiError;
use crate::http::body::{OptionalBody, Reply};
use crate::http::params::Id;
use crate::openapi::Routes;
use crate::openapi::names::ApiId;
use crate::openapi::schema::schema;
use crate::outbound::Failure;
use crate::routes::keys::Nothing;
use crate::state::AppState;
use crate::store::apis;

/// How many upstreams are asked at a time: the most that an API has are done well within a request's time.
const AT_ONCE: usize = 25;

/// The route.
pub fn router() -> Routes {
    Routes::new().with(routes!(check))
}

schema! {
    /// An HTTP status.
    Status = whole(100, 599).examples([200]);
    /// Why there was no answer.
    Reason = word(&Failure::ALL.map(|failure| (failure.code(), ())));
}

/// What came of the checks.
#[derive(Debug, Serialize, ToSchema)]
struct CheckedUpstreams {
    /// One for each endpoint, in their order.
    data: Vec<CheckedEndpoint>,
}

/// Whether the upstream of an endpoint answers.
#[derive(Debug, Serialize, ToSchema)]
struct CheckedEndpoint {
    #[schema(value_type = Host)]
    host: String,
    #[schema(value_type = EnvironmentName)]
    environment: String,
    #[schema(value_type = Upstream)]
    upstream: String,
    /// Whether there was an answer, whatever its status.
    reachable: bool,
    /// The answer's status.
    #[schema(value_type = Option<Status>, required)]
    status: Option<u16>,
    /// Why there was none, for programs.
    #[schema(value_type = Option<Reason>, required)]
    reason: Option<&'static str>,
    /// The same for people.
    #[schema(required)]
    detail: Option<String>,
}

/// Check upstreams
///
/// Asks each upstream of the API once, with `HEAD` and a slash after its URL, for at most 5 seconds, and follows no
/// redirect. This server asks, not the edge. It asks public addresses only.
#[utoipa::path(
    post, path = "/apis/{id}/check-upstream", operation_id = "checkUpstream", tag = "APIs",
    params(("id" = inline(ApiId), Path)),
    request_body(content = Option<Nothing>, example = json!({})),
    responses((status = 200, description = "What came of it.", body = CheckedUpstreams)),
    security(("adminToken" = ["apis.write"])),
)]
async fn check(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
    OptionalBody(Nothing {}): OptionalBody<Nothing>,
) -> Result<Reply<CheckedUpstreams>, ApiError> {
    let mut conn = state.store().read().await?;
    let api = apis::find(&mut conn, &admin.account, &id)
        .await?
        .ok_or_else(|| ApiError::no("API", &id))?;
    drop(conn);
    let common = &api.settings.upstream;
    let endpoints = api.settings.endpoints.iter();
    let upstreams: Vec<String> = endpoints
        .map(|e| e.upstream.as_ref().unwrap_or(common).clone())
        .collect();
    let mut distinct = upstreams.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let asked = stream::iter(distinct).map(|upstream| {
        let outbound = state.outbound().clone();
        async move {
            let answer = outbound.head(&format!("{upstream}/")).await;
            (upstream, answer)
        }
    });
    let answers: BTreeMap<String, Result<u16, Failure>> =
        asked.buffer_unordered(AT_ONCE).collect().await;
    let endpoints = api.settings.endpoints.into_iter().zip(upstreams);
    let data = endpoints.map(|(endpoint, upstream)| {
        let answer = answers.get(&upstream).copied();
        let failure = answer.and_then(Result::err);
        CheckedEndpoint {
            host: endpoint.host,
            environment: endpoint.environment,
            reachable: answer.is_some_and(|a| a.is_ok()),
            status: answer.and_then(Result::ok),
            reason: failure.map(Failure::code),
            detail: failure.map(|f| f.to_string()),
            upstream,
        }
    });
    Ok(Reply::ok(CheckedUpstreams {
        data: data.collect(),
    }))
}
