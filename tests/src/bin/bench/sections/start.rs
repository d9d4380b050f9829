//! Size of the bundle, and how long an isolate takes to its first answer.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use keyward_tests::root;
use reqwest::Client;
use serde::Deserialize;
use serde_json::json;

use crate::compare::{median, ratio_of};
use crate::edge::Settings;
use crate::lab::Lab;
use crate::report::Report;
use crate::request::{Request, Want};
use crate::workerd::Workerd;

/// The bundle's bound, gzipped.
const MOST_BYTES: usize = 120_000;

#[derive(Default)]
struct Starts {
    listening: Vec<f64>,
    first: Vec<f64>,
    second: Vec<f64>,
}

/// Measures them.
///
/// # Errors
/// When a part does not start or answers wrongly.
pub async fn run(lab: &Lab, report: &mut Report) -> Result<()> {
    report.section(
        "Size and start",
        "A start is a new process on the same storage; the first answer of the edge takes the API's and the key's record from KV \
         and a lease from a guard that has to open its storage.",
    );
    match lab.bundle {
        Some(bytes) => {
            let found = format!("{:.1} KB", bytes as f64 / 1e3);
            println!("Bundle as deployed, gzipped: {found}.\n");
            report.bar(
                "bundle as deployed, gzipped",
                &found,
                "≤ 120 KB",
                bytes <= MOST_BYTES,
            );
        }
        None => println!("Bundle: not measured, `cargo xtask bench` does.\n"),
    }
    let mut edge = lab.edge(&Settings::default()).await?;
    let request = Request::verify(vec![edge.key(json!({})).await?], Want::Success);
    let mut empty = lab.worker("empty", &[]).await?;
    let (mut of_edge, mut of_empty) = (Starts::default(), Starts::default());
    for _ in 0..if lab.quick { 5 } else { 21 } {
        of_empty.add(lab, &mut empty, "empty", &request).await?;
        of_edge
            .add(lab, &mut edge.workerd, "edge", &request)
            .await?;
    }
    let row = |name: &str, starts: &Starts, base: &Starts| {
        vec![
            name.to_owned(),
            format!("{:.1}", median(&starts.listening)),
            format!("{:.1}", median(&starts.first)),
            format!("{:.1}", starts.first.iter().copied().fold(0.0, f64::max)),
            format!("{:.2}", median(&starts.second)),
            ratio_of(&starts.first, &base.first).to_string(),
        ]
    };
    report.table(
        &[
            "what",
            "process start to listening, ms",
            "first answer (cold), ms",
            "slowest first answer, ms",
            "second answer, ms",
            "first answer over the empty Worker's",
        ],
        &[
            row("empty Worker", &of_empty, &of_empty),
            row("Keyward", &of_edge, &of_empty),
        ],
    );
    let by_node = instantiate(lab)?;
    let module = median(&of_edge.listening) - median(&of_empty.listening);
    println!(
        "The module costs a start {module:.1} ms over the empty Worker's; in node its compilation takes {:.1} ms, its instantiation {:.2} ms.\n",
        by_node.compile, by_node.instantiate
    );
    report.keep(
        "start",
        json!({
            "bytes": lab.bundle, "coldMs": of_edge.first, "emptyColdMs": of_empty.first,
            "listeningMs": of_edge.listening, "emptyListeningMs": of_empty.listening,
            "nodeCompileMs": by_node.compile, "nodeInstantiateMs": by_node.instantiate,
        }),
    );
    Ok(())
}

impl Starts {
    async fn add(
        &mut self,
        lab: &Lab,
        workerd: &mut Workerd,
        worker: &str,
        request: &Request,
    ) -> Result<()> {
        let began = Instant::now();
        workerd.restart(&lab.parts).await?;
        self.listening.push(milliseconds(began.elapsed()));
        let client = Client::builder().no_proxy().build()?;
        for into in [&mut self.first, &mut self.second] {
            let began = Instant::now();
            let answer = request
                .call()
                .request(&client, &workerd.url(worker))
                .send()
                .await?;
            answer.error_for_status()?.bytes().await?;
            into.push(milliseconds(began.elapsed()));
        }
        Ok(())
    }
}

fn milliseconds(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

#[derive(Deserialize)]
struct ByNode {
    compile: f64,
    instantiate: f64,
}

fn instantiate(lab: &Lab) -> Result<ByNode> {
    let bundled = root().join("node_modules/.bin/node");
    let node = if bundled.is_file() {
        bundled
    } else {
        "node".into()
    };
    let wasm = std::fs::read_dir(&lab.parts.edge_build)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|e| e == "wasm"))
        .context("the built edge has a wasm module")?;
    let script = root().join("tests/bench/instantiate.mjs");
    let output = Command::new(node).arg(script).arg(wasm).output()?;
    ensure!(
        output.status.success(),
        "node: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(serde_json::from_slice(&output.stdout)?)
}
