//! How an edge is shown.

use serde::Serialize;
use utoipa::ToSchema;

use super::TargetUrl;
use crate::openapi::schema::schema;
use crate::store::Conn;
use crate::store::outbox::{self, Lane, Waiting};
use crate::store::targets::Target;
use crate::sync::process;
use crate::timestamp::Timestamp;

schema! {
    /// How many records.
    pub RecordCount = count().examples([12]);
    /// The process that delivers to the edge.
    pub HolderName = text(1, 256).examples(["web-1 (process 42)"]);
    /// What went wrong.
    pub FailureText = text(1, 1_000).examples(["the edge answered 503 Service Unavailable"]);
    /// A kind of record.
    pub KindWord = text(1, 64).examples(["key"]);
}

/// The edges.
#[derive(Debug, Serialize, ToSchema)]
pub struct Edges {
    /// Each of them.
    pub data: Vec<TargetView>,
}

/// An edge.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EdgeTarget)]
#[serde(rename_all = "camelCase")]
pub struct TargetView {
    #[schema(value_type = TargetUrl)]
    url: String,
    /// Whether it took the last push; `null` while there was none.
    #[schema(required)]
    reachable: Option<bool>,
    /// When it last took a push.
    #[schema(required)]
    last_success_at: Option<Timestamp>,
    /// Why it last took none.
    #[schema(required)]
    last_error: Option<FailureView>,
    /// What it has not been given yet.
    lag: LagView,
    /// The full delivery under way; `null` when there is none.
    #[schema(required)]
    full_delivery: Option<DeliveryView>,
    /// Who delivers to it; `null` while nobody does.
    #[schema(required, value_type = Option<HolderName>)]
    holder: Option<String>,
}

/// A push that was not taken.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PushFailure)]
struct FailureView {
    #[schema(value_type = FailureText)]
    message: String,
    at: Timestamp,
}

/// What waits for an edge.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EdgeLag)]
struct LagView {
    /// Changes by admins. They overtake everything else.
    urgent: WaitingView,
    /// Imported records.
    bulk: WaitingView,
}

/// What waits in a lane.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WaitingRecords)]
#[serde(rename_all = "camelCase")]
struct WaitingView {
    #[schema(value_type = RecordCount)]
    records: u64,
    /// When the oldest was put on its way; `null` when nothing waits.
    #[schema(required)]
    since: Option<Timestamp>,
}

impl From<Waiting> for WaitingView {
    fn from(waiting: Waiting) -> Self {
        Self {
            records: waiting.records,
            since: waiting.since.map(Timestamp),
        }
    }
}

/// A full delivery under way.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FullDelivery)]
struct DeliveryView {
    /// What is being delivered; `lost`: tombstones of what only edges knew; `hosts`: APIs once more, so that a host that went
    /// from one to another stays there.
    #[schema(value_type = KindWord)]
    kind: &'static str,
    /// Records that the edge was given.
    #[schema(value_type = RecordCount)]
    done: u64,
    /// Records there were when it began.
    #[schema(value_type = RecordCount)]
    total: u64,
}

impl TargetView {
    /// An edge with what waits for it.
    pub async fn of(conn: &mut Conn, target: Target) -> sqlx::Result<Self> {
        let urgent = outbox::waiting(conn, Lane::Urgent, target.delivered.urgent).await?;
        let bulk = outbox::waiting(conn, Lane::Bulk, target.delivered.bulk).await?;
        let failure = target.failure.zip(target.failure_at);
        Ok(Self {
            url: target.url,
            reachable: target.reachable,
            last_success_at: target.success_at.map(Timestamp),
            last_error: failure.map(|(message, at)| FailureView {
                message,
                at: Timestamp(at),
            }),
            lag: LagView {
                urgent: urgent.into(),
                bulk: bulk.into(),
            },
            full_delivery: target.snapshot.map(|cursor| DeliveryView {
                kind: cursor.kind.name(),
                done: target.snapshot_done,
                total: target.snapshot_total,
            }),
            holder: target.lease.holder.as_deref().map(process::shown),
        })
    }
}
