//! How processes on one database learn of each other's changes.
//!
//! PostgreSQL tells them, with the commit (`notify`). On SQLite the file is asked every [`POLL`] whether it has changed.
//! A signal may get lost, with a connection for instance: everything also looks by itself now and then.

use std::time::Duration;

use sqlx::postgres::PgListener;
use tokio::time::sleep;

use crate::store::{Conn, Store, query};

/// How often an SQLite file is asked whether it has changed.
const POLL: Duration = Duration::from_millis(100);
const COMMITTED: &str = "keyward_committed";
const DELIVERED: &str = "keyward_delivered";

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct News {
    /// There may be changes for the edges, or a lease to take.
    pub committed: bool,
    /// Edges may have come further.
    pub delivered: bool,
}

/// Tells other processes, with the commit, that there is something to deliver.
///
/// # Errors
/// When the database can't be reached.
pub async fn committed(conn: &mut Conn) -> sqlx::Result<()> {
    match conn {
        Conn::Sqlite(_) => Ok(()),
        Conn::Postgres(_) => {
            let notify = query("select pg_notify('keyward_committed', '')");
            notify.execute(conn).await.map(drop)
        }
    }
}

/// Tells other processes, with the commit, that an edge has come further.
///
/// # Errors
/// When the database can't be reached.
pub async fn delivered(conn: &mut Conn) -> sqlx::Result<()> {
    match conn {
        Conn::Sqlite(_) => Ok(()),
        Conn::Postgres(_) => {
            let notify = query("select pg_notify('keyward_delivered', '')");
            notify.execute(conn).await.map(drop)
        }
    }
}

/// Hears of what any process does.
#[derive(Debug)]
pub enum Signals {
    /// A connection that is asked, and the version of the file that it told last.
    Sqlite(Conn, i64),
    /// A connection that is told.
    Postgres(PgListener),
}

impl Signals {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn of(store: &Store) -> sqlx::Result<Self> {
        match store {
            Store::Sqlite(_) => {
                let mut conn = store.read().await?;
                let version = data_version(&mut conn).await?;
                Ok(Self::Sqlite(conn, version))
            }
            Store::Postgres(pool) => {
                let mut listener = PgListener::connect_with(pool).await?;
                listener.listen_all([COMMITTED, DELIVERED]).await?;
                Ok(Self::Postgres(listener))
            }
        }
    }

    /// Waits for the next news. After an error another must be made.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn next(&mut self) -> sqlx::Result<News> {
        match self {
            Self::Sqlite(conn, known) => loop {
                sleep(POLL).await;
                let version = data_version(conn).await?;
                if version != *known {
                    *known = version;
                    return Ok(News {
                        committed: true,
                        delivered: true,
                    });
                }
            },
            Self::Postgres(listener) => {
                // None: the connection was lost, and what was told meanwhile with it.
                let told = listener.try_recv().await?;
                let is = |channel| told.as_ref().is_none_or(|n| n.channel() == channel);
                Ok(News {
                    committed: is(COMMITTED),
                    delivered: is(DELIVERED),
                })
            }
        }
    }
}

/// A number that changes whenever another connection, of this process or another, changes the file.
async fn data_version(conn: &mut Conn) -> sqlx::Result<i64> {
    query("pragma data_version").fetch_one(conn).await
}
