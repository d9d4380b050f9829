//! Changes on their way to the edges, in two lanes, each in the order of its commits: every change under its record's version.
//!
//! Lanes overtake each other. That is safe, since an edge takes a record only if its version is newer than what it has.

use shared::Millis;
use shared::record::Record;

use crate::store::{Conn, Draft, from_db, query, to_db, to_json};

/// How urgent a change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// What an admin did to single records: it waits for nothing of the other lane.
    Urgent,
    /// Records that come by the thousands: imports.
    Bulk,
}

impl Lane {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Urgent, Self::Bulk];

    fn number(self) -> i64 {
        match self {
            Self::Urgent => 0,
            Self::Bulk => 1,
        }
    }
}

/// A sequence number in each lane: how far an edge has come, or must have come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Marks {
    /// In the urgent lane.
    pub urgent: u64,
    /// In the bulk lane.
    pub bulk: u64,
}

impl Marks {
    /// The number of a lane.
    pub fn of(self, lane: Lane) -> u64 {
        match lane {
            Lane::Urgent => self.urgent,
            Lane::Bulk => self.bulk,
        }
    }

    /// Sets the number of a lane, unless it is higher.
    pub fn raise(&mut self, lane: Lane, seq: u64) {
        let mark = match lane {
            Lane::Urgent => &mut self.urgent,
            Lane::Bulk => &mut self.bulk,
        };
        *mark = seq.max(*mark);
    }

    /// Whether an edge that has come so far has all up to `wanted`.
    pub fn reach(self, wanted: Self) -> bool {
        Lane::ALL.iter().all(|l| self.of(*l) >= wanted.of(*l))
    }
}

/// A record on its way.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its place in the order of changes.
    pub seq: u64,
    /// The record, as JSON.
    pub record: String,
}

/// What waits in a lane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    /// How many records.
    pub records: u64,
    /// When the oldest was put on its way.
    pub since: Option<Millis>,
}

/// How many rows a statement adds, at most.
const ROWS: usize = 50;

/// Adds records, each under its version. Without any edge nothing is kept: one that comes later is given every record at first.
///
/// # Errors
/// When the rows can't be written.
pub async fn append(
    conn: &mut Conn,
    lane: Lane,
    records: &[Record],
    now: Millis,
) -> sqlx::Result<()> {
    for some in records.chunks(ROWS) {
        let mut draft = Draft::default();
        let (lane, now) = (draft.put(lane.number()), draft.put(to_db(now)));
        let mut rows = Vec::with_capacity(some.len());
        for record in some {
            let seq = draft.put(to_db(record.version()));
            let record = draft.put(to_json(record)?);
            rows.push(format!(
                "select {seq}, {lane}, {record}, {now} where exists (select 1 from edge_targets)"
            ));
        }
        let text = format!(
            "insert into outbox (seq, lane, record, created_at) {}",
            rows.join(" union all ")
        );
        let is_usual = some.len() == 1 || some.len() == ROWS;
        let adding = draft.finish(text).planned_for_itself(!is_usual);
        adding.execute(conn).await?;
    }
    Ok(())
}

/// The entries of a lane after `seq`, in order.
///
/// # Errors
/// When the rows can't be read.
pub async fn after(conn: &mut Conn, lane: Lane, seq: u64, limit: u32) -> sqlx::Result<Vec<Entry>> {
    let rows: Vec<(i64, String)> =
        query("select seq, record from outbox where lane = $1 and seq > $2 order by seq limit $3")
            .bind(lane.number())
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

/// What waits in a lane after `seq`.
///
/// # Errors
/// When the rows can't be read.
pub async fn waiting(conn: &mut Conn, lane: Lane, seq: u64) -> sqlx::Result<Waiting> {
    let records: i64 =
        query("select cast(count(*) as bigint) from outbox where lane = $1 and seq > $2")
            .bind(lane.number())
            .bind(to_db(seq))
            .fetch_one(conn)
            .await?;
    let since: Option<i64> =
        query("select created_at from outbox where lane = $1 and seq > $2 order by seq limit 1")
            .bind(lane.number())
            .bind(to_db(seq))
            .fetch_optional(conn)
            .await?;
    Ok(Waiting {
        records: from_db(records),
        since: since.map(from_db),
    })
}

/// Forgets what every edge has of a lane.
///
/// # Errors
/// When the rows can't be deleted.
pub async fn prune(conn: &mut Conn, lane: Lane) -> sqlx::Result<()> {
    // Without any edge the minimum is null, and then nobody waits for anything.
    let statement = match lane {
        Lane::Urgent => query(
            "delete from outbox where lane = $1
             and seq <= coalesce((select min(delivered_seq) from edge_targets), $2)",
        ),
        Lane::Bulk => query(
            "delete from outbox where lane = $1
             and seq <= coalesce((select min(delivered_bulk) from edge_targets), $2)",
        ),
    };
    statement
        .bind(lane.number())
        .bind(i64::MAX)
        .execute(conn)
        .await?;
    Ok(())
}
