//! Changes on their way to the edges, in the order of their commits: each under its record's version.

use shared::Millis;
use shared::record::Record;

use crate::store::{Conn, from_db, query, to_db, to_json};

/// A record on its way.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its place in the order of changes.
    pub seq: u64,
    /// The record, as JSON.
    pub record: String,
}

/// Adds a record under its version. Without any edge nothing is kept: one that comes later is given every record at first.
///
/// # Errors
/// When the row can't be written.
pub async fn append(conn: &mut Conn, record: &Record, now: Millis) -> sqlx::Result<()> {
    query(
        "insert into outbox (seq, record, created_at)
         select $1, $2, $3 where exists (select 1 from edge_targets)",
    )
    .bind(to_db(record.version()))
    .bind(to_json(record)?)
    .bind(to_db(now))
    .execute(conn)
    .await?;
    Ok(())
}

/// The entries after `seq`, in order.
///
/// # Errors
/// When the rows can't be read.
pub async fn after(conn: &mut Conn, seq: u64, limit: u32) -> sqlx::Result<Vec<Entry>> {
    let rows: Vec<(i64, String)> =
        query("select seq, record from outbox where seq > $1 order by seq limit $2")
            .bind(to_db(seq))
            .bind(i64::from(limit))
            .fetch_all(conn)
            .await?;
    Ok(rows
        .into_iter()
        .map(|(seq, record)| Entry {
            seq: from_db(seq),
            record,
        })
        .collect())
}

/// Forgets what every edge has.
///
/// # Errors
/// When the rows can't be deleted.
pub async fn prune(conn: &mut Conn) -> sqlx::Result<()> {
    // Without any edge the minimum is null, and then nobody waits for anything.
    query(
        "delete from outbox
         where seq <= coalesce((select min(delivered_seq) from edge_targets), seq)",
    )
    .execute(conn)
    .await?;
    Ok(())
}
