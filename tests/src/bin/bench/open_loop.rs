//! Load at a fixed rate, whatever the answers do. A latency counts from when the request was due, not from when it
//! was sent: a server that stalls is charged for everything that queued meanwhile (no coordinated omission).

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use reqwest::Client;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::request::{Request, Want};

/// Latencies in milliseconds, shortest first.
#[derive(Debug, Clone, Default)]
pub struct Latencies {
    sorted: Vec<f64>,
    /// Requests whose answer was not what it should be; they count with their latency.
    pub wrong: usize,
}

impl Latencies {
    /// The value that this share of the requests, 0 to 1, did not exceed.
    pub fn quantile(&self, share: f64) -> f64 {
        let last = self.sorted.len().saturating_sub(1);
        let place = (share * last as f64).round() as usize;
        self.sorted.get(place).copied().unwrap_or(0.0)
    }

    /// Together with others.
    pub fn add(&mut self, other: Self) {
        self.wrong += other.wrong;
        self.sorted.extend(other.sorted);
        self.sorted.sort_by(f64::total_cmp);
    }
}

/// Sends `rate` requests a second for `span`, on as many connections as it takes. Those of the first second warm up.
///
/// # Errors
/// When a connection breaks.
pub async fn run(url: &str, request: &Request, rate: f64, span: Duration) -> Result<Latencies> {
    let client = Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(1_024)
        .build()?;
    let mut due = clock(rate, span);
    let mut under_way = JoinSet::new();
    let began = Instant::now();
    while let Some(due) = due.recv().await {
        let sending = request.call().request(&client, url);
        let want = request.want;
        under_way.spawn(async move {
            let answer = sending.send().await?;
            let status = answer.status();
            answer.bytes().await?;
            let as_wanted = status.is_success() == (want == Want::Success);
            anyhow::Ok((due, due.elapsed(), as_wanted))
        });
    }
    let mut latencies = Latencies::default();
    while let Some(done) = under_way.join_next().await {
        let (due, took, as_wanted) = done.context("a request was cut off")??;
        if due.duration_since(began) > Duration::from_secs(1) {
            latencies.sorted.push(took.as_secs_f64() * 1e3);
            latencies.wrong += usize::from(!as_wanted);
        }
    }
    latencies.sorted.sort_by(f64::total_cmp);
    Ok(latencies)
}

/// Tells when each request is due, at that moment. A thread of its own: the runtime's timers count in milliseconds.
fn clock(rate: f64, span: Duration) -> mpsc::UnboundedReceiver<Instant> {
    let (tell, due) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let began = Instant::now();
        let interval = Duration::from_secs_f64(1.0 / rate);
        let mut next = began;
        while next < began + span {
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            if tell.send(next).is_err() {
                return;
            }
            next += interval;
        }
    });
    due
}
