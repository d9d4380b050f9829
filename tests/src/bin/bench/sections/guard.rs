//! What one guard sustains.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use shared::account;
use shared::message::{GuardCall, KeyAsk, Report as GateReport, Settled};
use shared::token::KeyHash;
use shared::usage::{Tally, UsageCell, UsageRow};

use crate::compare::{median, ratio_of};
use crate::edge::{ACCOUNT, Edge, Settings};
use crate::fill::Shelf;
use crate::lab::Lab;
use crate::report::Report;

/// Gates that ask at once.
const GATES: usize = 16;

struct Kind {
    name: String,
    edge: Edge,
    keys: i64,
    per_second: Vec<f64>,
    cpu: Vec<f64>,
}

/// Measures it.
///
/// # Errors
/// When a part does not start or answers wrongly.
pub async fn run(lab: &Lab, report: &mut Report) -> Result<()> {
    report.section(
        "Guard: leases a second",
        &format!(
            "{GATES} gates call one guard over Workers RPC, each call a lease, the settlement of the lease before and a row of usage, the \
             keys by turns. The CPU is that of gates, RPC and guard together; storage is {}.",
            lab.disk()
        ),
    );
    let sizes: &[i64] = if lab.quick {
        &[1, 10_000]
    } else {
        &[1, 100, 10_000, 1_000_000]
    };
    let mut kinds = Vec::new();
    for keys in sizes {
        kinds.push(Kind {
            name: format!("{keys} keys"),
            edge: filled(lab, *keys, Vec::new()).await?,
            keys: *keys,
            per_second: Vec::new(),
            cpu: Vec::new(),
        });
    }
    let (rounds, seconds) = if lab.quick { (2, 1) } else { (4, 2) };
    for round in 0..=rounds {
        for kind in &mut kinds {
            let before = kind.edge.workerd.cpu()?;
            let calls = lease(&kind.edge, kind.keys, seconds).await?;
            let cpu = kind.edge.workerd.cpu()?.saturating_sub(before);
            if round > 0 {
                kind.per_second.push(calls / f64::from(seconds));
                kind.cpu.push(cpu.as_secs_f64() * 1e6 / calls.max(1.0));
            }
        }
    }
    show(report, &kinds);
    rows(lab, report).await
}

fn show(report: &mut Report, kinds: &[Kind]) {
    let Some(first) = kinds.first() else { return };
    let rows: Vec<Vec<String>> = kinds
        .iter()
        .map(|kind| {
            vec![
                kind.name.clone(),
                format!("{:.0}", median(&kind.per_second)),
                format!("{:.0}", median(&kind.cpu)),
                ratio_of(&kind.per_second, &first.per_second).to_string(),
                ratio_of(&first.cpu, &kind.cpu).to_string(),
            ]
        })
        .collect();
    report.table(
        &[
            "keys of the account",
            "leases/s",
            "CPU µs/lease",
            "leases/s over one key's",
            "same of CPU",
        ],
        &rows,
    );
    let figures = kinds.iter().map(|k| {
        (
            k.name.clone(),
            json!({ "perSecond": k.per_second, "cpu": k.cpu }),
        )
    });
    report.keep("guard", Value::Object(figures.collect()));
}

/// An edge whose guard has this many keys more.
async fn filled(lab: &Lab, keys: i64, around: Vec<&'static str>) -> Result<Edge> {
    let settings = Settings {
        around,
        gates: true,
        ..Settings::default()
    };
    let mut edge = lab.edge(&settings).await?;
    let mut shelf = Shelf::open(&mut edge).await?;
    shelf.add(keys).await?;
    shelf.close(lab, &mut edge).await?;
    Ok(edge)
}

/// Has the gates ask for some seconds; gives the number of leases.
async fn lease(edge: &Edge, keys: i64, seconds: u32) -> Result<f64> {
    let guard = account::guard_name(ACCOUNT).context("an account has a guard")?;
    let load = json!({ "guard": guard, "template": template(), "keys": keys, "gates": GATES, "seconds": seconds });
    let answer = reqwest::Client::new()
        .post(edge.workerd.url("gates"))
        .json(&load)
        .send()
        .await?;
    let answer: Value = answer
        .error_for_status()
        .context("a lease was refused; see workerd.log")?
        .json()
        .await?;
    Ok(answer["calls"].as_f64().unwrap_or(0.0))
}

/// A call as a gate makes it, with a lease to settle and something to count.
fn template() -> GuardCall {
    let settled = Settled {
        key: String::new(),
        lease: 0,
        spent: 0,
    };
    let cell = UsageCell {
        key: "key_fill000000000000".to_owned(),
        api: "api_bench".to_owned(),
        minute: keyward_tests::now() / 60_000,
        code: "ok".to_owned(),
        class: 2,
    };
    let tally = Tally {
        count: 90,
        cost: 90,
        latency_ms: 0,
        last_at: keyward_tests::now(),
    };
    GuardCall {
        ask: Some(KeyAsk {
            hash: KeyHash::of(""),
            version: 1,
            want: 100,
            need: 1,
        }),
        report: Some(GateReport {
            seq: 0,
            settled: vec![settled],
            usage: vec![UsageRow { cell, tally }],
        }),
        ..GuardCall::default()
    }
}

/// Rows that a lease reads and writes, as SQLite counts them.
async fn rows(lab: &Lab, report: &mut Report) -> Result<()> {
    let edge = filled(lab, 100, vec!["bench/meter.mjs"]).await?;
    let meter = async || -> Result<Value> {
        Ok(reqwest::get(format!("{}/__meter", edge.url()))
            .await?
            .error_for_status()?
            .json()
            .await?)
    };
    lease(&edge, 100, 1).await?;
    let before = meter().await?;
    lease(&edge, 100, 1).await?;
    let after = meter().await?;
    let grown =
        |name: &str| after[name].as_f64().unwrap_or(0.0) - before[name].as_f64().unwrap_or(0.0);
    let each = |name: &str| grown(name) / grown("calls").max(1.0);
    let (written, read) = (each("written"), each("read"));
    println!("Rows of storage for each such call: {written:.2} written, {read:.2} read.\n");
    report.keep("rowsPerLease", json!({ "written": written, "read": read }));
    Ok(())
}
