//! Requests that are refused: by the form of the key, by its tag, by its quota.

use anyhow::Result;
use keyward_tests::{forged_token, letters};
use serde_json::{Value, json};

use crate::compare::{Entrant, measure};
use crate::edge::{ACCOUNT, Settings};
use crate::floor::Exchange;
use crate::lab::Lab;
use crate::report::Report;
use crate::request::{Request, Want};
use crate::sections::storage;

/// Different keys in a flood, so that remembering the last ones is no help.
const DIFFERENT: usize = 1_000;
/// Short of what any run spends.
const FEW: u32 = 5;
const KINDS: [(&str, &str); 3] = [
    ("floor of a malformed key's refusal", "malformed key"),
    ("floor of a forged key's refusal", "forged key"),
    ("floor of a 429", "key over its limit"),
];

/// Measures them.
///
/// # Errors
/// When a part does not start or answers wrongly.
pub async fn run(lab: &Lab, report: &mut Report) -> Result<()> {
    let edge = lab.edge(&Settings::default()).await?;
    let observed = lab.observed("http://127.0.0.1:9").await?;
    let tight = tight();
    let malformed: Vec<String> = (0..DIFFERENT)
        .map(|_| format!("kw_prod_sk_{}", letters(46)))
        .collect();
    let forged: Vec<String> = (0..DIFFERENT)
        .map(|_| forged_token("prod", ACCOUNT))
        .collect();
    let refusal = |keys: Vec<String>| Request::api(keys, Want::Refusal);
    let over = edge.key(tight.clone()).await?;
    spend(&edge.url(), &over).await?;
    let over_there = observed.key(tight).await?;
    spend(&observed.url(), &over_there).await?;
    let requests = [refusal(malformed), refusal(forged), refusal(vec![over])];
    let mut floors = Vec::new();
    for (number, request) in requests.iter().enumerate() {
        let keys = if number == 2 {
            vec![over_there.clone()]
        } else {
            request.keys.clone()
        };
        let seen = Request {
            keys,
            ..request.clone()
        };
        let exchange = Exchange::observe(&observed, &seen).await?;
        floors.push(
            exchange
                .floor(&lab.parts, &lab.folder("floor")?, false)
                .await?,
        );
    }
    drop(observed);
    report.section(
        "Garbage: what is refused",
        &format!(
            "`GET /v1/customers`, one thread, 16 connections; {DIFFERENT} different malformed and forged keys by turns, one key over its limit. \
             Each floor reads the same headers and writes the same refusal."
        ),
    );
    let mut entrants = Vec::new();
    for ((floor, request), (base, name)) in floors.iter().zip(&requests).zip(KINDS) {
        entrants.push(Entrant {
            name: base,
            workerd: floor,
            worker: "floor",
            request,
            brief: true,
        });
        entrants.push(Entrant {
            name,
            workerd: &edge.workerd,
            worker: "edge",
            request,
            brief: true,
        });
    }
    let measured = measure(lab.pace(), &entrants).await?;
    report.comparison(&measured, &KINDS.map(|(base, name)| (name, base)));
    for pair in measured.chunks(2) {
        if let [floor, edge] = pair {
            report.ratio_bar(
                &format!("{}, of the floor", edge.name),
                edge.throughput(floor),
                0.90,
            );
        }
    }
    flood(lab, report).await?;
    report.keep("garbage", serde_json::to_value(&measured)?);
    Ok(())
}

/// How often the guard is asked while a flood comes on a valid key that is over its limit.
async fn flood(lab: &Lab, report: &mut Report) -> Result<()> {
    let edge = storage::counted(lab).await?;
    let key = edge.key(tight()).await?;
    spend(&edge.url(), &key).await?;
    let seconds = if lab.quick { 3 } else { 8 };
    let request = Request::api(vec![key], Want::Refusal);
    let calls = storage::count(&edge, &request, seconds).await?;
    let each_second = calls.guard as f64 / calls.seconds;
    let found = format!("{each_second:.2}");
    let refused = calls.requests / seconds;
    println!(
        "A flood of {refused} requests a second on a key over its limit costs {found} guard calls a second.\n"
    );
    report.bar(
        "guard calls a second in that flood",
        &found,
        "≤ 2",
        each_second <= 2.0,
    );
    Ok(())
}

fn tight() -> Value {
    json!({ "limits": { "requestsPerMinute": FEW, "requestsPerHour": FEW, "requestsPerDay": FEW } })
}

/// Uses a key up.
async fn spend(url: &str, key: &str) -> Result<()> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let request = Request::verify(vec![key.to_owned()], Want::Success);
    for _ in 0..=FEW {
        request
            .call()
            .request(&client, url)
            .send()
            .await?
            .bytes()
            .await?;
    }
    Ok(())
}
