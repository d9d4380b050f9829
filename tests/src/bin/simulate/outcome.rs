//! A run in figures.

use crate::load::SECOND;
use crate::oracle::Judgement;
use crate::scenario::{Scenario, WARM_UP_S};
use crate::world::World;

/// The figures of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The most units above a limit in any window, requests taken as passing when it was decided that they may.
    pub over: u64,
    /// The same, taken as passing when their gates let them.
    pub over_as_seen: u64,
    /// The share of the limit that was left unused, over all keys.
    pub unused: f64,
    /// Requests.
    pub requests: u64,
    /// The share of them that passed.
    pub passed: f64,
    /// The share of them that were refused though there was room.
    pub refused_with_room: f64,
    /// The share of them that were refused because the guard could not be asked.
    pub unavailable: f64,
    /// Calls of the guard for each of them.
    pub calls: f64,
    /// Calls of the guard in a second, for each location.
    pub calls_a_second: f64,
    /// How long those that passed waited, in milliseconds: one in two, one in a hundred, longer.
    pub waits: (usize, usize),
    /// The largest ledger as stored, in bytes.
    pub ledger: usize,
}

impl Outcome {
    /// Runs a scenario and judges it.
    pub fn of(scenario: &Scenario) -> Self {
        let mut world = World::run(scenario);
        let from = WARM_UP_S * SECOND;
        let to = from + scenario.seconds * SECOND;
        let (limit, span) = (scenario.limit, 60 * SECOND);
        let mut judged = Judgement::default();
        let mut as_seen = 0;
        let mut admitted = 0;
        for (log, seen) in world.logs.iter_mut().zip(&mut world.seen) {
            let of_key = log.judge(limit, span, from);
            judged.over = judged.over.max(of_key.over);
            judged.refused_with_room += of_key.refused_with_room;
            as_seen = seen.judge(limit, span, from).over.max(as_seen);
            admitted += log.admitted_within(from, to);
        }
        let counts = &world.counts;
        let seconds = scenario.seconds as f64;
        let whole = f64::from(limit) * seconds / 60.0 * scenario.keys as f64;
        let share = |count: u64| count as f64 / counts.requests.max(1) as f64;
        Self {
            over: judged.over,
            over_as_seen: as_seen,
            unused: 1.0 - admitted as f64 / whole,
            requests: counts.requests,
            passed: share(counts.passed),
            refused_with_room: share(judged.refused_with_room),
            unavailable: share(counts.unavailable),
            calls: share(counts.calls),
            calls_a_second: counts.calls as f64 / seconds / scenario.locations as f64,
            waits: (percentile(&counts.waits, 50), percentile(&counts.waits, 99)),
            ledger: world.largest_ledger,
        }
    }
}

/// The value of a histogram that so many in a hundred do not exceed.
fn percentile(histogram: &[u64], percent: u64) -> usize {
    let all: u64 = histogram.iter().sum();
    let mut sum = 0;
    let place = histogram.iter().position(|count| {
        sum += count;
        sum * 100 >= all * percent
    });
    place.unwrap_or(0)
}
