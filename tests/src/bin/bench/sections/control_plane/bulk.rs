//! Import and export of very many keys.

use std::time::Instant;

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Account, FEW, Site, many};
use crate::lab::Lab;
use crate::report::Report;

const DAY: u64 = 24 * 3_600_000;
/// Over how long the keys were made.
const SPREAD: u64 = 400 * DAY;

/// Fills both accounts.
///
/// # Errors
/// When an import is refused.
pub async fn import(lab: &Lab, report: &mut Report, site: &Site) -> Result<()> {
    let kind = site.kind.name();
    report.section(
        &format!("Control plane on {kind}: import"),
        &format!(
            "`POST /v1/imports`, one body of lines, into one account. Storage is {}. Memory is the most that the server ever \
             had.",
            lab.disk()
        ),
    );
    send(site, &site.small, FEW, "small").await?;
    let count = many(lab);
    let started = Instant::now();
    send(site, &site.large, count, "large").await?;
    let took = started.elapsed().as_secs_f64();
    let peak = site.server.peak()?;
    let rate = count as f64 / took;
    report.table(
        &["keys", "seconds", "keys/s", "server's memory, MB"],
        &[vec![
            count.to_string(),
            format!("{took:.1}"),
            format!("{rate:.0}"),
            format!("{peak:.0}"),
        ]],
    );
    report.keep(
        &format!("import {kind}"),
        json!({ "keys": count, "seconds": took, "peakMb": peak }),
    );
    Ok(())
}

async fn send(site: &Site, account: &Account, count: u64, series: &'static str) -> Result<()> {
    let now = keyward_tests::now();
    let mut lines = String::new();
    for number in 0..count {
        lines += &line(number, count, series, &account.owner, now);
        lines.push('\n');
    }
    let path = format!("/v1/imports?account={}", account.id);
    let request = site.server.call(Method::POST, &path);
    let request = request.header("content-type", "application/x-ndjson");
    let answer = request.body(lines).send().await?;
    let answer: Value = answer.error_for_status()?.json().await?;
    ensure!(answer["created"] == count, "{answer}");
    Ok(())
}

/// One key in 50 is in staging, one in 100 is revoked, one in 200 expired, one in 20 owned; the oldest comes first.
fn line(number: u64, count: u64, series: &str, owner: &str, now: u64) -> String {
    let id = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let is = |each: u64, rest: u64| number % each == rest;
    let mut line = json!({
        "hash": format!("{id:016x}{number:016x}{series:0>32}").replace(|c: char| !c.is_ascii_hexdigit() || c.is_ascii_uppercase(), "0"),
        "name": format!("{series} customer {number}"),
        "start": "kw_prod_sk_Ab3d",
        "last8": format!("{:08x}", id >> 32),
        "status": if is(100, 7) { "revoked" } else { "active" },
        "environment": if is(50, 11) { "staging" } else { "production" },
        "createdAt": keyward_tests::rfc3339(now - SPREAD + SPREAD / count * number),
    });
    if is(200, 3) {
        line["expiresAt"] = json!(keyward_tests::rfc3339(now - DAY));
    }
    if is(20, 13) {
        line["ownerId"] = json!(owner);
    }
    line.to_string()
}

/// Reads all keys of the large account.
///
/// # Errors
/// When lines are missing.
pub async fn export(lab: &Lab, report: &mut Report, site: &Site) -> Result<()> {
    let kind = site.kind.name();
    report.section(
        &format!("Control plane on {kind}: export"),
        "`GET /v1/keys/export` of the same account.",
    );
    let started = Instant::now();
    let path = format!("/v1/keys/export?account={}", site.large.id);
    let answer = site.server.call(Method::GET, &path).send().await?;
    let mut answer = answer.error_for_status()?;
    let mut lines = 0;
    while let Some(bytes) = answer.chunk().await? {
        lines += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
    }
    let took = started.elapsed().as_secs_f64();
    ensure!(lines >= many(lab), "{lines} lines");
    report.table(
        &[
            "keys",
            "seconds",
            "keys/s",
            "server's memory since its start, MB",
        ],
        &[vec![
            lines.to_string(),
            format!("{took:.1}"),
            format!("{:.0}", lines as f64 / took),
            format!("{:.0}", site.server.peak()?),
        ]],
    );
    report.keep(
        &format!("export {kind}"),
        json!({ "keys": lines, "seconds": took }),
    );
    Ok(())
}
