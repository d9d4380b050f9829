//! `GET /v1/keys/{id}/usage`: what a key was used for, over time.

use std::collections::BTreeMap;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use shared::Millis;
use utoipa::{IntoParams, ToSchema};

use crate::auth::Admin;
use crate::error::ApiError;
use crate::http::body::Reply;
use crate::http::params::{Id, Params};
use crate::openapi::names::KeyId;
use crate::openapi::schema::schema;
use crate::state::AppState;
use crate::store::keys;
use crate::store::usage::{self, Sum};
use crate::timestamp::Timestamp;
use crate::validate::Checks;

const MINUTE: Millis = 60_000;
/// The most spans that may lie between `from` and `to`.
const MAX_POINTS: u64 = 10_000;
/// How much is shown if nothing is said, in minutes.
const DEFAULT_RANGE: u64 = 24 * 60;
/// In minutes.
const STEPS: [(&str, u64); 3] = [("minute", 1), ("hour", 60), ("day", 24 * 60)];

schema! {
    /// How long each span is.
    Step = word(&STEPS).examples(["hour"]);
    /// Requests by outcome: `ok`, or the code of the refusal.
    Outcomes as "Outcomes" = counts().examples([serde_json::json!({"ok": 1_200, "rate_limited": 4})]);
}

/// The query string.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct UsageQuery {
    /// Where to begin; a day before the end by default.
    #[param(inline, value_type = Option<Timestamp>)]
    from: Option<String>,
    /// Where to end; now by default.
    #[param(inline, value_type = Option<Timestamp>)]
    to: Option<String>,
    #[param(inline, value_type = Option<Step>)]
    step: Option<String>,
}

/// Usage over time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KeyUsage)]
#[serde(rename_all = "camelCase")]
pub struct UsageView {
    from: Timestamp,
    to: Timestamp,
    #[schema(value_type = Step)]
    step: &'static str,
    /// The spans in order; those without requests are left out.
    data: Vec<Point>,
}

/// One span in which the key was used.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsagePoint)]
#[serde(rename_all = "camelCase")]
struct Point {
    /// When it begins.
    start: Timestamp,
    /// Requests, refused ones included.
    requests: u64,
    /// Units that they cost.
    cost: u64,
    #[schema(value_type = Outcomes)]
    by_code: BTreeMap<String, u64>,
}

/// Whole spans from before `from` to after `to`, in minutes since the epoch.
struct Range {
    from: u64,
    to: u64,
    step: u64,
    step_name: &'static str,
}

/// Show a key's usage
///
/// The sums by span and outcome. At most 10,000 spans may lie between `from` and `to`.
#[utoipa::path(
    get, path = "/keys/{id}/usage", operation_id = "showKeyUsage", tag = "Keys",
    params(("id" = inline(KeyId), Path), UsageQuery),
    responses((status = 200, description = "The key's usage over time.", body = UsageView)),
    security(("adminToken" = ["usage.read"])),
)]
pub async fn show(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
    Params(query): Params<UsageQuery>,
) -> Result<Reply<UsageView>, ApiError> {
    let range = query.check(state.now())?;
    let mut conn = state.store().read().await?;
    // A deleted key keeps its history.
    let key = keys::find_with_deleted(&mut conn, &admin.account, &id)
        .await?
        .ok_or_else(|| ApiError::no("key", &id))?;
    let sums = usage::sums(&mut conn, &key.id, range.from, range.to, range.step).await?;
    Ok(Reply::ok(UsageView {
        from: Timestamp(range.from * MINUTE),
        to: Timestamp(range.to * MINUTE),
        step: range.step_name,
        data: points(sums, range.step),
    }))
}

impl UsageQuery {
    fn check(&self, now: Millis) -> Result<Range, ApiError> {
        let mut checks = Checks::default();
        let mut minute = |field: &str, text: Option<&str>| {
            let time = text.and_then(|t| checks.accept(field, Timestamp::parse(t)));
            time.map(|t| t.0)
        };
        let (from, to) = (
            minute("from", self.from.as_deref()),
            minute("to", self.to.as_deref()),
        );
        let name = self.step.as_deref().unwrap_or("hour");
        let step = checks.word("step", name, &STEPS).unwrap_or(60);
        let to = to.unwrap_or(now).div_ceil(step * MINUTE) * step;
        let from = from.map_or(to.saturating_sub(DEFAULT_RANGE), |at| at / MINUTE);
        let from = from / step * step;
        if from >= to {
            checks.fail("from", "must lie before `to`");
        } else if (to - from) / step > MAX_POINTS {
            let detail = format!("at most {MAX_POINTS} steps may lie between from and to");
            checks.fail("step", detail);
        }
        checks.finish()?;
        let step_name = STEPS.iter().find(|(_, minutes)| *minutes == step);
        Ok(Range {
            from,
            to,
            step,
            step_name: step_name.map_or("hour", |(name, _)| name),
        })
    }
}

fn points(sums: Vec<Sum>, step: u64) -> Vec<Point> {
    let mut points: Vec<Point> = Vec::new();
    for sum in sums {
        let start = Timestamp(sum.span * step * MINUTE);
        if points.last().is_none_or(|point| point.start != start) {
            points.push(Point {
                start,
                requests: 0,
                cost: 0,
                by_code: BTreeMap::new(),
            });
        }
        if let Some(point) = points.last_mut() {
            point.requests += sum.requests;
            point.cost += sum.cost;
            point.by_code.insert(sum.code, sum.requests);
        }
    }
    points
}
