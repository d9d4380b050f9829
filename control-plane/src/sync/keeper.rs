//! Keeps this process's place among those on the database: says that it lives, and hears of what the others do.

use std::sync::Arc;
use std::time::Duration;

use shared::Millis;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::store::outbox::{self, Lane};
use crate::store::signal::Signals;
use crate::store::targets;
use crate::sync::{Edge, Office};

/// How often a holder says that it lives, and everything is looked after without a signal.
pub const BEAT: Duration = Duration::from_secs(1);
/// How often a process says which edges it is configured with.
const WANT_EVERY: Millis = 60_000;
/// An edge that no process was configured with for so long is forgotten. So a rolling restart with other settings, or two
/// processes that differ, don't make it start over.
pub const FORGET_AFTER: Millis = 10 * 60_000;

/// Passes on what the database tells of other processes.
pub async fn listen(office: Arc<Office>, mut stop: watch::Receiver<bool>) {
    let listening = async {
        loop {
            if let Err(error) = hear(&office).await {
                let error = error.to_string();
                tracing::warn!(
                    error,
                    "other processes can't be heard at the moment; changes are looked for"
                );
            }
            sleep(BEAT).await;
        }
    };
    tokio::select! {
        _ = stop.wait_for(|stopped| *stopped) => {}
        () = listening => {}
    }
}

async fn hear(office: &Office) -> sqlx::Result<()> {
    let mut signals = Signals::of(&office.store).await?;
    loop {
        let news = signals.next().await?;
        if news.committed {
            office.look();
        }
        if news.delivered {
            office.delivered.notify_one();
        }
    }
}

/// Looks after the leases of this process, and learns how far the edges of others have come.
pub async fn run(office: Arc<Office>, edges: Vec<Arc<Edge>>, mut stop: watch::Receiver<bool>) {
    let mut keeper = Keeper {
        began: office.clock.now(),
        wanted: office.clock.now(),
        office,
        edges,
    };
    tokio::select! {
        _ = stop.wait_for(|stopped| *stopped) => {}
        () = keeper.keep() => {}
    }
}

struct Keeper {
    office: Arc<Office>,
    edges: Vec<Arc<Edge>>,
    began: Millis,
    /// When this process last said which edges it is configured with.
    wanted: Millis,
}

impl Keeper {
    async fn keep(&mut self) {
        let mut next_beat = Instant::now();
        loop {
            let done = if Instant::now() >= next_beat {
                next_beat = Instant::now() + BEAT;
                self.look_after().await
            } else {
                self.learn().await
            };
            if let Err(error) = done {
                let error = error.to_string();
                tracing::warn!(error, "the edges' rows can't be looked after");
            }
            tokio::select! {
                () = self.office.delivered.notified() => {}
                () = sleep_until(next_beat) => {}
            }
        }
    }

    async fn look_after(&mut self) -> sqlx::Result<()> {
        let held: Vec<&Arc<Edge>> = self.edges.iter().filter(|e| *e.held.borrow()).collect();
        if !held.is_empty() {
            let mut tx = self.office.store.write().await?;
            let renewed = targets::renew(&mut tx, self.office.process.name()).await?;
            // Two processes that note progress at the same moment don't see each other's, and leave what both have.
            for lane in Lane::ALL {
                outbox::prune(&mut tx, lane).await?;
            }
            tx.commit().await?;
            for edge in held {
                if !renewed.iter().any(|url| url == edge.url()) {
                    edge.held.send_replace(false);
                }
            }
        }
        self.want().await?;
        self.learn().await
    }

    /// Keeps the edges of this process, and forgets those that nobody has spoken of for long.
    async fn want(&mut self) -> sqlx::Result<()> {
        let now = self.office.clock.now();
        if now.abs_diff(self.wanted) < WANT_EVERY {
            return Ok(());
        }
        self.wanted = now;
        let urls: Vec<String> = self.edges.iter().map(|e| e.url().to_owned()).collect();
        let mut tx = self.office.store.write().await?;
        targets::want(&mut tx, &urls, now).await?;
        // A process that has just begun may be the first of several to come back.
        if now.saturating_sub(self.began) >= FORGET_AFTER {
            for url in targets::forget(&mut tx, now - FORGET_AFTER).await? {
                tracing::info!(
                    target_url = url,
                    "no process has this edge any more: forgotten"
                );
            }
        }
        tx.commit().await
    }

    /// How far the edges have come that other processes deliver to.
    async fn learn(&self) -> sqlx::Result<()> {
        if self.edges.iter().all(|edge| *edge.held.borrow()) {
            return Ok(());
        }
        let mut conn = self.office.store.read().await?;
        for target in targets::all(&mut conn).await? {
            if let Some(edge) = self.edges.iter().find(|e| e.url() == target.url) {
                edge.has(target.delivered);
            }
        }
        Ok(())
    }
}
