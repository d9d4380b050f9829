//! A load generator that remembers every request.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::Client;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::answer::Answer;
use crate::call::Call;

/// A load: one request, over and over, on many connections.
#[derive(Debug, Clone)]
pub struct Load {
    client: Client,
    targets: Vec<String>,
    call: Call,
    connections: usize,
    per_second: Option<f64>,
    count: Option<u64>,
}

/// One request of a load.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Just before it was sent.
    pub started: Instant,
    /// When its answer was read whole, or the connection broke.
    pub ended: Instant,
    /// The status; 0: there was no answer.
    pub status: u16,
    /// `ok`, the code of the refusal, or `none`.
    pub code: String,
}

/// The requests of a load, in the order of their answers.
#[derive(Debug, Clone, Default)]
pub struct Samples(pub Vec<Sample>);

impl Load {
    /// A load of `call` on the edges at `targets` by turns, on 16 connections, as fast as it goes.
    pub fn new(client: &Client, targets: Vec<String>, call: &Call) -> Self {
        Self {
            client: client.clone(),
            targets,
            call: call.clone(),
            connections: 16,
            per_second: None,
            count: None,
        }
    }

    /// On this many connections, each with one request at a time.
    #[must_use]
    pub fn connections(self, connections: usize) -> Self {
        Self {
            connections: connections.max(1),
            ..self
        }
    }

    /// At a steady pace of all connections together, if they can hold it.
    #[must_use]
    pub fn per_second(self, requests: f64) -> Self {
        Self {
            per_second: Some(requests),
            ..self
        }
    }

    /// That many requests and no more.
    #[must_use]
    pub fn count(self, requests: u64) -> Self {
        Self {
            count: Some(requests),
            ..self
        }
    }

    /// Begins.
    pub fn start(self) -> Running {
        let shared = Arc::new(Shared::default());
        let mut workers = JoinSet::new();
        let began = Instant::now();
        for number in 0..self.connections {
            let worker = Worker {
                load: self.clone(),
                shared: Arc::clone(&shared),
                target: self.targets[number % self.targets.len()].clone(),
                began,
                number,
            };
            workers.spawn(worker.run());
        }
        Running { shared, workers }
    }

    /// Sends for a time.
    pub async fn run_for(self, span: Duration) -> Samples {
        let running = self.start();
        tokio::time::sleep(span).await;
        running.stop().await
    }

    /// Sends the requests of [`Load::count`] and waits for all answers.
    ///
    /// # Panics
    /// Without a count.
    pub async fn run(self) -> Samples {
        assert!(self.count.is_some(), "a load without end");
        self.start().join().await
    }
}

#[derive(Debug, Default)]
struct Shared {
    stopped: AtomicBool,
    begun: AtomicU64,
    samples: Mutex<Vec<Sample>>,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    statuses: BTreeMap<u16, u64>,
    codes: BTreeMap<String, u64>,
}

struct Worker {
    load: Load,
    shared: Arc<Shared>,
    target: String,
    began: Instant,
    number: usize,
}

impl Worker {
    async fn run(self) {
        let connections = self.load.connections as f64;
        let interval = self
            .load
            .per_second
            .map(|rate| Duration::from_secs_f64(connections / rate));
        let mut due = self.began;
        if let Some(interval) = interval {
            due += interval.mul_f64(self.number as f64 / connections);
        }
        loop {
            if let Some(interval) = interval {
                sleep_until(due).await;
                due += interval;
            }
            if self.shared.stopped.load(Ordering::SeqCst) {
                return;
            }
            let begun = self.shared.begun.fetch_add(1, Ordering::SeqCst);
            if self.load.count.is_some_and(|count| begun >= count) {
                return;
            }
            let sample = self.sample().await;
            if sample.status == 0 {
                // A server that is down refuses at once: let it come up.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            self.shared.note(sample);
        }
    }

    async fn sample(&self) -> Sample {
        let request = self.load.call.request(&self.load.client, &self.target);
        let started = Instant::now();
        let answer = async { Answer::read(request.send().await?).await }.await;
        let ended = Instant::now();
        let (status, code) = match answer {
            Ok(answer) => (answer.status, answer.code()),
            Err(_) => (0, "none".to_owned()),
        };
        Sample {
            started,
            ended,
            status,
            code,
        }
    }
}

impl Shared {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn samples(&self) -> MutexGuard<'_, Vec<Sample>> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, sample: Sample) {
        let mut counts = self.counts();
        *counts.statuses.entry(sample.status).or_default() += 1;
        *counts.codes.entry(sample.code.clone()).or_default() += 1;
        drop(counts);
        self.samples().push(sample);
    }
}

/// A load at work. Stops when it is dropped.
#[derive(Debug)]
pub struct Running {
    shared: Arc<Shared>,
    workers: JoinSet<()>,
}

impl Running {
    /// How many answers had this status so far; 0: none came.
    pub fn count(&self, status: u16) -> u64 {
        let counts = self.shared.counts();
        counts.statuses.get(&status).copied().unwrap_or(0)
    }

    /// How many answers had this code so far (`ok` for successes, `none` for no answer).
    pub fn count_of(&self, code: &str) -> u64 {
        let counts = self.shared.counts();
        counts.codes.get(code).copied().unwrap_or(0)
    }

    /// Stops sending, waits for the answers under way, and gives all.
    pub async fn stop(self) -> Samples {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.join().await
    }

    async fn join(mut self) -> Samples {
        while let Some(ended) = self.workers.join_next().await {
            ended.expect("a connection of the load does not panic");
        }
        Samples(std::mem::take(&mut *self.shared.samples()))
    }
}

impl Samples {
    /// How many had this status; 0: no answer.
    pub fn count(&self, status: u16) -> u64 {
        self.with(status).count() as u64
    }

    /// Those with this status.
    pub fn with(&self, status: u16) -> impl Iterator<Item = &Sample> {
        self.0.iter().filter(move |sample| sample.status == status)
    }

    /// Those that started at `moment` or later.
    pub fn since(&self, moment: Instant) -> impl Iterator<Item = &Sample> {
        self.0.iter().filter(move |sample| sample.started >= moment)
    }

    /// Those whose answers came before `moment`.
    pub fn before(&self, moment: Instant) -> impl Iterator<Item = &Sample> {
        self.0.iter().filter(move |sample| sample.ended < moment)
    }

    /// How many there are of each code (`ok` for successes, `none` for no answer).
    pub fn codes(&self) -> BTreeMap<String, u64> {
        let mut codes = BTreeMap::new();
        for sample in &self.0 {
            *codes.entry(sample.code.clone()).or_default() += 1;
        }
        codes
    }

    /// Takes another load's requests in.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}
