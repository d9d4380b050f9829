//! How far each edge is behind.

use shared::Millis;

use crate::store::{Conn, from_db, query, time_from_db};

/// What an edge does not have yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lag {
    /// The edge's base URL.
    pub target: String,
    /// How many changes are on their way.
    pub entries: u64,
    /// When the oldest of them was made.
    pub oldest: Option<Millis>,
    /// Whether it is still given every record first.
    pub snapshot: bool,
}

/// The lag of every edge.
///
/// # Errors
/// When the rows can't be read.
pub async fn all(conn: &mut Conn) -> sqlx::Result<Vec<Lag>> {
    let rows: Vec<(String, i64, Option<i64>, Option<String>)> = query(
        "select t.url, count(o.seq), min(o.created_at), min(t.snapshot_kind)
         from edge_targets t left join outbox o
           on (o.lane = 0 and o.seq > t.delivered_seq) or (o.lane = 1 and o.seq > t.delivered_bulk)
         group by t.url order by t.url",
    )
    .fetch_all(conn)
    .await?;
    let lag = |(target, entries, oldest, snapshot): (_, _, _, Option<String>)| Lag {
        target,
        entries: from_db(entries),
        oldest: time_from_db(oldest),
        snapshot: snapshot.is_some(),
    };
    Ok(rows.into_iter().map(lag).collect())
}
