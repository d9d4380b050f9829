//! Delivery of changes to the edges: one [`pusher`] for each, and the word to waiting calls that all have it.

mod backoff;
mod batch;
mod edge_client;
mod pusher;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::Context;
use shared::secret::Secret;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::store::{Committed, Store, targets};
use crate::tracing_export;
use edge_client::EdgeClient;
pub use edge_client::probe;
use pusher::Pusher;

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

/// Tells the pushers of new changes, and the callers of delivered ones.
#[derive(Debug)]
pub struct Propagation {
    committed: watch::Sender<News>,
    delivered: Vec<watch::Receiver<u64>>,
    wait: Duration,
}

impl Propagation {
    /// Wakes the pushers and waits, within bounds, until every edge has the change: whether that is so.
    /// Without any edge nothing is guarded, and the answer is no.
    pub async fn settle(&self, change: Committed) -> bool {
        self.committed.send_modify(|news| {
            if change.0 > news.seq {
                news.seq = change.0;
                news.trace = tracing_export::current();
            }
        });
        if self.delivered.is_empty() {
            return false;
        }
        let all = async {
            for delivered in &self.delivered {
                let mut delivered = delivered.clone();
                if delivered.wait_for(|seq| *seq >= change.0).await.is_err() {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(self.wait, all).await.unwrap_or(false)
    }

    /// Whether every pusher is at work.
    pub fn is_alive(&self) -> bool {
        // A pusher that ended, by a fault of ours, has taken its sender with it.
        self.delivered.iter().all(|d| d.has_changed().is_ok())
    }
}

/// The pushers at work.
#[derive(Debug)]
pub struct Pushers {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Pushers {
    /// Stops delivery; what is under way is delivered again at the next start.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
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
    targets::configure(&mut tx, &config.targets, clock.now()).await?;
    tx.commit().await?;

    let (committed, _) = watch::channel(News::default());
    let (stop, _) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let mut delivered = Vec::new();
    for url in &config.targets {
        // Changes to come have higher numbers than any delivered before, so zero does as a beginning.
        let (sender, receiver) = watch::channel(0);
        delivered.push(receiver);
        let pusher = Pusher::new(
            store.clone(),
            Arc::clone(clock),
            EdgeClient::new(url, config.secret.clone())?,
            committed.subscribe(),
            sender,
            metrics.clone(),
        );
        tasks.spawn(pusher.run(stop.subscribe()));
    }
    let propagation = Propagation {
        committed,
        delivered,
        wait: config.wait,
    };
    Ok((propagation, Pushers { stop, tasks }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pusher_that_ended_is_noticed() {
        let (alive, receiver) = watch::channel(0);
        let propagation = Propagation {
            committed: watch::channel(News::default()).0,
            delivered: vec![receiver],
            wait: Duration::ZERO,
        };
        assert!(propagation.is_alive());
        drop(alive);
        assert!(!propagation.is_alive());
    }
}
