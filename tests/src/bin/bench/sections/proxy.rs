//! A hot guarded request that is passed on to an upstream.

use anyhow::Result;
use serde_json::json;

use crate::compare::{Entrant, measure};
use crate::edge::Settings;
use crate::lab::Lab;
use crate::report::Report;
use crate::request::{Request, Want};
use crate::upstream;

const PASS: &str = "bare `fetch` pass-through";
const EDGE: &str = "Keyward, guarded and proxied";

/// Measures it.
///
/// # Errors
/// When a part does not start or answers wrongly.
pub async fn run(lab: &Lab, report: &mut Report) -> Result<()> {
    let upstream = upstream::start().await?;
    let settings = Settings {
        upstream: upstream.clone(),
        assertion: true,
        ..Settings::default()
    };
    let edge = lab.edge(&settings).await?;
    let request = Request::api(vec![edge.key(json!({})).await?], Want::Success);
    let pass = lab
        .worker("pass-through", &[("UPSTREAM", &upstream)])
        .await?;
    report.section(
        "Proxying: a hot key, passed on to an upstream",
        "`GET /v1/customers`, one thread, 16 connections; the upstream is a small hyper server in the benchmark's process.",
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
            entrant(EDGE, &edge.workerd, "edge"),
        ],
    )
    .await?;
    report.comparison(&measured, &[(EDGE, PASS)]);
    if let [pass, edge, ..] = measured.as_slice() {
        report.ratio_bar(
            "proxied, of a bare pass-through",
            edge.throughput(pass),
            0.90,
        );
    }
    report.keep("proxy", serde_json::to_value(&measured)?);
    Ok(())
}
