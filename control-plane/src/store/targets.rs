//! The edges, and how far each has come.

use shared::Millis;

use crate::store::outbox::{Lane, Marks};
use crate::store::{Conn, FromRow, Row, from_db, outbox, query, signal, time_from_db, to_db};

/// An edge as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its base URL.
    pub url: String,
    /// The last changes that it has.
    pub delivered: Marks,
    /// Where its full delivery stands; `None` once that is done.
    pub snapshot: Option<Cursor>,
    /// Records of the full delivery that it has.
    pub snapshot_done: u64,
    /// About how many records the full delivery holds.
    pub snapshot_total: u64,
    /// The process that delivers to it, and how often that one said that it lives.
    pub lease: Lease,
    /// Whether it took the last push; `None` before the first.
    pub reachable: Option<bool>,
    /// When it last took a push.
    pub success_at: Option<Millis>,
    /// Why it last took none.
    pub failure: Option<String>,
    /// When that was.
    pub failure_at: Option<Millis>,
}

/// Who delivers to an edge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lease {
    /// A process; `None`: nobody.
    pub holder: Option<String>,
    /// Grows while the holder lives.
    pub beat: u64,
}

/// A place in a full delivery: every kind in turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The kind of record that is being delivered.
    pub kind: Kind,
    /// The last that the edge has of this kind, by id or as [`crate::store::snapshot`] orders it; empty at first.
    pub after: String,
}

/// A kind of record, in the order of a full delivery: accounts before what belongs to them, keys after what bounds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Accounts.
    Account,
    /// APIs.
    Api,
    /// Roles.
    Role,
    /// Members.
    Member,
    /// Keys.
    Key,
    /// Tombstones of records that only edges knew.
    Lost,
    /// APIs once more. A host may have gone from one API to another; whoever came first, the one that has it comes last.
    Hosts,
}

impl Kind {
    /// The first kind.
    pub const FIRST: Self = Self::Account;

    /// The kind after this one.
    pub fn next(self) -> Option<Self> {
        match self {
            Self::Account => Some(Self::Api),
            Self::Api => Some(Self::Role),
            Self::Role => Some(Self::Member),
            Self::Member => Some(Self::Key),
            Self::Key => Some(Self::Lost),
            Self::Lost => Some(Self::Hosts),
            Self::Hosts => None,
        }
    }

    /// Its name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Api => "api",
            Self::Role => "role",
            Self::Member => "member",
            Self::Key => "key",
            Self::Lost => "lost",
            Self::Hosts => "hosts",
        }
    }

    /// The kind that an edge names; `None` for one that is not known here.
    pub fn of_record(name: &str) -> Option<Self> {
        let kinds = [
            Self::Account,
            Self::Api,
            Self::Role,
            Self::Member,
            Self::Key,
        ];
        kinds.into_iter().find(|kind| kind.name() == name)
    }

    /// A name that nothing here writes starts over, which repeats deliveries and loses none.
    pub fn of(name: &str) -> Self {
        match name {
            "lost" => Self::Lost,
            "hosts" => Self::Hosts,
            "key" => Self::Key,
            "api" => Self::Api,
            "role" => Self::Role,
            "member" => Self::Member,
            _ => Self::Account,
        }
    }
}

impl FromRow for Target {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        let kind: Option<String> = row.get("snapshot_kind")?;
        let after: Option<String> = row.get("snapshot_after")?;
        Ok(Self {
            url: row.get("url")?,
            delivered: Marks {
                urgent: from_db(row.get("delivered_seq")?),
                bulk: from_db(row.get("delivered_bulk")?),
            },
            snapshot: kind.map(|kind| Cursor {
                kind: Kind::of(&kind),
                after: after.unwrap_or_default(),
            }),
            snapshot_done: from_db(row.get("snapshot_done")?),
            snapshot_total: from_db(row.get("snapshot_total")?),
            lease: Lease {
                holder: row.get("holder")?,
                beat: from_db(row.get("beat")?),
            },
            reachable: row.get::<Option<i64>>("reachable")?.map(|n| n != 0),
            success_at: time_from_db(row.get("success_at")?),
            failure: row.get("failure")?,
            failure_at: time_from_db(row.get("failure_at")?),
        })
    }
}

/// Says that this process is configured with these edges. A new one begins with a full delivery of what there is now, and
/// all later changes are kept for it.
///
/// # Errors
/// When the rows can't be written.
pub async fn want(conn: &mut Conn, urls: &[String], now: Millis) -> sqlx::Result<()> {
    for url in urls {
        let known = query("update edge_targets set wanted_at = $2 where url = $1")
            .bind(url)
            .bind(to_db(now))
            .execute(conn)
            .await?;
        if known > 0 {
            continue;
        }
        // In an empty database, without an account, there is nothing to deliver in full.
        query(
            "insert into edge_targets (url, delivered_seq, delivered_bulk, snapshot_kind, snapshot_after, created_at,
               wanted_at)
             select $1, value, value, case when exists (select 1 from accounts) then $2 end, '', $3, $3
             from counters where name = 'outbox_seq'
             on conflict (url) do nothing",
        )
        .bind(url)
        .bind(Kind::FIRST.name())
        .bind(to_db(now))
        .execute(conn)
        .await?;
        count_records(conn, url).await?;
    }
    Ok(())
}

/// Forgets edges that no process was configured with since `before`, so that they hold nothing up; one that comes back is
/// given everything again.
///
/// # Errors
/// When the rows can't be written.
pub async fn forget(conn: &mut Conn, before: Millis) -> sqlx::Result<Vec<String>> {
    let gone: Vec<String> = query("delete from edge_targets where wanted_at < $1 returning url")
        .bind(to_db(before))
        .fetch_all(conn)
        .await?;
    for lane in Lane::ALL {
        outbox::prune(conn, lane).await?;
    }
    Ok(gone)
}

/// Begins a full delivery to an edge, whether or not one is under way. Gives whether there is such an edge.
///
/// # Errors
/// When the row can't be written.
pub async fn deliver_in_full(conn: &mut Conn, url: &str) -> sqlx::Result<bool> {
    let found = query(
        "update edge_targets set snapshot_kind = $2, snapshot_after = '', snapshot_done = 0 where url = $1",
    )
    .bind(url)
    .bind(Kind::FIRST.name())
    .execute(conn)
    .await?;
    count_records(conn, url).await?;
    signal::committed(conn).await?;
    Ok(found > 0)
}

async fn count_records(conn: &mut Conn, url: &str) -> sqlx::Result<()> {
    query(
        "update edge_targets set snapshot_total = (select count(*) from accounts) + 2 * (select count(*) from apis)
           + (select count(*) from roles) + (select count(*) from members) + (select count(*) from keys)
           + (select count(distinct id) from lost_records)
         where url = $1 and snapshot_kind is not null",
    )
    .bind(url)
    .execute(conn)
    .await?;
    Ok(())
}

/// Every edge, by URL.
///
/// # Errors
/// When the rows can't be read.
pub async fn all(conn: &mut Conn) -> sqlx::Result<Vec<Target>> {
    query("select * from edge_targets order by url")
        .fetch_all(conn)
        .await
}

/// An edge; `None` for one that is not known.
///
/// # Errors
/// When the row can't be read.
pub async fn find(conn: &mut Conn, url: &str) -> sqlx::Result<Option<Target>> {
    query("select * from edge_targets where url = $1")
        .bind(url)
        .fetch_optional(conn)
        .await
}

/// Notes that an edge has every change of a lane up to `seq`, and forgets changes that all have. Gives whether `holder`
/// still delivers to it: otherwise nothing is noted.
///
/// # Errors
/// When the rows can't be written.
pub async fn delivered(
    conn: &mut Conn,
    url: &str,
    holder: &str,
    lane: Lane,
    seq: u64,
    now: Millis,
) -> sqlx::Result<bool> {
    let statement = match lane {
        Lane::Urgent => query(
            "update edge_targets set delivered_seq = $3, success_at = $4, reachable = 1
             where url = $1 and holder = $2 and delivered_seq <= $3",
        ),
        Lane::Bulk => query(
            "update edge_targets set delivered_bulk = $3, success_at = $4, reachable = 1
             where url = $1 and holder = $2 and delivered_bulk <= $3",
        ),
    };
    let noted = statement
        .bind(url)
        .bind(holder)
        .bind(to_db(seq))
        .bind(to_db(now))
        .execute(conn)
        .await?;
    if noted == 0 {
        return Ok(false);
    }
    outbox::prune(conn, lane).await?;
    signal::delivered(conn).await?;
    Ok(true)
}

/// A step of a full delivery.
#[derive(Debug, Clone, Copy)]
pub struct SnapshotStep<'a> {
    /// Where it was.
    pub from: &'a Cursor,
    /// Where it is now; `None`: it is done.
    pub to: Option<&'a Cursor>,
    /// How many records were delivered in between.
    pub records: u64,
}

/// Notes how far the full delivery of an edge has come. Gives whether that was noted: not if another process delivers to
/// it by now, or it was begun anew.
///
/// # Errors
/// When the row can't be written.
pub async fn snapshot_at(
    conn: &mut Conn,
    url: &str,
    holder: &str,
    step: SnapshotStep<'_>,
    now: Millis,
) -> sqlx::Result<bool> {
    let noted = query(
        "update edge_targets set snapshot_kind = $5, snapshot_after = $6, snapshot_done = snapshot_done + $7,
           success_at = case when $7 > 0 then $8 else success_at end, reachable = case when $7 > 0 then 1 else reachable end
         where url = $1 and holder = $2 and snapshot_kind = $3 and snapshot_after = $4",
    )
    .bind(url)
    .bind(holder)
    .bind(step.from.kind.name())
    .bind(&step.from.after)
    .bind(step.to.map(|c| c.kind.name()))
    .bind(step.to.map(|c| c.after.as_str()))
    .bind(to_db(step.records))
    .bind(to_db(now))
    .execute(conn)
    .await?;
    Ok(noted > 0)
}

/// Notes why an edge did not take a push.
///
/// # Errors
/// When the row can't be written.
pub async fn failed(conn: &mut Conn, url: &str, why: &str, now: Millis) -> sqlx::Result<()> {
    query("update edge_targets set failure = $2, failure_at = $3, reachable = 0 where url = $1")
        .bind(url)
        .bind(why)
        .bind(to_db(now))
        .execute(conn)
        .await?;
    Ok(())
}

/// Takes the delivery to an edge over, unless the lease is no longer as it was `seen`. Gives whether it was taken.
///
/// # Errors
/// When the row can't be written.
pub async fn claim(conn: &mut Conn, url: &str, seen: &Lease, holder: &str) -> sqlx::Result<bool> {
    let taken = query(
        "update edge_targets set holder = $2, beat = beat + 1
         where url = $1 and beat = $3 and coalesce(holder, '') = $4",
    )
    .bind(url)
    .bind(holder)
    .bind(to_db(seen.beat))
    .bind(seen.holder.as_deref().unwrap_or_default())
    .execute(conn)
    .await?;
    Ok(taken > 0)
}

/// Says that a process lives. Gives the edges that it holds.
///
/// # Errors
/// When the rows can't be written.
pub async fn renew(conn: &mut Conn, holder: &str) -> sqlx::Result<Vec<String>> {
    query("update edge_targets set beat = beat + 1 where holder = $1 returning url")
        .bind(holder)
        .fetch_all(conn)
        .await
}

/// Gives the leases of a process back.
///
/// # Errors
/// When the rows can't be written.
pub async fn release(conn: &mut Conn, holder: &str) -> sqlx::Result<()> {
    query("update edge_targets set holder = null, beat = beat + 1 where holder = $1")
        .bind(holder)
        .execute(conn)
        .await?;
    signal::committed(conn).await
}
