//! What operators watch: counters and times, in the text format of OpenMetrics.
//!
//! Names follow Prometheus' conventions: the prefix `keyward_`, base units in the name, `_total` for counters. Label
//! values come from small fixed sets, or from the configuration; never from a path, an id or a token.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use shared::Millis;

use crate::store::lag::Lag;
use crate::store::usage::Taken;

/// Upper bounds of times, in seconds: from a read of one row to the longest that a request may take.
const SECONDS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

type Level = Gauge<i64, AtomicI64>;
type Seconds = Gauge<f64, AtomicU64>;

/// The metrics; cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    shown: Mutex<()>,
    requests: Family<Answered, Counter>,
    durations: Family<Asked, Histogram, fn() -> Histogram>,
    in_flight: Level,
    logins: Family<Login, Counter>,
    pushes: Family<Push, Counter>,
    push_durations: Family<Target, Histogram, fn() -> Histogram>,
    records: Family<Target, Counter>,
    lag_entries: Family<Target, Level>,
    lag_age: Family<Target, Seconds>,
    snapshot: Family<Target, Level>,
    usage: Family<Usage, Counter>,
    usage_missing: Counter,
    connections: Family<Pool, Level>,
    connections_max: Family<Pool, Level>,
    database_up: Level,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    method: &'static str,
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: String,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Target {
    target: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Push {
    target: String,
    outcome: PushOutcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Login {
    reason: LoginFailure,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Usage {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Pool {
    pool: &'static str,
}

/// What came of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PushOutcome {
    /// The edge has it.
    Taken,
    /// No answer in time.
    Unreachable,
    /// An answer that says to try again.
    Busy,
    /// An answer that refuses the push.
    Refused,
    /// An answer that is no receipt.
    NotAReceipt,
}

/// Why an admin was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LoginFailure {
    /// No credential.
    Missing,
    /// Not valid.
    Invalid,
    /// Not looked at: too many failures before.
    TooMany,
}

impl EncodeLabelValue for PushOutcome {
    fn encode(
        &self,
        encoder: &mut prometheus_client::encoding::LabelValueEncoder<'_>,
    ) -> fmt::Result {
        let word = match self {
            Self::Taken => "taken",
            Self::Unreachable => "unreachable",
            Self::Busy => "busy",
            Self::Refused => "refused",
            Self::NotAReceipt => "not_a_receipt",
        };
        word.encode(encoder)
    }
}

impl EncodeLabelValue for LoginFailure {
    fn encode(
        &self,
        encoder: &mut prometheus_client::encoding::LabelValueEncoder<'_>,
    ) -> fmt::Result {
        let word = match self {
            Self::Missing => "missing",
            Self::Invalid => "invalid",
            Self::TooMany => "too_many",
        };
        word.encode(encoder)
    }
}

fn times() -> Histogram {
    Histogram::new(SECONDS)
}

impl Metrics {
    /// Metrics of a process that started at `now`.
    pub fn new(now: Millis) -> Self {
        let mut inner = Inner {
            registry: Registry::default(),
            shown: Mutex::default(),
            requests: Family::default(),
            durations: Family::new_with_constructor(times as fn() -> Histogram),
            in_flight: Level::default(),
            logins: Family::default(),
            pushes: Family::default(),
            push_durations: Family::new_with_constructor(times as fn() -> Histogram),
            records: Family::default(),
            lag_entries: Family::default(),
            lag_age: Family::default(),
            snapshot: Family::default(),
            usage: Family::default(),
            usage_missing: Counter::default(),
            connections: Family::default(),
            connections_max: Family::default(),
            database_up: Level::default(),
        };
        inner.register(now);
        Self(Arc::new(inner))
    }

    /// A request has begun; it is in flight until the guard is dropped.
    pub fn begin(&self) -> InFlight {
        self.0.in_flight.inc();
        InFlight(self.0.in_flight.clone())
    }

    /// A request was answered. `route` is the template, `method` one of a fixed set.
    pub fn answered(&self, method: &'static str, route: &str, status: u16, took: Duration) {
        let route = route.to_owned();
        let asked = Asked { method, route };
        self.0
            .durations
            .get_or_create(&asked)
            .observe(took.as_secs_f64());
        let answered = Answered {
            method,
            route: asked.route,
            status: class(status),
        };
        self.0.requests.get_or_create(&answered).inc();
    }

    /// An admin was not let in.
    pub fn login_failed(&self, reason: LoginFailure) {
        self.0.logins.get_or_create(&Login { reason }).inc();
    }

    /// A push to an edge came to an end; `records` are those that it holds.
    pub fn pushed(&self, target: &str, outcome: PushOutcome, took: Duration, records: usize) {
        let target = target.to_owned();
        let of_target = Target {
            target: target.clone(),
        };
        self.0
            .push_durations
            .get_or_create(&of_target)
            .observe(took.as_secs_f64());
        if outcome == PushOutcome::Taken {
            let count = u64::try_from(records).unwrap_or(u64::MAX);
            self.0.records.get_or_create(&of_target).inc_by(count);
        }
        self.0.pushes.get_or_create(&Push { target, outcome }).inc();
    }

    /// A guard reported a batch of usage.
    pub fn usage(&self, taken: Taken) {
        let outcome = match taken {
            Taken::Counted { missing } => {
                self.0.usage_missing.inc_by(missing);
                "counted"
            }
            Taken::Known => "repeated",
        };
        self.0.usage.get_or_create(&Usage { outcome }).inc();
    }

    /// All of them, in the text format of OpenMetrics 1.0, with what is known of the database now: connections by pool
    /// (in use, most), and how far the edges are behind; `None` if it did not answer.
    ///
    /// # Errors
    /// Never, as long as texts can be written to.
    pub fn show(
        &self,
        pools: &[(&'static str, u32, u32)],
        lags: Option<&[Lag]>,
        now: Millis,
    ) -> Result<String, fmt::Error> {
        // Another look must not empty what this one is about to show.
        let _alone = self.0.shown.lock().unwrap_or_else(PoisonError::into_inner);
        self.observe(pools, lags, now);
        let mut out = String::new();
        text::encode(&mut out, &self.0.registry)?;
        Ok(out)
    }

    fn observe(&self, pools: &[(&'static str, u32, u32)], lags: Option<&[Lag]>, now: Millis) {
        for (pool, used, most) in pools {
            let pool = Pool { pool };
            let gauge = |family: &Family<Pool, Level>, value: u32| {
                family.get_or_create(&pool).set(i64::from(value));
            };
            gauge(&self.0.connections, *used);
            gauge(&self.0.connections_max, *most);
        }
        self.0.database_up.set(i64::from(lags.is_some()));
        // What is not known is left out rather than repeated, and an edge that is gone is gone.
        self.0.lag_entries.clear();
        self.0.lag_age.clear();
        self.0.snapshot.clear();
        for lag in lags.unwrap_or_default() {
            let target = Target {
                target: lag.target.clone(),
            };
            let entries = i64::try_from(lag.entries).unwrap_or(i64::MAX);
            self.0.lag_entries.get_or_create(&target).set(entries);
            let age = lag.oldest.map_or(0, |oldest| now.saturating_sub(oldest));
            let age = Duration::from_millis(age).as_secs_f64();
            self.0.lag_age.get_or_create(&target).set(age);
            let snapshot = i64::from(lag.snapshot);
            self.0.snapshot.get_or_create(&target).set(snapshot);
        }
    }
}

/// A request in flight.
#[derive(Debug)]
pub struct InFlight(Level);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn class(status: u16) -> &'static str {
    match status / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}

impl Inner {
    fn register(&mut self, now: Millis) {
        let started = Seconds::default();
        started.set(Duration::from_millis(now).as_secs_f64());
        self.registry.register_with_unit(
            "process_start_time",
            "When the process started, in seconds since the Unix epoch",
            Unit::Seconds,
            started,
        );
        let registry = self.registry.sub_registry_with_prefix("keyward");
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "What is running", build);
        registry.register(
            "http_requests",
            "Requests answered, by method, route and class of status",
            self.requests.clone(),
        );
        registry.register_with_unit(
            "http_request_duration",
            "From the end of a request's head to its answer",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register(
            "http_requests_in_flight",
            "Requests being served",
            self.in_flight.clone(),
        );
        registry.register(
            "failed_authentications",
            "Admin calls without a valid token, by reason; too_many were refused unlooked at",
            self.logins.clone(),
        );
        self.register_sync();
        self.register_database();
    }

    fn register_sync(&mut self) {
        let registry = self.registry.sub_registry_with_prefix("keyward");
        registry.register(
            "pushes",
            "Pushes to each edge, by outcome",
            self.pushes.clone(),
        );
        registry.register_with_unit(
            "push_duration",
            "How long each edge takes for a push",
            Unit::Seconds,
            self.push_durations.clone(),
        );
        registry.register(
            "pushed_records",
            "Records that each edge has taken",
            self.records.clone(),
        );
        registry.register(
            "sync_lag_entries",
            "Changes that each edge does not have yet",
            self.lag_entries.clone(),
        );
        registry.register_with_unit(
            "sync_lag",
            "How long the oldest change that each edge does not have has waited for it",
            Unit::Seconds,
            self.lag_age.clone(),
        );
        registry.register(
            "sync_snapshot_running",
            "1 while the edge is given every record, else 0",
            self.snapshot.clone(),
        );
        registry.register(
            "usage_batches",
            "Batches of usage that guards have reported; repeated ones are counted once",
            self.usage.clone(),
        );
        registry.register(
            "usage_batches_missing",
            "Batches of usage that never came: what they counted is lost",
            self.usage_missing.clone(),
        );
    }

    fn register_database(&mut self) {
        let registry = self.registry.sub_registry_with_prefix("keyward");
        registry.register(
            "database_connections_in_use",
            "Connections to the database that are in use, by pool",
            self.connections.clone(),
        );
        registry.register(
            "database_connections_max",
            "The most connections that each pool may have",
            self.connections_max.clone(),
        );
        registry.register(
            "database_up",
            "Whether the database answered this look at the metrics",
            self.database_up.clone(),
        );
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}
