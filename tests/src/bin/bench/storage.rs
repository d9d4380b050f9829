//! Storage calls of a hot key, counted by the gate itself.

use std::path::Path;

use anyhow::Result;

use crate::workers::{Target, Workers};
use crate::wrk::{self, Request};

const SECONDS: u32 = 5;

/// Prints KV reads and guard calls per 1,000 requests of a hot key.
pub async fn report(workers: &Workers, folder: &Path) -> Result<()> {
    let before = workers.counters().await?;
    wrk::run(
        folder,
        &workers.url(Target::Edge),
        &Request::verify(workers.token()),
        SECONDS,
    )?;
    let after = workers.counters().await?;
    let grown =
        |name: &str| after[name].as_f64().unwrap_or(0.0) - before[name].as_f64().unwrap_or(0.0);
    let thousands = grown("requests") / 1_000.0;
    println!(
        "\nstorage calls per 1,000 hot requests: {:.2} guard, {:.2} KV (over {:.0} requests)",
        grown("guardCalls") / thousands,
        grown("kvReads") / thousands,
        grown("requests"),
    );
    Ok(())
}
