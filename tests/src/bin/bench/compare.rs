//! Measuring side by side: in every round each entrant in turn, and ratios within a round.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::request::Request;
use crate::workerd::Workerd;
use crate::wrk;

/// What is measured.
pub struct Entrant<'a> {
    /// Its name in the tables.
    pub name: &'static str,
    /// Where it runs; it is alone there.
    pub workerd: &'a Workerd,
    /// The Worker that is asked.
    pub worker: &'static str,
    /// What it is asked.
    pub request: &'a Request,
    /// Whether a second a turn is enough for it.
    pub brief: bool,
}

/// How long it is measured.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Rounds that count; one before them warms up.
    pub rounds: usize,
    /// Seconds of an entrant's turn.
    pub seconds: u32,
}

/// What was measured of an entrant, round by round.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Measured {
    /// Its name.
    pub name: String,
    /// Requests a second.
    pub per_second: Vec<f64>,
    /// CPU time of its workerd for a request, in microseconds.
    pub cpu: Vec<f64>,
}

/// A ratio, round by round: its median and its ends.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Ratio {
    /// The median.
    pub median: f64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
}

impl std::fmt::Display for Ratio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} ({:.2}–{:.2})", self.median, self.min, self.max)
    }
}

/// Measures them.
///
/// # Errors
/// When an answer is not what it should be.
pub async fn measure(folder: &Path, pace: Pace, entrants: &[Entrant<'_>]) -> Result<Vec<Measured>> {
    let mut all: Vec<Measured> = entrants
        .iter()
        .map(|e| Measured {
            name: e.name.to_owned(),
            ..Measured::default()
        })
        .collect();
    for round in 0..=pace.rounds {
        for (entrant, measured) in entrants.iter().zip(&mut all) {
            let before = entrant.workerd.cpu()?;
            let seconds = if entrant.brief { 1 } else { pace.seconds };
            let url = entrant.workerd.url(entrant.worker);
            let seen = wrk::run(folder, &url, entrant.request, seconds)
                .await
                .with_context(|| entrant.name.to_owned())?;
            let cpu = entrant.workerd.cpu()?.saturating_sub(before);
            if round > 0 {
                measured.per_second.push(seen.per_second);
                measured
                    .cpu
                    .push(cpu.as_secs_f64() * 1e6 / seen.requests.max(1) as f64);
            }
        }
    }
    Ok(all)
}

impl Measured {
    /// Throughput over a baseline's.
    pub fn throughput(&self, baseline: &Self) -> Ratio {
        ratio(self.per_second.iter().zip(&baseline.per_second))
    }

    /// A baseline's CPU time for a request over ours: 1 is as cheap, less is dearer, as with throughput.
    pub fn cheapness(&self, baseline: &Self) -> Ratio {
        ratio(baseline.cpu.iter().zip(&self.cpu))
    }
}

/// The ratios of two series, moment by moment.
pub fn ratio_of(values: &[f64], baseline: &[f64]) -> Ratio {
    ratio(values.iter().zip(baseline))
}

fn ratio<'a>(pairs: impl Iterator<Item = (&'a f64, &'a f64)>) -> Ratio {
    let ratios: Vec<f64> = pairs
        .map(|(a, b)| if *b > 0.0 { a / b } else { 0.0 })
        .collect();
    Ratio {
        median: median(&ratios),
        min: ratios.iter().copied().fold(f64::INFINITY, f64::min),
        max: ratios.iter().copied().fold(0.0, f64::max),
    }
}

/// The median; of an even number, the upper of the two in the middle.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}
