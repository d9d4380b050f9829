//! Storage calls of hot keys, counted outside the gate: around the guard, and in the simulated KV.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use crate::closed_loop;
use crate::edge::{Edge, Settings};
use crate::lab::Lab;
use crate::report::Report;
use crate::request::{Request, Want};

/// Keys of a busy isolate.
const MANY: usize = 16;

/// What a run of requests cost.
pub struct Calls {
    /// Answers.
    pub requests: u64,
    /// Calls of guards.
    pub guard: u64,
    /// Reads of KV.
    pub kv: u64,
    /// How long it took.
    pub seconds: f64,
}

impl Calls {
    fn per_thousand(&self, calls: u64) -> f64 {
        calls as f64 * 1_000.0 / self.requests.max(1) as f64
    }

    fn row(&self, name: &str) -> Vec<String> {
        vec![
            name.to_owned(),
            format!("{}", self.requests),
            format!("{:.2}", self.per_thousand(self.guard)),
            format!("{:.2}", self.per_thousand(self.kv)),
            format!("{:.1}", self.guard as f64 / self.seconds),
            format!("{:.1}", self.kv as f64 / self.seconds),
        ]
    }
}

/// The edge with a meter around its guard.
///
/// # Errors
/// When it does not start.
pub async fn counted(lab: &Lab) -> Result<Edge> {
    let settings = Settings {
        around: vec!["bench/meter.mjs"],
        ..Settings::default()
    };
    lab.edge(&settings).await
}

/// Sends requests for some seconds, after one to warm up, and counts.
///
/// # Errors
/// When an answer is not what it should be.
pub async fn count(edge: &Edge, request: &Request, seconds: u64) -> Result<Calls> {
    let wire = closed_loop::warm(&edge.url(), request).await?;
    let before = counters(edge).await?;
    let (_, seen) = wire.run(Duration::from_secs(seconds)).await?;
    let after = counters(edge).await?;
    Ok(Calls {
        requests: seen.requests,
        guard: after.0 - before.0,
        kv: after.1 - before.1,
        seconds: seen.took.as_secs_f64(),
    })
}

/// Calls of guards, and reads of KV.
async fn counters(edge: &Edge) -> Result<(u64, u64)> {
    let get = async |url: String| -> Result<Value> {
        Ok(reqwest::get(url).await?.error_for_status()?.json().await?)
    };
    let guard = get(format!("{}/__meter", edge.url())).await?;
    let kv = get(format!("{}/__simulation/counts", edge.workerd.url("kv"))).await?;
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    Ok((number(&guard["calls"]), number(&kv["reads"])))
}

/// Measures them.
///
/// # Errors
/// When a part does not start or answers wrongly.
pub async fn run(lab: &Lab, report: &mut Report) -> Result<()> {
    let edge = counted(lab).await?;
    let strict = json!({ "enforcement": "strict" });
    let verify = |keys| Request::verify(keys, Want::Success);
    let kinds = [
        ("leased, 1 key", verify(edge.keys(1, &json!({})).await?)),
        (
            "leased, 16 keys at once",
            verify(edge.keys(MANY, &json!({})).await?),
        ),
        ("strict, 1 key", verify(edge.keys(1, &strict).await?)),
        (
            "strict, 16 keys at once",
            verify(edge.keys(MANY, &strict).await?),
        ),
    ];
    report.section(
        "Storage calls of hot keys",
        "`GET /.keyward/verify`, one thread, 16 connections; calls counted around the guard and in the simulated KV. \
         What is renewed by time is renewed as often at any load, so per 1,000 requests it is less the more come.",
    );
    let seconds = if lab.quick { 2 } else { 5 };
    let mut rows = Vec::new();
    let mut figures = serde_json::Map::new();
    for (name, request) in &kinds {
        let calls = count(&edge, request, seconds).await?;
        rows.push(calls.row(name));
        let (guard, kv) = (
            calls.per_thousand(calls.guard),
            calls.per_thousand(calls.kv),
        );
        figures.insert(
            (*name).to_owned(),
            json!({ "requests": calls.requests, "guard": guard, "kv": kv }),
        );
        let what = format!("storage calls per 1,000 requests, {name}");
        if name.starts_with("leased") {
            report.bar(
                &what,
                &format!("{:.2}", guard + kv),
                "≤ 5",
                guard + kv <= 5.0,
            );
        } else {
            // The API's record is read again now and then, whatever the keys.
            let met = (guard - 1_000.0).abs() <= 20.0 && kv < 5.0;
            report.bar(
                &what,
                &format!("{guard:.0} guard, {kv:.2} KV"),
                "1,000 guard, no KV but the API's record",
                met,
            );
        }
    }
    let header = [
        "keys",
        "requests",
        "guard calls per 1,000",
        "KV reads per 1,000",
        "guard calls/s",
        "KV reads/s",
    ];
    report.table(&header, &rows);
    report.keep("storage", Value::Object(figures));
    Ok(())
}
