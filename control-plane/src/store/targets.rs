//! The edges, and how far each has come.

use shared::Millis;

use crate::store::{Conn, from_db, outbox, query, to_db};

/// How far an edge has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The last change that it has.
    pub delivered: u64,
    /// Where its first full delivery stands; `None` once that is done.
    pub snapshot: Option<Cursor>,
}

/// A place in a full delivery: every kind in turn, by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The kind of record that is being delivered.
    pub kind: Kind,
    /// The last id that the edge has of this kind; empty at first.
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
    /// Identities.
    Identity,
    /// Keys.
    Key,
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
            Self::Member => Some(Self::Identity),
            Self::Identity => Some(Self::Key),
            Self::Key => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Api => "api",
            Self::Role => "role",
            Self::Member => "member",
            Self::Identity => "identity",
            Self::Key => "key",
        }
    }

    /// A name that nothing here writes starts over, which repeats deliveries and loses none.
    fn of(name: &str) -> Self {
        match name {
            "key" => Self::Key,
            "api" => Self::Api,
            "role" => Self::Role,
            "member" => Self::Member,
            "identity" => Self::Identity,
            _ => Self::Account,
        }
    }
}

/// Makes the edges the configured ones. A new one begins with a full delivery of what there is now, and all later
/// changes are kept for it; one that is no longer configured is forgotten, so that it holds nothing up and is
/// given everything again should it come back.
///
/// # Errors
/// When the rows can't be written.
pub async fn configure(conn: &mut Conn, urls: &[String], now: Millis) -> sqlx::Result<()> {
    let known: Vec<String> = query("select url from edge_targets")
        .fetch_all(conn)
        .await?;
    for gone in known.iter().filter(|url| !urls.contains(url)) {
        query("delete from edge_targets where url = $1")
            .bind(gone)
            .execute(conn)
            .await?;
    }
    for url in urls {
        // In an empty database, without an account, there is nothing to deliver in full.
        query(
            "insert into edge_targets (url, delivered_seq, snapshot_kind, snapshot_after, created_at)
             select $1, value, case when exists (select 1 from accounts) then $2 end, '', $3
             from counters where name = 'outbox_seq'
             on conflict (url) do nothing",
        )
        .bind(url)
        .bind(Kind::FIRST.name())
        .bind(to_db(now))
        .execute(conn)
        .await?;
    }
    outbox::prune(conn).await
}

/// How far an edge has come; `None` for one that is not configured.
///
/// # Errors
/// When the row can't be read.
pub async fn progress(conn: &mut Conn, url: &str) -> sqlx::Result<Option<Progress>> {
    let row: Option<(i64, Option<String>, Option<String>)> = query(
        "select delivered_seq, snapshot_kind, snapshot_after from edge_targets where url = $1",
    )
    .bind(url)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|(delivered, kind, after)| Progress {
        delivered: from_db(delivered),
        snapshot: kind.map(|kind| Cursor {
            kind: Kind::of(&kind),
            after: after.unwrap_or_default(),
        }),
    }))
}

/// Notes that an edge has every change up to `seq`, and forgets changes that all have.
///
/// # Errors
/// When the rows can't be written.
pub async fn delivered(conn: &mut Conn, url: &str, seq: u64) -> sqlx::Result<()> {
    query("update edge_targets set delivered_seq = $2 where url = $1 and delivered_seq < $2")
        .bind(url)
        .bind(to_db(seq))
        .execute(conn)
        .await?;
    outbox::prune(conn).await
}

/// Notes how far the full delivery of an edge has come; `None`: it is done.
///
/// # Errors
/// When the row can't be written.
pub async fn snapshot_at(conn: &mut Conn, url: &str, cursor: Option<&Cursor>) -> sqlx::Result<()> {
    query("update edge_targets set snapshot_kind = $2, snapshot_after = $3 where url = $1")
        .bind(url)
        .bind(cursor.map(|c| c.kind.name()))
        .bind(cursor.map(|c| c.after.as_str()))
        .execute(conn)
        .await?;
    Ok(())
}
