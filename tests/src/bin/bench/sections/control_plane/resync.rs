//! A full delivery of everything to the built Worker.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use keyward_tests::{Edge, EdgeOptions};
use reqwest::Client;
use serde_json::json;

use super::{Site, many};
use crate::lab::Lab;
use crate::report::Report;
use crate::server::Server;

/// How long is watched: the rest is told by the rate.
const WATCHED: Duration = Duration::from_secs(120);
const QUICK: Duration = Duration::from_secs(20);
const TICK: Duration = Duration::from_millis(250);

/// Measures it; gives the site back, with its server started anew without an edge.
///
/// # Errors
/// When the edge does not start or takes nothing.
pub async fn run(lab: &Lab, report: &mut Report, site: Site) -> Result<Site> {
    let kind = site.kind.name();
    report.section(
        &format!("Control plane on {kind}: full delivery to a new edge"),
        "One server, the built Worker in one workerd with its guard and the simulated KV. What is not delivered within two \
         minutes is reckoned by the rate.",
    );
    let Site {
        kind: _,
        ref database,
        ref secrets,
        ..
    } = site;
    let client = Client::builder().no_proxy().build()?;
    let folder = lab.folder("resync")?;
    let nowhere = "http://127.0.0.1:9";
    let edge = Edge::start(
        &lab.parts,
        &folder,
        EdgeOptions::default(),
        secrets,
        nowhere,
        &client,
    )
    .await;
    let server = Server::start(lab, database, secrets, Some(edge.url())).await?;
    let started = Instant::now();
    let watched = if lab.quick { QUICK } else { WATCHED };
    let (done, took, half) = watch(&server, started, watched).await?;
    let count = many(lab);
    let rate = done as f64 / took;
    report.table(
        &[
            "records delivered",
            "seconds",
            "records/s",
            "first half, second half",
            "all, seconds",
            "server's memory, MB",
        ],
        &[vec![
            done.to_string(),
            format!("{took:.1}"),
            format!("{rate:.0}"),
            half,
            format!("{:.0}", count as f64 / rate),
            format!("{:.0}", server.peak()?),
        ]],
    );
    report.keep(
        &format!("resync {kind}"),
        json!({ "records": done, "seconds": took, "peakMb": server.peak()? }),
    );
    drop(server);
    drop(edge);
    Ok(site)
}

/// Records delivered until it is over or the time is, in how many seconds, and the rates of both halves.
async fn watch(server: &Server, started: Instant, watched: Duration) -> Result<(u64, f64, String)> {
    let mut seen: Vec<(f64, u64)> = vec![(0.0, 0)];
    loop {
        tokio::time::sleep(TICK).await;
        let answer = server.get("/v1/sync").await?;
        let target = answer["data"].get(0).context("the edge is known")?;
        let time = started.elapsed().as_secs_f64();
        match target["fullDelivery"]["done"].as_u64() {
            Some(done) => seen.push((time, done)),
            None if seen.len() > 1 => break,
            None if started.elapsed() > watched => bail!("nothing was delivered: {target}"),
            None => continue,
        }
        if started.elapsed() > watched {
            break;
        }
    }
    let (took, done) = seen.last().copied().unwrap_or_default();
    let (middle, half) = seen.get(seen.len() / 2).copied().unwrap_or_default();
    let rates = format!(
        "{:.0}/s, {:.0}/s",
        half as f64 / middle.max(1e-6),
        (done - half) as f64 / (took - middle).max(1e-6)
    );
    Ok((done, took, rates))
}
