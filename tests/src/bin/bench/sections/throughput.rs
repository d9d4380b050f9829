//! A hot guarded request that the Worker answers itself.

use anyhow::Result;
use serde_json::json;

use crate::compare::{Entrant, measure};
use crate::edge::Settings;
use crate::floor::Exchange;
use crate::lab::Lab;
use crate::report::Report;
use crate::request::{Request, Want};
use crate::rivals::{self, HAND, SUBTLE};

const EDGE: &str = "Keyward";
const SIGNING: &str = "Keyward, with a signed assertion in each answer";
const FLOOR: &str = "floor";
const PREPARED: &str = "floor with prepared headers";
const EMPTY: &str = "empty Worker";

/// Measures it.
///
/// # Errors
/// When a part does not start or answers wrongly.
pub async fn run(lab: &Lab, report: &mut Report) -> Result<()> {
    let edge = lab.edge(&Settings::default()).await?;
    let request = Request::verify(vec![edge.key(json!({})).await?], Want::Success);
    let exchange = {
        let observed = lab.observed("http://127.0.0.1:9").await?;
        let key = observed.key(json!({})).await?;
        let request = Request {
            keys: vec![key],
            ..request.clone()
        };
        Exchange::observe(&observed, &request).await?
    };
    let floor = async |prepared| {
        let folder = lab.folder("floor")?;
        exchange.floor(&lab.parts, &folder, prepared).await
    };
    let (floor, prepared) = (floor(false).await?, floor(true).await?);
    let empty = lab.worker("empty", &[]).await?;
    let hand = rivals::hand(lab, &edge).await?;
    let others = rivals::others(lab, &edge).await?;
    let signing = lab
        .edge(&Settings {
            assertion: true,
            ..Settings::default()
        })
        .await?;
    report.section(
        "Throughput: a hot key, answered by the Worker",
        &format!(
            "`GET /.keyward/verify`, one thread, 16 connections. The gate {}. {}",
            exchange.describe(),
            exchange.headers_missed_by(&hand[0]).await?
        ),
    );
    let entrant = |name, workerd, worker| Entrant {
        name,
        workerd,
        worker,
        request: &request,
        brief: false,
    };
    let mut entrants = vec![
        entrant(EMPTY, &empty, "empty"),
        entrant(FLOOR, &floor, "floor"),
        entrant(EDGE, &edge.workerd, "edge"),
        entrant(PREPARED, &prepared, "floor"),
    ];
    entrants.extend(hand.iter().map(|rival| rival.entrant(false)));
    let signing_request = Request::verify(vec![signing.key(json!({})).await?], Want::Success);
    entrants.push(Entrant {
        name: SIGNING,
        workerd: &signing.workerd,
        worker: "edge",
        request: &signing_request,
        brief: true,
    });
    entrants.extend(others.iter().map(|rival| rival.entrant(true)));
    let measured = measure(lab.pace(), &entrants).await?;
    let mut baselines = vec![(FLOOR, EMPTY), (EDGE, FLOOR), (EDGE, HAND), (EDGE, EMPTY)];
    baselines.extend([(PREPARED, FLOOR), (EDGE, PREPARED)]);
    baselines.extend([(HAND, FLOOR), (SUBTLE, FLOOR), (EDGE, SUBTLE)]);
    baselines.push((SIGNING, EDGE));
    baselines.extend(others.iter().map(|rival| (rival.name, EDGE)));
    report.comparison(&measured, &baselines);
    if let [_, floor, edge, _, hand, ..] = measured.as_slice() {
        report.ratio_bar("hot `verify`, of the floor", edge.throughput(floor), 0.90);
        report.ratio_bar(
            "hot `verify`, of JavaScript by hand",
            edge.throughput(hand),
            1.20,
        );
    }
    report.keep("throughput", serde_json::to_value(&measured)?);
    Ok(())
}
