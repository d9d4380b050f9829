//! Lists, and changes of single keys: an account with very many keys beside one with a thousand.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Account, FEW, Site, many, text};
use crate::lab::Lab;
use crate::report::Report;

/// The bound on the ratio of medians.
const MOST: f64 = 2.0;
/// Rows of a page.
const PAGE: u64 = 50;

/// What is called: a name, and the path in an account.
struct Case {
    name: &'static str,
    large: String,
    small: String,
}

/// Times in milliseconds, in order.
#[derive(Default)]
struct Times(Vec<f64>);

impl Times {
    fn at(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let place = (sorted.len() as f64 * share) as usize;
        sorted
            .get(place.min(sorted.len().saturating_sub(1)))
            .copied()
            .unwrap_or(0.0)
    }
}

/// Measures them, call by call in turn.
///
/// # Errors
/// When a call is refused.
pub async fn run(lab: &Lab, report: &mut Report, site: &Site) -> Result<()> {
    let kind = site.kind.name();
    let count = many(lab);
    report.section(
        &format!("Control plane on {kind}: {count} keys in an account, beside {FEW}"),
        "Both accounts are in the same database, asked in turn by one client; pages of 50. In the smaller one the last page \
         stands for page 1,000.",
    );
    let calls = if lab.quick { 40 } else { 200 };
    let mut rows = Vec::new();
    let mut worst = (0.0, "");
    for case in cases(lab, site).await? {
        let (mut large, mut small) = (Times::default(), Times::default());
        for call in 0..calls + calls / 10 {
            let times = [get(site, &case.large).await?, get(site, &case.small).await?];
            if call >= calls / 10 {
                large.0.push(times[0]);
                small.0.push(times[1]);
            }
        }
        rows.push(row(case.name, &large, &small, &mut worst));
    }
    let (mut made, mut revoked) = (Vec::new(), Vec::new());
    for account in [&site.large, &site.small] {
        made.push((account, Times::default(), Vec::new()));
        revoked.push(Times::default());
    }
    for _ in 0..calls {
        for (account, times, ids) in &mut made {
            let (time, id) = create(site, account).await?;
            times.0.push(time);
            ids.push(id);
        }
    }
    for call in 0..calls {
        for ((_, _, ids), times) in made.iter().zip(&mut revoked) {
            let id = ids.get(call).context("as many were made")?;
            let started = Instant::now();
            site.server
                .post(&format!("/v1/keys/{id}/revoke"), &json!({}))
                .await?;
            times.0.push(started.elapsed().as_secs_f64() * 1e3);
        }
    }
    if let ([(_, large, _), (_, small, _)], [large_r, small_r]) = (&*made, &*revoked) {
        rows.push(row("create", large, small, &mut worst));
        rows.push(row("revoke", large_r, small_r, &mut worst));
    }
    report.table(
        &[
            "call",
            &format!("{count} keys: p50, p99, ms"),
            &format!("{FEW} keys: p50, p99, ms"),
            "ratio of p50",
        ],
        &rows,
    );
    report.bar(
        &format!("{kind}: {count} keys against {FEW}, slowest list or change"),
        &format!("{:.2} ({})", worst.0, worst.1),
        &format!("< {MOST:.2}"),
        worst.0 < MOST,
    );
    report.keep(&format!("lists {kind}"), json!(rows));
    Ok(())
}

fn row(
    name: &'static str,
    large: &Times,
    small: &Times,
    worst: &mut (f64, &'static str),
) -> Vec<String> {
    let ratio = large.at(0.5) / small.at(0.5).max(1e-6);
    if ratio > worst.0 {
        *worst = (ratio, name);
    }
    let show = |times: &Times| format!("{:.2}, {:.2}", times.at(0.5), times.at(0.99));
    vec![
        name.to_owned(),
        show(large),
        show(small),
        format!("{ratio:.2}"),
    ]
}

async fn cases(lab: &Lab, site: &Site) -> Result<Vec<Case>> {
    let thousandth = if lab.quick { 100 } else { 1_000 };
    let large = cursor(site, &site.large, thousandth).await?;
    let small = cursor(site, &site.small, FEW / PAGE).await?;
    let both = |name, query: &dyn Fn(&Account) -> String| {
        let path =
            |account: &Account| format!("/v1/keys?account={}&{}", account.id, query(account));
        Case {
            name,
            large: path(&site.large),
            small: path(&site.small),
        }
    };
    let fixed = |name, query: &str| both(name, &|_| query.to_owned());
    let one = both("q: one name", &|a| {
        if a.id == site.large.id {
            "q=customer%2077777".to_owned()
        } else {
            "q=customer%20777".to_owned()
        }
    });
    Ok(vec![
        fixed("page 1", ""),
        Case {
            name: "page 1,000",
            large: format!("/v1/keys?account={}&cursor={large}", site.large.id),
            small: format!("/v1/keys?account={}&cursor={small}", site.small.id),
        },
        fixed("environment", "environment=staging"),
        fixed("active", "status=active"),
        fixed("revoked", "status=revoked"),
        fixed("expired", "status=expired"),
        fixed("rate limited (none)", "status=rate_limited"),
        both("owner", &|a| format!("owner={}", a.owner)),
        both("owner, revoked, environment", &|a| {
            format!("owner={}&status=revoked&environment=production", a.owner)
        }),
        fixed("unused for 90 days", "unusedForDays=90"),
        fixed("unused for 3,650 days (none)", "unusedForDays=3650"),
        one,
        fixed("q: in every key", "q=customer"),
        fixed("q: in none", "q=no%20such%20text"),
        fixed("q: two characters", "q=77"),
        fixed("q, staging", "q=customer%209&environment=staging"),
    ])
}

/// The cursor of a page.
async fn cursor(site: &Site, account: &Account, page: u64) -> Result<String> {
    let mut cursor = String::new();
    for _ in 1..page {
        let path = format!("/v1/keys?account={}{cursor}", account.id);
        let answer = site.server.get(&path).await?;
        let next = answer["nextCursor"]
            .as_str()
            .context("there is another page")?;
        cursor = format!("&cursor={next}");
    }
    Ok(cursor.replace("&cursor=", ""))
}

async fn get(site: &Site, path: &str) -> Result<f64> {
    let request = site.server.call(Method::GET, path);
    let started = Instant::now();
    let answer = request.send().await?;
    let status = answer.status();
    let body = answer.bytes().await?;
    let time = started.elapsed().as_secs_f64() * 1e3;
    ensure!(
        status == 200,
        "{path}: {status} {}",
        String::from_utf8_lossy(&body)
    );
    Ok(time)
}

async fn create(site: &Site, account: &Account) -> Result<(f64, String)> {
    let body: Value = json!({ "name": "One more", "accountId": account.id });
    let started = Instant::now();
    let made = site.server.post("/v1/keys", &body).await?;
    Ok((started.elapsed().as_secs_f64() * 1e3, text(&made, "id")))
}
