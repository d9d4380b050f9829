//! Mends what differs between an edge and the database; the database is right.
//!
//! What the edge lacks, has in an older version, or has no copy of in KV is pushed again as it is. What it has in a newer
//! version than the database, or alone, can't be taken back under an old version: it is published anew, to every edge,
//! under a fresh version above the edge's, and what the database does not know as a tombstone. So a database that was
//! restored from a backup is accepted.

use serde_json::json;
use shared::record::Record;

use crate::audit::{Act, Caller, Target};
use crate::clock::Clock;
use crate::store::targets::Kind;
use crate::store::{Change, Committed, Store, digests, lost, snapshot};
use crate::sync::drift::{Drift, Fault};
use crate::sync::edge_client::{EdgeClient, PushError};
use crate::sync::pace::FEW;
use crate::sync::pusher::pack;

/// Records that are published anew in one transaction.
const AT_ONCE: usize = 200;

/// What was mended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mended {
    /// Records that were pushed again.
    pub pushed: u64,
    /// Records that got a fresh version.
    pub republished: u64,
    /// Records that only the edge knew, and that are gone now.
    pub removed: u64,
}

/// Pushes again what the edge lacks.
///
/// # Errors
/// When the edge does not take it, or the database can't be read.
pub async fn push_again(
    store: &Store,
    edge: &EdgeClient,
    drift: &[Drift],
    clock: &dyn Clock,
) -> Result<u64, PushError> {
    let lacking = |d: &&Drift| matches!(d.fault, Fault::Missing | Fault::Older | Fault::Copy);
    let mut records = Vec::new();
    let mut conn = store.read().await?;
    for drift in drift.iter().filter(lacking) {
        if let Some(kind) = Kind::of_record(&drift.kind) {
            records.extend(record_of(&mut conn, kind, &drift.id).await?);
        }
    }
    drop(conn);
    // In the order of their changes: of two APIs that have or had a host, the one that has it comes last.
    records.sort_by_key(Record::version);
    records.dedup_by(|a, b| a.id() == b.id());
    let mut rest = records.as_slice();
    while !rest.is_empty() {
        let (body, count) = pack(rest.iter().take(FEW as usize))?;
        edge.push(body, clock.now()).await?;
        rest = rest.get(count..).unwrap_or_default();
    }
    Ok(records.len() as u64)
}

async fn record_of(
    conn: &mut crate::store::Conn,
    kind: Kind,
    id: &str,
) -> sqlx::Result<Option<Record>> {
    match snapshot::one(conn, kind, id).await? {
        Some(record) => Ok(Some(record)),
        None => snapshot::one(conn, Kind::Lost, id).await,
    }
}

/// Publishes anew what the edge has in a newer version than the database, or alone. Gives what to wait for, if there was
/// anything. The audit log tells how much of it there was, by the edge's name.
///
/// # Errors
/// When the database can't be written.
pub async fn publish_anew(
    store: &Store,
    drift: &[Drift],
    clock: &dyn Clock,
    by: &Caller,
    edge: &Target,
) -> anyhow::Result<(Mended, Option<Committed>)> {
    let ahead = |d: &&Drift| matches!(d.fault, Fault::Newer | Fault::Unknown);
    let ahead: Vec<&Drift> = drift.iter().filter(ahead).collect();
    let highest = ahead.iter().filter_map(|d| d.edge).max().unwrap_or(0);
    let mut mended = Mended::default();
    let mut committed = None;
    for some in ahead.chunks(AT_ONCE) {
        let mut change = Change::begin(store, clock.now(), by.clone()).await?;
        let before = mended;
        change.rise_above(highest);
        for drift in some {
            // A kind that only a newer version knows is left to that one.
            let Some(kind) = Kind::of_record(&drift.kind) else {
                continue;
            };
            let version = change.next_version();
            if digests::set_version(change.conn(), kind, &drift.id, version).await? {
                mended.republished += 1;
                if let Some(record) = snapshot::one(change.conn(), kind, &drift.id).await? {
                    change.publish(&record).await?;
                }
                continue;
            }
            lost::keep(change.conn(), kind, &drift.id, &drift.account, version).await?;
            mended.removed += 1;
            if let Some(record) = snapshot::one(change.conn(), Kind::Lost, &drift.id).await? {
                change.publish(&record).await?;
            }
        }
        let done = json!({
            "republished": mended.republished - before.republished,
            "removed": mended.removed - before.removed,
        });
        let act = Act::on("repair", edge.clone(), &done)?;
        committed = Some(change.commit(act).await?);
    }
    Ok((mended, committed))
}
