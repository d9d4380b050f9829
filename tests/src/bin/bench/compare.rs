//! Measuring side by side: in every round the entrants take many short turns, and ratios are of a round's sums.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::closed_loop::Wire;
use crate::request::Request;
use crate::workerd::Workerd;

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
    /// Whether half the turns are enough for it.
    pub brief: bool,
}

/// How long it is measured.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Rounds that count; one before them warms up.
    pub rounds: usize,
    /// Turns of an entrant in a round.
    pub turns: usize,
}

/// The length of a turn. Short: what else the machine does lasts longer, and so meets everybody.
const TURN: Duration = Duration::from_millis(250);

/// What comes before a turn and does not count. While the others had theirs, a lease has ended and another must be
/// asked for: hot keys have one.
const WARM_UP: Duration = Duration::from_millis(100);

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
pub async fn measure(pace: Pace, entrants: &[Entrant<'_>]) -> Result<Vec<Measured>> {
    let mut seats = Vec::new();
    for entrant in entrants {
        seats.push(Seat {
            entrant,
            wire: Some(Wire::open(&entrant.url(), entrant.request).await?),
            round: Sum::default(),
            measured: Measured {
                name: entrant.name.to_owned(),
                ..Measured::default()
            },
        });
    }
    for round in 0..=pace.rounds {
        for turn in 0..pace.turns {
            for seat in &mut seats {
                if turn % 2 == 0 || !seat.entrant.brief {
                    seat.turn().await.with_context(|| seat.entrant.name)?;
                }
            }
        }
        for seat in &mut seats {
            seat.end_round(round > 0);
        }
    }
    Ok(seats.into_iter().map(|seat| seat.measured).collect())
}

/// An entrant at its place.
struct Seat<'a> {
    entrant: &'a Entrant<'a>,
    /// `None` only during a turn, or after one that failed.
    wire: Option<Wire>,
    round: Sum,
    measured: Measured,
}

#[derive(Default)]
struct Sum {
    requests: u64,
    took: Duration,
    cpu: Duration,
}

impl Seat<'_> {
    async fn turn(&mut self) -> Result<()> {
        let wire = self.wire.take().context("the last turn failed")?;
        let (wire, _) = wire.run(WARM_UP).await?;
        let before = self.entrant.workerd.cpu()?;
        let (wire, seen) = wire.run(TURN).await?;
        self.round.cpu += self.entrant.workerd.cpu()?.saturating_sub(before);
        self.round.requests += seen.requests;
        self.round.took += seen.took;
        self.wire = Some(wire);
        Ok(())
    }

    fn end_round(&mut self, counts: bool) {
        let sum = std::mem::take(&mut self.round);
        if counts {
            let requests = sum.requests.max(1) as f64;
            self.measured
                .per_second
                .push(requests / sum.took.as_secs_f64());
            self.measured
                .cpu
                .push(sum.cpu.as_secs_f64() * 1e6 / requests);
        }
    }
}

impl Entrant<'_> {
    fn url(&self) -> String {
        self.workerd.url(self.worker)
    }
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
