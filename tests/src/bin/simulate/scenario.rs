//! What is simulated.

use shared::Millis;

/// A run: everything that happens in it follows from this.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Of all that is drawn.
    pub seed: u64,
    /// Locations that send requests, each with one isolate at a time.
    pub locations: usize,
    /// How many keys there are; the n-th is asked for 1/n as often as the first.
    pub keys: usize,
    /// The limit of each key, in units in any 60 s.
    pub limit: u32,
    /// Whether every request asks the guard.
    pub strict: bool,
    /// The lease time.
    pub lease_ms: Millis,
    /// Requests a second, over all locations, before the measured time: below the limit, so that the window fills evenly.
    pub demand_before: f64,
    /// Requests a second in the measured time.
    pub demand: f64,
    /// Whether each location's requests come in bursts.
    pub bursts: bool,
    /// Units that a request costs, each as often as the others.
    pub costs: Vec<u32>,
    /// What goes wrong.
    pub faults: Faults,
    /// Seconds that are measured, after [`WARM_UP_S`].
    pub seconds: u64,
}

/// Seconds before what is measured: the longest window that is limited, and some.
pub const WARM_UP_S: u64 = 65;

/// What goes wrong.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// The share of calls that are lost, and of answers.
    pub lost: f64,
    /// The share of calls that reach the guard twice.
    pub repeated: f64,
    /// How long an isolate lives on average, in seconds; it dies with its memory.
    pub isolate_life_s: Option<f64>,
    /// How often the guard restarts, in seconds: calls fail while it is down, and what was under way is lost.
    pub guard_restarts_s: Option<f64>,
}

impl Faults {
    /// All of them at once, more often than anybody would bear.
    pub const ALL: Self = Self {
        lost: 0.01,
        repeated: 0.01,
        isolate_life_s: Some(60.0),
        guard_restarts_s: Some(45.0),
    };
}

impl Scenario {
    /// One key, of which `demand` times its limit is asked for, alike at every location.
    pub fn one_key(seed: u64, limit: u32, locations: usize, demand: f64) -> Self {
        let rate = f64::from(limit) / 60.0;
        Self {
            seed,
            locations,
            keys: 1,
            limit,
            strict: false,
            lease_ms: 1_000,
            demand_before: rate * demand.min(0.9),
            demand: rate * demand,
            bursts: false,
            costs: vec![1],
            faults: Faults::default(),
            seconds: 60,
        }
    }

    /// 300 keys at 300 locations, in bursts, with all faults; of the first, twice its limit is asked for.
    pub fn many_keys(seed: u64, limit: u32) -> Self {
        const KEYS: u32 = 300;
        let of_first: f64 = (1..=KEYS).map(|n| 1.0 / f64::from(n)).sum();
        let one = Self::one_key(seed, limit, 300, 2.0);
        Self {
            keys: KEYS as usize,
            demand_before: one.demand_before * of_first,
            demand: one.demand * of_first,
            bursts: true,
            faults: Faults::ALL,
            ..one
        }
    }
}
