//! Memory of an isolate that sees very many keys.

use anyhow::{Context, Result};
use serde::Serialize;
use shared::token::Token;

use crate::distinct;
use crate::edge::{Edge, Settings};
use crate::fill::Shelf;
use crate::lab::Lab;
use crate::report::Report;

/// A gate remembers 20,000 keys: from there on it must not grow.
const STEPS: [usize; 5] = [100, 10_000, 20_000, 30_000, 40_000];
const FULL: usize = 20_000;
const MORE: [usize; 2] = [70_000, 100_000];
const MB: f64 = 1e6;

/// What an isolate weighs after so many keys.
#[derive(Serialize)]
struct Weight {
    keys: usize,
    wasm: f64,
    resident: f64,
}

/// Measures it.
///
/// # Errors
/// When a part does not start or answers wrongly.
pub async fn run(lab: &Lab, report: &mut Report) -> Result<()> {
    report.section(
        "Memory: distinct keys at one isolate",
        "Each key is asked for once. Resident memory is that of a workerd with the gate, its guard and the simulated KV, garbage \
         not yet collected included; wasm memory is what gate and guard hold, and never shrinks.",
    );
    let mut steps = STEPS.to_vec();
    if lab.quick {
        steps.truncate(2);
    } else if lab.long {
        steps.extend(MORE);
    }
    let settings = Settings {
        around: vec!["bench/weigher.mjs", "bench/instances.mjs"],
        ..Settings::default()
    };
    let mut edge = lab.edge(&settings).await?;
    let all = steps.last().copied().unwrap_or(0);
    let tokens: Result<Vec<Token>> = (0..all).map(|_| edge.mint()).collect();
    let tokens = tokens?;
    let mut shelf = Shelf::open(&mut edge).await?;
    shelf.add_tokens(&tokens).await?;
    shelf.close(lab, &mut edge).await?;
    let mut weights: Vec<Weight> = Vec::new();
    for step in steps {
        let sent = weights.last().map_or(0, |weight| weight.keys);
        let keys = tokens.get(sent..step).unwrap_or_default();
        let keys = keys.iter().map(|token| token.expose().to_owned()).collect();
        distinct::send(&edge.url(), keys)
            .await
            .context("a key of many")?;
        weights.push(weigh(&edge, step).await?);
    }
    show(report, &weights)
}

async fn weigh(edge: &Edge, keys: usize) -> Result<Weight> {
    let wasm = reqwest::get(format!("{}/__wasm", edge.url())).await?;
    let wasm: f64 = wasm.error_for_status()?.text().await?.parse()?;
    let resident = edge.workerd.resident()? as f64;
    Ok(Weight {
        keys,
        wasm: wasm / MB,
        resident: resident / MB,
    })
}

fn show(report: &mut Report, weights: &[Weight]) -> Result<()> {
    let rows: Vec<Vec<String>> = weights
        .iter()
        .map(|w| {
            let [wasm, resident] = [w.wasm, w.resident].map(|mb| format!("{mb:.0}"));
            vec![w.keys.to_string(), wasm, resident]
        })
        .collect();
    report.table(
        &["keys so far", "wasm memory, MB", "resident memory, MB"],
        &rows,
    );
    let full = weights.iter().find(|w| w.keys == FULL);
    if let (Some(full), Some(last)) = (full, weights.last()) {
        let [wasm, resident] =
            [last.wasm / full.wasm, last.resident / full.resident].map(|of| (of - 1.0) * 100.0);
        report.bar(
            &format!("memory from {FULL} to {} keys", last.keys),
            &format!("wasm {wasm:+.0} %, resident {resident:+.0} %"),
            "≤ +15 %: bounded",
            wasm <= 15.0 && resident <= 15.0,
        );
    }
    report.keep("memory", serde_json::to_value(weights)?);
    Ok(())
}
