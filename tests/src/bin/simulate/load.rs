//! Where requests come from: locations, each at its own distance from the guard and with its own bursts.

use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Exp1, Zipf};
use rand_pcg::Pcg64;

use crate::oracle::Micros;
use crate::scenario::{Scenario, WARM_UP_S};

/// One second.
pub const SECOND: Micros = 1_000_000;
/// How much more than on average a location sends in a burst.
const BURST: f64 = 5.0;
/// How much it sends between bursts.
const LULL: f64 = 0.5;
/// Bursts and what is between them last so many seconds on average; so that all in all the average is sent.
const BURST_S: f64 = 1.0;
const LULL_S: f64 = 8.0;

/// All that is drawn.
pub struct Load {
    rng: Pcg64,
    keys: Zipf<f64>,
    /// One way to the guard, in microseconds.
    distances: Vec<f64>,
    bursts: Vec<Burst>,
    before: f64,
    during: f64,
    bursty: bool,
}

#[derive(Clone, Copy)]
struct Burst {
    until: Micros,
    on: bool,
}

impl Load {
    /// The load of a scenario.
    pub fn new(scenario: &Scenario) -> Self {
        let mut rng = Pcg64::seed_from_u64(scenario.seed);
        let locations = scenario.locations.max(1);
        // 5 to 300 ms there and back, the near more often than the far.
        let distances = (0..locations)
            .map(|_| 2_500.0 * 60_f64.powf(rng.random::<f64>()))
            .collect();
        let share = 1.0 / locations as f64;
        Self {
            keys: Zipf::new(scenario.keys.max(1) as f64, 1.0).expect("there are keys"),
            distances,
            bursts: vec![Burst { until: 0, on: true }; locations],
            before: scenario.demand_before * share,
            during: scenario.demand * share,
            bursty: scenario.bursts,
            rng,
        }
    }

    /// When a location's next request comes after `now`.
    pub fn next_arrival(&mut self, location: usize, now: Micros) -> Micros {
        let mut at = now;
        loop {
            let warm = at < WARM_UP_S * SECOND;
            let (average, most) = if warm {
                (self.before, 1.0)
            } else {
                (self.during, if self.bursty { BURST } else { 1.0 })
            };
            at += self.span(1.0 / (average * most));
            // What was drawn for the warm-up ends with it.
            if warm && at >= WARM_UP_S * SECOND {
                at = WARM_UP_S * SECOND;
                continue;
            }
            if warm || self.rng.random::<f64>() * most < self.factor(location, at) {
                return at;
            }
        }
    }

    fn factor(&mut self, location: usize, at: Micros) -> f64 {
        if !self.bursty {
            return 1.0;
        }
        while let Some(burst) = self.bursts.get(location).copied().filter(|b| b.until <= at) {
            let on = !burst.on;
            let length = self.span(if on { BURST_S } else { LULL_S });
            self.bursts[location] = Burst {
                until: burst.until.max(1) + length,
                on,
            };
        }
        match self.bursts.get(location) {
            Some(burst) if burst.on => BURST,
            _ => LULL,
        }
    }

    /// The way of one message between a location and the guard.
    pub fn way(&mut self, location: usize) -> Micros {
        let distance = self.distances.get(location).copied().unwrap_or_default();
        let jitter: f64 = Exp1.sample(&mut self.rng);
        (distance * (1.0 + 0.1 * jitter)) as Micros
    }

    /// A span that is `mean` seconds on average.
    pub fn span(&mut self, mean: f64) -> Micros {
        let drawn: f64 = Exp1.sample(&mut self.rng);
        (drawn * mean * SECOND as f64) as Micros + 1
    }

    /// The key that a request presents.
    pub fn key(&mut self) -> usize {
        self.keys.sample(&mut self.rng) as usize - 1
    }

    /// One of these.
    pub fn one_of(&mut self, costs: &[u32]) -> u32 {
        costs
            .get(self.rng.random_range(0..costs.len().max(1)))
            .copied()
            .unwrap_or(1)
    }

    /// Whether something happens that does so with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.rng.random::<f64>() < probability
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.rng.random_range(0..bound)
    }
}
