//! A hot guarded request that is passed on to an upstream.

use anyhow::Result;
use serde_json::json;

use crate::compare::{Entrant, measure};
use crate::edge::Settings;
use crate::lab::Lab;
use crate::passage::Passage;
use crate::report::Report;
use crate::request::{Request, Want};
use crate::upstream;

const PASS: &str = "bare `fetch` pass-through";
const ALIKE: &str = "pass-through that writes the same headers";
const EDGE: &str = "Keyward, guarded and proxied";
const SIGNING: &str = "Keyward, with a signed assertion for the upstream";

/// Measures it.
///
/// # Errors
/// When a part does not start or answers wrongly.
pub async fn run(lab: &Lab, report: &mut Report) -> Result<()> {
    let upstream = upstream::start().await?;
    let with = |assertion| Settings {
        upstream: upstream.clone(),
        assertion,
        ..Settings::default()
    };
    let edge = lab.edge(&with(false)).await?;
    let signing = lab.edge(&with(true)).await?;
    let request = Request::api(vec![edge.key(json!({})).await?], Want::Success);
    let to_signing = Request::api(vec![signing.key(json!({})).await?], Want::Success);
    let pass = lab
        .worker("pass-through", &[("UPSTREAM", &upstream)])
        .await?;
    let passage = Passage::observe(&request, &edge.url(), &pass.url("pass-through")).await?;
    let alike = passage.alike(lab, &upstream).await?;
    report.section(
        "Proxying: a hot key, passed on to an upstream",
        &format!(
            "`GET /v1/customers`, one thread, 16 connections; the upstream is a small hyper server in the benchmark's \
             process. The gate {}.",
            passage.describe()
        ),
    );
    let entrant = |name, workerd, worker| Entrant {
        name,
        workerd,
        worker,
        request: &request,
        brief: false,
    };
    let measured = measure(
        lab.pace(),
        &[
            entrant(PASS, &pass, "pass-through"),
            entrant(ALIKE, &alike, "alike"),
            entrant(EDGE, &edge.workerd, "edge"),
            Entrant {
                request: &to_signing,
                ..entrant(SIGNING, &signing.workerd, "edge")
            },
        ],
    )
    .await?;
    let pairs = [(EDGE, PASS), (EDGE, ALIKE), (ALIKE, PASS), (SIGNING, PASS)];
    report.comparison(&measured, &pairs);
    if let [pass, alike, edge, ..] = measured.as_slice() {
        report.ratio_bar(
            "proxied, of a bare pass-through",
            edge.throughput(pass),
            0.90,
        );
        report.ratio_bar(
            "proxied, of a pass-through that writes the same headers",
            edge.throughput(alike),
            0.90,
        );
    }
    report.keep("proxy", serde_json::to_value(&measured)?);
    Ok(())
}
