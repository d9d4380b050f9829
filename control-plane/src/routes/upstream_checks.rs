//! `/v1/apis/{id}/check-upstream`: whether the upstreams of an API answer, seen from here.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use futures_util::{StreamExt, stream};
use serde::Serialize;

use crate::auth::Admin;
use crate::error::ApiError;
use crate::http::body::Reply;
use crate::http::params::Id;
use crate::outbound::Failure;
use crate::state::AppState;
use crate::store::apis;

/// How many upstreams are asked at a time: the most that an API has are done well within a request's time.
const AT_ONCE: usize = 25;

/// The routes.
pub fn router() -> Router<AppState> {
    Router::new().route("/apis/{id}/check-upstream", post(check))
}

#[derive(Debug, Serialize)]
struct Checked {
    /// One for each endpoint, in their order.
    data: Vec<CheckedEndpoint>,
}

#[derive(Debug, Serialize)]
struct CheckedEndpoint {
    host: String,
    environment: String,
    upstream: String,
    /// Whether there was an answer, whatever its status.
    reachable: bool,
    /// The answer's status.
    status: Option<u16>,
    /// Why there was none, for programs: `not_public`, `timeout` …
    reason: Option<&'static str>,
    /// The same for people.
    detail: Option<String>,
}

/// Sends `HEAD /` to each upstream, once.
async fn check(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
) -> Result<Reply<Checked>, ApiError> {
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
    Ok(Reply::ok(Checked {
        data: data.collect(),
    }))
}
