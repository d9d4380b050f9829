//! Delivery of changes to the edges.
//!
//! Any number of processes may share a database. Of each edge one of them is the holder, by a lease in its row, and
//! delivers with two [`pusher`]s, one for each lane; [`keeper`] looks after the leases. A call waits until every edge has its
//! change, whoever delivers it.

mod backoff;
mod batch;
pub mod drift;
pub mod edge_client;
mod holder;
mod keeper;
mod pace;
pub mod process;
mod pusher;
pub mod repair;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::Context;
use shared::secret::Secret;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::store::outbox::{Lane, Marks};
use crate::store::{Committed, Store, targets};
use crate::tracing_export;
use edge_client::EdgeClient;
pub use edge_client::probe;
use process::Process;

/// How long a push under way may take to end when the server stops.
const GRACE: Duration = Duration::from_secs(3);

/// What is configured of delivery.
#[derive(Debug, Clone)]
pub struct SyncConfig {
    /// Base URLs of the edges, without a slash at the end.
    pub targets: Vec<String>,
    /// Signs the pushes.
    pub secret: Secret,
    /// How long a call waits for the edges.
    pub wait: Duration,
}

/// The newest change.
#[derive(Debug, Clone, Default)]
pub struct News {
    /// Its sequence number.
    seq: u64,
    /// The place in a trace of the call that made it.
    trace: Context,
}

/// What the tasks of delivery share.
#[derive(Debug)]
struct Office {
    store: Store,
    clock: Arc<dyn Clock>,
    process: Process,
    /// Something was committed, here or elsewhere.
    committed: watch::Sender<News>,
    /// An edge may have come further by the work of another process.
    delivered: Notify,
    metrics: Metrics,
}

/// An edge that this process is configured with.
#[derive(Debug)]
struct Edge {
    client: EdgeClient,
    /// How far it is known to have come.
    marks: watch::Sender<Marks>,
    /// Whether this process delivers to it.
    held: watch::Sender<bool>,
}

impl Edge {
    fn url(&self) -> &str {
        self.client.target()
    }

    /// It has come at least so far.
    fn has(&self, marks: Marks) {
        self.marks.send_if_modified(|known| {
            let before = *known;
            for lane in Lane::ALL {
                known.raise(lane, marks.of(lane));
            }
            *known != before
        });
    }
}

/// Tells the pushers of new changes, and the callers of delivered ones.
#[derive(Debug)]
pub struct Propagation {
    office: Arc<Office>,
    edges: Vec<Arc<Edge>>,
    secret: Secret,
    alive: Alive,
    wait: Duration,
}

impl Propagation {
    /// Wakes the pushers and waits, within bounds, until every edge has the change: whether that is so. The edges are those
    /// that this process is configured with. Without any nothing is guarded, and the answer is no.
    pub async fn settle(&self, change: Committed) -> bool {
        self.announce(change.0);
        self.wake();
        if self.edges.is_empty() {
            return false;
        }
        let all = async {
            for edge in &self.edges {
                let mut marks = edge.marks.subscribe();
                if marks.wait_for(|m| m.reach(change.0)).await.is_err() {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(self.wait, all).await.unwrap_or(false)
    }

    /// Tells to which trace the push of a change belongs. To be called before the commit: others may tell the pushers of
    /// that before we do.
    pub fn announce(&self, change: Marks) {
        let seq = change.urgent.max(change.bulk);
        self.office.committed.send_if_modified(|news| {
            if seq > news.seq {
                news.seq = seq;
                news.trace = tracing_export::current();
            }
            false
        });
    }

    /// Wakes the pushers.
    pub fn wake(&self) {
        self.office.look();
    }

    /// A client of an edge that the database knows.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn client(&self, url: &str) -> anyhow::Result<EdgeClient> {
        EdgeClient::new(url, self.secret.clone())
    }

    /// Whether every task of delivery is at work.
    pub fn is_alive(&self) -> bool {
        self.alive.is_so()
    }
}

/// Which tasks are at work.
#[derive(Debug, Default)]
struct Alive(Vec<watch::Receiver<()>>);

impl Alive {
    /// The task, watched.
    fn watch<T: Future<Output = ()>>(&mut self, task: T) -> impl Future<Output = ()> + use<T> {
        let (sender, receiver) = watch::channel(());
        self.0.push(receiver);
        async move {
            task.await;
            drop(sender);
        }
    }

    /// Whether none has ended: one that did, by a fault of ours, has taken its sender with it.
    fn is_so(&self) -> bool {
        self.0.iter().all(|task| task.has_changed().is_ok())
    }
}

/// The tasks at work.
#[derive(Debug)]
pub struct Pushers {
    office: Arc<Office>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Pushers {
    /// Stops delivery, after the pushes under way, and gives the leases back, so that another process goes on at once.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, ended).await.is_err() {
            tracing::warn!("a push was cut off; it will be repeated");
        }
        self.tasks.shutdown().await;
        if let Err(error) = self.office.release().await {
            let error = error.to_string();
            tracing::warn!(
                error,
                "the leases of the edges could not be given back; they run out"
            );
        }
    }
}

impl Office {
    /// Wakes the pushers: there may be something that they don't know of.
    fn look(&self) {
        self.committed.send_modify(|_| {});
    }

    async fn release(&self) -> sqlx::Result<()> {
        let mut tx = self.store.write().await?;
        targets::release(&mut tx, self.process.name()).await?;
        tx.commit().await
    }
}

/// Starts delivery to the configured edges.
///
/// # Errors
/// When the database can't be written, or no HTTP client be made.
pub async fn start(
    store: &Store,
    clock: &Arc<dyn Clock>,
    config: &SyncConfig,
    metrics: &Metrics,
) -> anyhow::Result<(Propagation, Pushers)> {
    let mut tx = store.write().await?;
    targets::want(&mut tx, &config.targets, clock.now()).await?;
    tx.commit().await?;

    let office = Arc::new(Office {
        store: store.clone(),
        clock: Arc::clone(clock),
        process: Process::this(),
        committed: watch::Sender::new(News::default()),
        delivered: Notify::new(),
        metrics: metrics.clone(),
    });
    let mut edges = Vec::new();
    for url in &config.targets {
        edges.push(Arc::new(Edge {
            client: EdgeClient::new(url, config.secret.clone())?,
            // Changes to come have higher numbers than any delivered before, so zero does as a beginning.
            marks: watch::Sender::new(Marks::default()),
            held: watch::Sender::new(false),
        }));
    }
    let (stop, _) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let mut alive = Alive::default();
    for edge in &edges {
        let (office, edge) = (Arc::clone(&office), Arc::clone(edge));
        tasks.spawn(alive.watch(holder::run(office, edge, stop.subscribe())));
    }
    let listening = keeper::listen(Arc::clone(&office), stop.subscribe());
    tasks.spawn(alive.watch(listening));
    let kept = edges.clone();
    let keeping = keeper::run(Arc::clone(&office), kept, stop.subscribe());
    tasks.spawn(alive.watch(keeping));
    let propagation = Propagation {
        office: Arc::clone(&office),
        edges,
        secret: config.secret.clone(),
        alive,
        wait: config.wait,
    };
    let pushers = Pushers {
        office,
        stop,
        tasks,
    };
    Ok((propagation, pushers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_ended_is_noticed() {
        let mut alive = Alive::default();
        let runs = tokio::spawn(alive.watch(std::future::pending()));
        let panics = alive.watch(async { panic!("a fault of ours") });
        assert!(alive.is_so());
        assert!(tokio::spawn(panics).await.is_err());
        assert!(!alive.is_so());
        runs.abort();
    }
}
