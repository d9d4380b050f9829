//! Delivers changes to one edge: in order, at least once, whatever dies in between.
//!
//! The database is the only memory: what the edge has is noted after its receipt, so a crash at any point repeats
//! a delivery and never skips one; the edge takes a record only if its version is new. A signal wakes the pusher
//! when a change is committed, and it also looks by itself, in case a call was broken off between commit and signal.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::Context;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::Instrument;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::clock::Clock;
use crate::entropy;
use crate::metrics::{Metrics, PushOutcome};
use crate::store::targets::{self, Cursor};
use crate::store::{Store, outbox, snapshot};
use crate::sync::News;
use crate::sync::backoff::Backoff;
use crate::sync::batch;
use crate::sync::edge_client::{EdgeClient, PushError};

/// How often an idle pusher looks for changes without being told.
const LOOK: Duration = Duration::from_secs(1);

/// The deliverer to one edge.
pub struct Pusher {
    store: Store,
    clock: Arc<dyn Clock>,
    edge: EdgeClient,
    committed: watch::Receiver<News>,
    delivered: watch::Sender<u64>,
    /// How many records the next push holds at most: fewer after one that the edge could not finish in time.
    size: u32,
    backoff: Backoff,
    metrics: Metrics,
    /// The newest change that the pusher was told of, and the trace of the call that made it, for the next push.
    told: u64,
    trace: Option<Context>,
}

/// What one step came to.
enum Step {
    /// Something was delivered; there may be more.
    Delivered,
    /// The edge has everything.
    Idle,
}

impl Pusher {
    /// A pusher that is woken by `committed` and tells `delivered` how far the edge has come.
    pub fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        edge: EdgeClient,
        committed: watch::Receiver<News>,
        delivered: watch::Sender<u64>,
        metrics: Metrics,
    ) -> Self {
        Self {
            store,
            clock,
            edge,
            committed,
            delivered,
            size: batch::MAX_RECORDS,
            backoff: Backoff::default(),
            metrics,
            told: 0,
            trace: None,
        }
    }

    /// Delivers until `stop` says true.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            _ = stop.wait_for(|stopped| *stopped) => {}
            () = self.deliver() => {}
        }
    }

    async fn deliver(&mut self) {
        loop {
            // Changes from here on wake the pusher even if this step does not see them.
            self.listen();
            match self.step().await {
                Ok(Step::Delivered) => {
                    self.size = self.size.saturating_mul(2).min(batch::MAX_RECORDS);
                    self.succeeded();
                }
                Ok(Step::Idle) => self.idle().await,
                Err(error) => {
                    if error.may_be_too_much() {
                        self.size = (self.size / 2).max(1);
                    }
                    self.log(&error);
                    self.backoff.failed(Instant::now(), jitter());
                    self.pause().await;
                }
            }
        }
    }

    fn listen(&mut self) {
        let news = self.committed.borrow_and_update();
        if news.seq > self.told {
            self.told = news.seq;
            self.trace = Some(news.trace.clone());
        }
    }

    /// Sends a push that holds `count` records.
    async fn send(&mut self, body: Vec<u8>, count: usize) -> Result<(), PushError> {
        let span = tracing::info_span!(
            "push",
            otel.name = "POST /.keyward/push",
            otel.kind = "client",
            otel.status_code = Empty,
            http.request.method = "POST",
            server.address = self.edge.host(),
            keyward.records = count,
        );
        if let Some(trace) = self.trace.take() {
            // Without an export there is nothing that could have a parent.
            let _ = span.set_parent(trace);
        }
        let started = Instant::now();
        let sending = self.edge.push(body, self.clock.now());
        let sent = sending.instrument(span.clone()).await;
        if sent.is_err() {
            span.record("otel.status_code", "ERROR");
        }
        let outcome = match &sent {
            Ok(_) => Some(PushOutcome::Taken),
            Err(PushError::Unreachable(_)) => Some(PushOutcome::Unreachable),
            Err(PushError::Busy(_)) => Some(PushOutcome::Busy),
            Err(PushError::Refused(_)) => Some(PushOutcome::Refused),
            Err(PushError::Receipt) => Some(PushOutcome::NotAReceipt),
            Err(PushError::Local(_)) => None,
        };
        if let Some(outcome) = outcome {
            let target = self.edge.target();
            self.metrics
                .pushed(target, outcome, started.elapsed(), count);
        }
        sent.map(|_| ())
    }

    async fn step(&mut self) -> Result<Step, PushError> {
        let mut conn = self.store.read().await?;
        let target = self.edge.target();
        let Some(progress) = targets::progress(&mut conn, target).await? else {
            // Another process was started with other edges; this one has nothing to do any more.
            return Ok(Step::Idle);
        };
        if let Some(cursor) = progress.snapshot {
            let page = snapshot::after(&mut conn, &cursor, self.size).await?;
            drop(conn);
            return self.deliver_page(cursor, &page).await;
        }
        self.delivered.send_if_modified(|seq| {
            let is_news = progress.delivered > *seq;
            *seq = progress.delivered.max(*seq);
            is_news
        });
        let entries = outbox::after(&mut conn, progress.delivered, self.size).await?;
        drop(conn);
        let (body, count) = batch::pack(entries.iter().map(|e| e.record.as_str()));
        let Some(last) = entries.get(..count).and_then(<[_]>::last) else {
            return Ok(Step::Idle);
        };
        self.send(body, count).await?;
        let mut tx = self.store.write().await?;
        targets::delivered(&mut tx, self.edge.target(), last.seq).await?;
        tx.commit().await?;
        self.delivered.send_replace(last.seq);
        tracing::debug!(
            target_url = self.edge.target(),
            records = count,
            seq = last.seq,
            "pushed"
        );
        Ok(Step::Delivered)
    }

    /// One page of the full delivery that a new edge is given first.
    async fn deliver_page(
        &mut self,
        cursor: Cursor,
        page: &[shared::record::Record],
    ) -> Result<Step, PushError> {
        let texts: Vec<String> = page
            .iter()
            .map(serde_json::to_string)
            .collect::<Result<_, _>>()
            .map_err(anyhow::Error::from)?;
        let (body, count) = batch::pack(texts.iter().map(String::as_str));
        let next = match page.get(..count).and_then(<[_]>::last) {
            Some(last) => {
                self.send(body, count).await?;
                Some(Cursor {
                    kind: cursor.kind,
                    after: last.id().to_owned(),
                })
            }
            None => cursor.kind.next().map(|kind| Cursor {
                kind,
                after: String::new(),
            }),
        };
        let mut tx = self.store.write().await?;
        targets::snapshot_at(&mut tx, self.edge.target(), next.as_ref()).await?;
        tx.commit().await?;
        if next.is_none() {
            tracing::info!(
                target_url = self.edge.target(),
                "the edge was given every record"
            );
        }
        Ok(Step::Delivered)
    }

    fn succeeded(&mut self) {
        if self.backoff.retry_at().is_some() {
            tracing::info!(
                target_url = self.edge.target(),
                "the edge takes pushes again"
            );
        }
        self.backoff.succeeded();
    }

    async fn idle(&mut self) {
        tokio::select! {
            Ok(()) = self.committed.changed() => {}
            () = sleep(LOOK) => {}
        }
    }

    async fn pause(&mut self) {
        let Some(at) = self.backoff.retry_at() else {
            return;
        };
        if !self.backoff.may_hurry() {
            sleep_until(at).await;
            return;
        }
        tokio::select! {
            () = sleep_until(at) => {}
            Ok(()) = self.committed.changed() => self.backoff.hurry(),
        }
    }

    fn log(&self, error: &PushError) {
        let target_url = self.edge.target();
        let cause = error.source().map(ToString::to_string);
        match error {
            PushError::Refused(status) => tracing::error!(
                target_url,
                status = status.as_u16(),
                "the edge refuses a push; it is held and tried again"
            ),
            _ => tracing::warn!(
                target_url,
                error = error.to_string(),
                cause,
                "a push failed; it is tried again"
            ),
        }
    }
}

/// A number between 0 and 1. Without randomness pauses are merely not spread.
fn jitter() -> f64 {
    let Ok(bytes) = entropy::draw() else {
        return 0.5;
    };
    f64::from(bytes.first().copied().unwrap_or_default()) / 255.0
}
