//! The lease of one edge: taken when nobody has it or its holder is gone, and delivery for as long as it lasts.
//!
//! Nobody's clock counts: a lease runs out when its holder's beat has stood still for [`TAKEOVER`], as the process that
//! takes it over has seen it. Should two deliver for a moment, as when one was asleep, the edge is given some changes
//! twice, which does no harm, and only the holder's progress is noted.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::store::outbox::Lane;
use crate::store::targets::{self, Lease};
use crate::sync::keeper::BEAT;
use crate::sync::pusher::Pusher;
use crate::sync::{Edge, Office};

/// How long a beat must stand still until another takes over.
const TAKEOVER: Duration = BEAT.saturating_mul(3);

/// Delivers to an edge whenever this process holds its lease, until `stop` says true.
pub async fn run(office: Arc<Office>, edge: Arc<Edge>, mut stop: watch::Receiver<bool>) {
    let mut committed = office.committed.subscribe();
    let mut seen: Option<(Lease, Instant)> = None;
    while !*stop.borrow() {
        match claim(&office, &edge, &mut seen).await {
            Ok(true) => {
                edge.held.send_replace(true);
                deliver(&office, &edge, &stop).await;
                edge.held.send_replace(false);
                seen = None;
            }
            Ok(false) => {}
            Err(error) => {
                let (target_url, error) = (edge.url(), error.to_string());
                tracing::warn!(target_url, error, "the edge's lease can't be looked at");
            }
        }
        // A lease that is given back is told as a commit is.
        tokio::select! {
            _ = stop.changed() => {}
            _ = committed.changed() => {}
            () = sleep(BEAT) => {}
        }
    }
}

/// Whether this process holds the lease, by taking it if need be.
async fn claim(
    office: &Office,
    edge: &Edge,
    seen: &mut Option<(Lease, Instant)>,
) -> sqlx::Result<bool> {
    let me = office.process.name();
    let mut conn = office.store.read().await?;
    let Some(target) = targets::find(&mut conn, edge.url()).await? else {
        // Forgotten, by a process that was not configured with it: it starts over.
        drop(conn);
        let mut tx = office.store.write().await?;
        let urls = [edge.url().to_owned()];
        targets::want(&mut tx, &urls, office.clock.now()).await?;
        tx.commit().await?;
        return Ok(false);
    };
    drop(conn);
    let lease = target.lease;
    let is_free = match lease.holder.as_deref() {
        None => true,
        Some(holder) if holder == me => return Ok(true),
        Some(holder) => {
            let stood_still = match seen {
                Some((known, since)) if *known == lease => since.elapsed() >= TAKEOVER,
                _ => false,
            };
            stood_still || office.process.knows_as_gone(holder)
        }
    };
    if !is_free {
        if seen.as_ref().is_none_or(|(known, _)| *known != lease) {
            *seen = Some((lease, Instant::now()));
        }
        return Ok(false);
    }
    let mut tx = office.store.write().await?;
    let taken = targets::claim(&mut tx, edge.url(), &lease, me).await?;
    tx.commit().await?;
    if taken {
        tracing::info!(
            target_url = edge.url(),
            before = lease.holder.as_deref(),
            "this process delivers to the edge"
        );
    }
    Ok(taken)
}

/// Delivers in both lanes until the lease is lost or the server stops.
async fn deliver(office: &Arc<Office>, edge: &Arc<Edge>, stop: &watch::Receiver<bool>) {
    let lane = |lane| Pusher::new(Arc::clone(office), Arc::clone(edge), lane, stop.clone());
    let (urgent, bulk) = (lane(Lane::Urgent), lane(Lane::Bulk));
    let mut held = edge.held.subscribe();
    tokio::select! {
        _ = held.wait_for(|held| !held) => {
            tracing::warn!(target_url = edge.url(), "another process delivers to the edge now");
        }
        ((), ()) = async { tokio::join!(urgent.run(), bulk.run()) } => {}
    }
}
