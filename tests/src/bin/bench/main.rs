//! Measures the Worker against what it is compared with: same machine, same runtime (workerd, without wrangler),
//! interleaved rounds, medians. Run by `cargo xtask bench`.

mod storage;
mod workers;
mod wrk;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use keyward_tests::{Parts, root};

use workers::{Target, Workers};
use wrk::Request;

const ROUNDS: usize = 5;
const SECONDS: u32 = 3;

/// A line of the table: what is measured, and against what.
struct Line {
    what: &'static str,
    target: Target,
    request: Request,
    baseline: Option<&'static str>,
}

fn lines(token: &str) -> Vec<Line> {
    let get = |key: Option<&str>| Request::get("/v1/customers", key);
    let verify = |key: &str| Request::verify(key);
    vec![
        Line {
            what: "empty Worker",
            target: Target::Empty,
            request: get(None),
            baseline: None,
        },
        Line {
            what: "floor, same request as verify",
            target: Target::Floor,
            request: verify(token),
            baseline: Some("empty Worker"),
        },
        Line {
            what: "verify, hot key",
            target: Target::Edge,
            request: verify(token),
            baseline: Some("floor, same request as verify"),
        },
        Line {
            what: "floor, same request as a refusal",
            target: Target::Floor,
            request: get(Some(token)),
            baseline: Some("empty Worker"),
        },
        Line {
            what: "refused: malformed key",
            target: Target::Edge,
            request: get(Some("kw_prod_sk_short")),
            baseline: Some("floor, same request as a refusal"),
        },
        Line {
            what: "bare JavaScript pass-through",
            target: Target::PassThrough,
            request: get(Some(token)),
            baseline: Some("empty Worker"),
        },
        Line {
            what: "guarded and proxied, hot key",
            target: Target::Edge,
            request: get(Some(token)),
            baseline: Some("bare JavaScript pass-through"),
        },
    ]
}

#[tokio::main]
async fn main() -> Result<()> {
    let parts = Parts::find().map_err(anyhow::Error::msg)?;
    let folder = tempfile::tempdir()?;
    let workers = Workers::start(&parts, folder.path()).await?;
    let token = workers.token().to_owned();
    let lines = lines(&token);
    let mut rounds: Vec<Vec<f64>> = vec![Vec::new(); lines.len()];
    for round in 0..=ROUNDS {
        for (line, results) in lines.iter().zip(&mut rounds) {
            let url = workers.url(line.target);
            let per_second = wrk::run(folder.path(), &url, &line.request, SECONDS)
                .with_context(|| line.what.to_owned())?;
            // The first round warms up.
            if round > 0 {
                results.push(per_second);
            }
        }
    }
    println!("| what | requests/s | of its baseline | of an empty Worker |\n|---|---|---|---|");
    let medians: Vec<f64> = rounds.iter_mut().map(|r| median(r)).collect();
    let of = |name: &str| {
        lines
            .iter()
            .position(|l| l.what == name)
            .and_then(|i| medians.get(i))
    };
    for (line, per_second) in lines.iter().zip(&medians) {
        let ratio = line.baseline.and_then(of).map_or_else(
            || "1".to_owned(),
            |base| {
                format!(
                    "{:.2} of “{}”",
                    per_second / base,
                    line.baseline.unwrap_or_default()
                )
            },
        );
        let empty = of("empty Worker").map_or(0.0, |e| per_second / e);
        println!("| {} | {per_second:.0} | {ratio} | {empty:.2} |", line.what);
    }
    storage::report(&workers, folder.path()).await?;
    size(&parts.edge_build)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

fn size(build: &Path) -> Result<()> {
    let files = [
        "keyward_edge_bg.wasm",
        "keyward_edge.js",
        "worker.mjs",
        "proxy.mjs",
    ];
    let mut total = 0;
    for file in files {
        let gzip = std::process::Command::new("gzip")
            .args(["-9", "-c"])
            .arg(build.join(file))
            .output()?;
        ensure!(gzip.status.success(), "gzip failed in {}", root().display());
        total += gzip.stdout.len();
    }
    println!("\nbundle, gzipped: {:.1} KB", total as f64 / 1024.0);
    Ok(())
}
