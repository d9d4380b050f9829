//! Delivers the changes of one lane to one edge: in order, at least once, whatever dies in between.
//!
//! The database is the only memory: what the edge has is noted after its receipt, so a crash at any point repeats
//! a delivery and never skips one; the edge takes a record only if its version is new. A signal wakes the pusher
//! when a change is committed, and it also looks by itself, in case a call was broken off between commit and signal.
//! The lanes go side by side: a revocation waits for no import, and for no full delivery, which is of the bulk lane.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::Context;
use shared::record::Record;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::Instrument;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::entropy;
use crate::metrics::PushOutcome;
use crate::store::outbox::{Lane, Marks};
use crate::store::targets::{self, Cursor, SnapshotStep};
use crate::store::{outbox, snapshot};
use crate::sync::backoff::Backoff;
use crate::sync::batch;
use crate::sync::edge_client::PushError;
use crate::sync::pace::Pace;
use crate::sync::{Edge, News, Office};

/// How often an idle pusher looks for changes without being told.
const LOOK: Duration = Duration::from_secs(1);

/// The deliverer of one lane to one edge.
pub struct Pusher {
    office: Arc<Office>,
    edge: Arc<Edge>,
    lane: Lane,
    committed: watch::Receiver<News>,
    stop: watch::Receiver<bool>,
    pace: Pace,
    backoff: Backoff,
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
    /// Another process delivers to the edge by now.
    Lost,
}

impl Pusher {
    /// A pusher of a lane, which ends when `stop` says true.
    pub fn new(
        office: Arc<Office>,
        edge: Arc<Edge>,
        lane: Lane,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self {
            committed: office.committed.subscribe(),
            office,
            edge,
            lane,
            stop,
            pace: match lane {
                Lane::Urgent => Pace::of_urgent(),
                Lane::Bulk => Pace::of_bulk(),
            },
            backoff: Backoff::default(),
            told: 0,
            trace: None,
        }
    }

    /// Delivers until the lease is lost or the server stops; a push under way is ended then.
    pub async fn run(mut self) {
        while !*self.stop.borrow() {
            // Changes from here on wake the pusher even if this step does not see them.
            self.listen();
            match self.step().await {
                Ok(Step::Delivered) => self.succeeded(),
                Ok(Step::Idle) => self.idle().await,
                Ok(Step::Lost) => {
                    self.edge.held.send_replace(false);
                    return;
                }
                Err(error) => {
                    if error.may_be_too_much() {
                        self.pace.was_too_much();
                    }
                    self.note(&error).await;
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
            server.address = self.edge.client.host(),
            keyward.records = count,
        );
        if let Some(trace) = self.trace.take() {
            // Without an export there is nothing that could have a parent.
            let _ = span.set_parent(trace);
        }
        let started = Instant::now();
        let sending = self.edge.client.push(body, self.office.clock.now());
        let sent = sending.instrument(span.clone()).await;
        let time = started.elapsed();
        match &sent {
            Ok(_) => self.pace.took(count, time),
            Err(_) => {
                span.record("otel.status_code", "ERROR");
            }
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
            let metrics = &self.office.metrics;
            metrics.pushed(self.edge.url(), outcome, time, count);
        }
        sent.map(|_| ())
    }

    async fn step(&mut self) -> Result<Step, PushError> {
        let mut conn = self.office.store.read().await?;
        let Some(target) = targets::find(&mut conn, self.edge.url()).await? else {
            return Ok(Step::Lost);
        };
        self.edge.has(target.delivered);
        if let (Lane::Bulk, Some(cursor)) = (self.lane, target.snapshot) {
            let page = snapshot::after(&mut conn, &cursor, self.pace.size()).await?;
            drop(conn);
            return self.deliver_page(cursor, &page).await;
        }
        let since = target.delivered.of(self.lane);
        let entries = outbox::after(&mut conn, self.lane, since, self.pace.size()).await?;
        drop(conn);
        let (body, count) = batch::pack(entries.iter().map(|e| e.record.as_str()));
        let Some(last) = entries.get(..count).and_then(<[_]>::last) else {
            return Ok(Step::Idle);
        };
        self.send(body, count).await?;
        let (url, holder) = (self.edge.url(), self.office.process.name());
        let now = self.office.clock.now();
        let mut tx = self.office.store.write().await?;
        let noted = targets::delivered(&mut tx, url, holder, self.lane, last.seq, now).await?;
        tx.commit().await?;
        if !noted {
            return Ok(Step::Lost);
        }
        let mut marks = Marks::default();
        marks.raise(self.lane, last.seq);
        self.edge.has(marks);
        tracing::debug!(
            target_url = url,
            lane = ?self.lane,
            records = count,
            seq = last.seq,
            "pushed"
        );
        Ok(Step::Delivered)
    }

    /// One page of a full delivery.
    async fn deliver_page(&mut self, cursor: Cursor, page: &[Record]) -> Result<Step, PushError> {
        let (body, count) = pack(page)?;
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
        let step = SnapshotStep {
            from: &cursor,
            to: next.as_ref(),
            records: count as u64,
        };
        let (url, holder) = (self.edge.url(), self.office.process.name());
        let now = self.office.clock.now();
        let mut tx = self.office.store.write().await?;
        // Not noted: it was begun anew meanwhile, or the lease is lost, which the next step finds out.
        let noted = targets::snapshot_at(&mut tx, url, holder, step, now).await?;
        tx.commit().await?;
        if noted && next.is_none() {
            tracing::info!(target_url = url, "the edge was given every record");
        }
        Ok(Step::Delivered)
    }

    fn succeeded(&mut self) {
        if self.backoff.retry_at().is_some() {
            let target_url = self.edge.url();
            tracing::info!(target_url, "the edge takes pushes again");
        }
        self.backoff.succeeded();
    }

    async fn idle(&mut self) {
        tokio::select! {
            _ = self.stop.changed() => {}
            Ok(()) = self.committed.changed() => {}
            () = sleep(LOOK) => {}
        }
    }

    async fn pause(&mut self) {
        let Some(at) = self.backoff.retry_at() else {
            return;
        };
        // Nobody waits for the bulk lane.
        let may_hurry = self.lane == Lane::Urgent && self.backoff.may_hurry();
        tokio::select! {
            _ = self.stop.changed() => {}
            () = sleep_until(at) => {}
            Ok(()) = self.committed.changed(), if may_hurry => self.backoff.hurry(),
        }
    }

    /// Logs a failure, and keeps what the edge did for those who ask how it is.
    async fn note(&self, error: &PushError) {
        let target_url = self.edge.url();
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
        if matches!(error, PushError::Local(_)) {
            return;
        }
        if let Err(error) = self.keep(&error.to_string()).await {
            let error = error.to_string();
            tracing::warn!(target_url, error, "the failure can't be noted");
        }
    }

    async fn keep(&self, failure: &str) -> sqlx::Result<()> {
        let mut tx = self.office.store.write().await?;
        let now = self.office.clock.now();
        targets::failed(&mut tx, self.edge.url(), failure, now).await?;
        tx.commit().await
    }
}

/// A push's body of records, and how many of them it holds.
pub fn pack<'a>(records: impl IntoIterator<Item = &'a Record>) -> anyhow::Result<(Vec<u8>, usize)> {
    let texts: Vec<String> = records
        .into_iter()
        .map(serde_json::to_string)
        .collect::<Result<_, _>>()?;
    Ok(batch::pack(texts.iter().map(String::as_str)))
}

/// A number between 0 and 1. Without randomness pauses are merely not spread.
fn jitter() -> f64 {
    let Ok(bytes) = entropy::draw() else {
        return 0.5;
    };
    f64::from(bytes.first().copied().unwrap_or_default()) / 255.0
}
