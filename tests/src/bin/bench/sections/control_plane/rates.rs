//! What create and read sustain, as ratios to bare handlers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::json;

use super::{Site, text};
use crate::bare::Bare;
use crate::compare::median;
use crate::lab::Lab;
use crate::report::Report;
use crate::server::Server;

/// Callers at once.
const CALLERS: usize = 16;

type Make = Arc<dyn Fn() -> RequestBuilder + Send + Sync>;

/// Measures them in turn.
///
/// # Errors
/// When a call fails.
pub async fn run(lab: &Lab, report: &mut Report, site: &Site) -> Result<()> {
    let kind = site.kind.name();
    report.section(
        &format!("Control plane on {kind}: create and read, beside bare handlers"),
        "`POST /v1/keys` and `GET /v1/keys/{id}`, 16 callers. The baseline is axum and sqlx alone, in a process of its own with \
         the same pools and settings: the same row and hash written in one transaction into the same indexed tables, or the \
         same row read; no admin token, no audit log, no outbox, no checks. Both databases are new. Ratios are of \
         interleaved rounds.",
    );
    let database = site.kind.database(lab, "rates").await?;
    let server = Server::start(lab, &database, &site.secrets, None).await?;
    let baseline = site.kind.database(lab, "bare").await?;
    // Makes the tables.
    let tables = Server::start(lab, &baseline, &site.secrets, None).await?;
    let me = tables.get("/v1/me").await?;
    let account = text(&me["account"], "id");
    drop(tables);
    let bare = Bare::start(&baseline).await?;

    let client = Client::builder().no_proxy().build()?;
    let ours = text(
        &server.post("/v1/keys", &json!({"name": "Read"})).await?,
        "id",
    );
    let body = json!({ "name": "Read", "accountId": account });
    let url = bare.url("/v1/keys");
    let theirs = client.post(&url).json(&body).send().await?;
    let theirs = text(&theirs.error_for_status()?.json().await?, "id");
    let server = Arc::new(server);
    let calls: [(&str, Make, Make); 2] = [
        (
            "create",
            {
                let server = Arc::clone(&server);
                Arc::new(move || {
                    server
                        .call(Method::POST, "/v1/keys")
                        .json(&json!({"name": "One more"}))
                })
            },
            {
                let client = client.clone();
                Arc::new(move || client.post(&url).json(&body))
            },
        ),
        (
            "read",
            {
                let (server, path) = (Arc::clone(&server), format!("/v1/keys/{ours}"));
                Arc::new(move || server.call(Method::GET, &path))
            },
            {
                let (client, url) = (client.clone(), bare.url(&format!("/v1/keys/{theirs}")));
                Arc::new(move || client.get(&url))
            },
        ),
    ];
    let (rounds, turn) = if lab.quick {
        (3, Duration::from_millis(500))
    } else {
        (7, Duration::from_secs(1))
    };
    let mut rows = Vec::new();
    for (name, ours, theirs) in calls {
        let (mut one, mut other, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..=rounds {
            let (a, b) = (rate(&ours, turn).await?, rate(&theirs, turn).await?);
            if round > 0 {
                one.push(a);
                other.push(b);
                ratios.push(a / b);
            }
        }
        let ends = |of: fn(f64, f64) -> f64, from| ratios.iter().copied().fold(from, of);
        rows.push(vec![
            name.to_owned(),
            format!("{:.0}", median(&one)),
            format!("{:.0}", median(&other)),
            format!(
                "{:.2} ({:.2}–{:.2})",
                median(&ratios),
                ends(f64::min, f64::INFINITY),
                ends(f64::max, 0.0)
            ),
        ]);
    }
    report.table(
        &["call", "Keyward, a second", "bare, a second", "ratio"],
        &rows,
    );
    report.keep(&format!("rates {kind}"), json!(rows));
    Ok(())
}

/// Calls a second.
async fn rate(make: &Make, turn: Duration) -> Result<f64> {
    let count = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (make, count) = (Arc::clone(make), Arc::clone(&count));
            tokio::spawn(async move {
                while started.elapsed() < turn {
                    let answer = make().send().await?;
                    let status = answer.status();
                    answer.bytes().await?;
                    ensure!(status.is_success(), "{status}");
                    count.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            })
        })
        .collect();
    for caller in callers {
        caller.await??;
    }
    Ok(count.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64())
}
