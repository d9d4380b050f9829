//! Latency at a fixed rate.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use crate::compare::{Ratio, ratio_of};
use crate::lab::Lab;
use crate::open_loop::{self, Latencies};
use crate::report::Report;
use crate::request::{Request, Want};
use crate::sections::storage;

/// Requests a second: far from what a core can do, so that queues don't decide.
const RATE: f64 = 500.0;
/// The same where each is a transaction of the guard.
const STRICT_RATE: f64 = 100.0;
/// How far away the guard is, where that is tried.
const FAR: Duration = Duration::from_millis(50);
const EMPTY: &str = "empty Worker";
const FAR_HOT: &str = "hot, leases renewed from a guard 50 ms away";

struct Kind {
    name: &'static str,
    url: String,
    request: Request,
    rate: f64,
    far: bool,
    all: Latencies,
    p50: Vec<f64>,
    p99: Vec<f64>,
}

/// Measures it.
///
/// # Errors
/// When a part does not start or answers wrongly.
pub async fn run(lab: &Lab, report: &mut Report) -> Result<()> {
    let edge = storage::counted(lab).await?;
    let empty = lab.worker("empty", &[]).await?;
    let hot = Request::verify(vec![edge.key(json!({})).await?], Want::Success);
    let strict = json!({ "enforcement": "strict" });
    let strict = Request::verify(vec![edge.key(strict).await?], Want::Success);
    let kind = |name, url: &str, request: &Request, rate, far| Kind {
        name,
        url: url.to_owned(),
        request: request.clone(),
        rate,
        far,
        all: Latencies::default(),
        p50: Vec::new(),
        p99: Vec::new(),
    };
    let gate = edge.url();
    let mut kinds = [
        kind(EMPTY, &empty.url("empty"), &hot, RATE, false),
        kind(
            "hot, leases renewed every 0.6 s or so",
            &gate,
            &hot,
            RATE,
            false,
        ),
        kind(FAR_HOT, &gate, &hot, RATE, true),
        kind(
            "strict: the guard asked for each",
            &gate,
            &strict,
            STRICT_RATE,
            false,
        ),
    ];
    report.section(
        "Latency at a fixed rate",
        &format!(
            "`GET /.keyward/verify`, {RATE:.0} requests a second (strict: {STRICT_RATE:.0}), open loop: counted from when each was due. The first request of an \
             isolate is under “Size and start”."
        ),
    );
    let (rounds, seconds) = if lab.quick { (2, 3) } else { (4, 4) };
    for _ in 0..rounds {
        for kind in &mut kinds {
            set_delay(&gate, if kind.far { FAR } else { Duration::ZERO }).await?;
            let found = open_loop::run(
                &kind.url,
                &kind.request,
                kind.rate,
                Duration::from_secs(seconds),
            )
            .await?;
            kind.p50.push(found.quantile(0.5));
            kind.p99.push(found.quantile(0.99));
            kind.all.add(found);
        }
    }
    show(report, &kinds);
    Ok(())
}

fn show(report: &mut Report, kinds: &[Kind]) {
    let mut rows = Vec::new();
    let mut figures = serde_json::Map::new();
    for kind in kinds {
        let [p50, p99, most] = [0.5, 0.99, 1.0].map(|q| kind.all.quantile(q));
        let over = |pick: fn(&Kind) -> &Vec<f64>| -> Ratio {
            let base = kinds.first().map(pick).cloned().unwrap_or_default();
            ratio_of(pick(kind), &base)
        };
        let (of_p50, of_p99) = (over(|k| &k.p50), over(|k| &k.p99));
        rows.push(vec![
            kind.name.to_owned(),
            format!("{p50:.2}"),
            format!("{p99:.2}"),
            format!("{most:.1}"),
            kind.all.wrong.to_string(),
            of_p50.to_string(),
            of_p99.to_string(),
        ]);
        figures.insert(
            kind.name.to_owned(),
            json!({ "p50": p50, "p99": p99, "max": most }),
        );
        if kind.name == FAR_HOT {
            let far = FAR.as_secs_f64() * 1e3;
            report.bar(
                "p99 of a hot key whose leases come from 50 ms away",
                &format!("{p99:.2} ms"),
                "< 50 ms: nobody waits for a renewal",
                p99 < far,
            );
        }
    }
    let header = [
        "what",
        "p50 ms",
        "p99 ms",
        "max ms",
        "not admitted",
        "p50 over the empty Worker's",
        "p99 over the empty Worker's",
    ];
    report.table(&header, &rows);
    report.keep("latency", Value::Object(figures));
}

async fn set_delay(gate: &str, delay: Duration) -> Result<()> {
    let url = format!("{gate}/__meter?delay={}", delay.as_millis());
    let answer = reqwest::Client::new().put(url).send().await?;
    answer.error_for_status()?;
    Ok(())
}
