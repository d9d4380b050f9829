//! The database: one file for each kind of row.
//!
//! Queries are static texts with `$1` in the subset of SQL that SQLite and PostgreSQL share (see [`sql`]); the only places
//! that name a database are that file, [`sqlite`] and [`postgres`]. Of changes there is one at a time (see [`Change`]), so a
//! transaction that reads and then writes sees no other in between.

pub mod accounts;
pub mod admin_tokens;
pub mod apis;
pub mod audit;
mod change;
pub mod digests;
pub mod environments;
pub mod idempotency;
pub mod identities;
pub mod imports;
pub mod key_list;
pub mod keys;
pub mod lag;
pub mod lost;
pub mod members;
pub mod outbox;
mod postgres;
pub mod roles;
mod schema;
pub mod signal;
pub mod snapshot;
mod sql;
mod sqlite;
pub mod targets;
pub mod usage;

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use anyhow::{Context, bail};
use shared::Millis;
use sqlx::migrate::Migrator;
use tracing::{Instrument, Span};

pub use change::{Change, Committed};
pub use schema::Schema;
pub use sql::{Column, Conn, Draft, FromRow, Query, Row, query, query_of};

/// How long a request waits for its turn.
const ACQUIRE: Duration = Duration::from_secs(10);

/// The database's connections; cheap to clone.
#[derive(Debug, Clone)]
pub enum Store {
    /// A file.
    Sqlite(sqlite::Pools),
    /// A server.
    Postgres(sqlx::PgPool),
}

/// The file of a database URL; `None` for a server's.
///
/// # Errors
/// When the URL can't be read.
pub fn sqlite_file(url: &str) -> anyhow::Result<Option<std::path::PathBuf>> {
    if url.starts_with("sqlite:") {
        sqlite::file(url).map(Some)
    } else {
        Ok(None)
    }
}

/// A transaction that may write. Dropped without [`Tx::commit`], it changes nothing.
#[derive(Debug)]
pub struct Tx {
    conn: Conn,
    /// In traces it lasts from the wait for its turn until it is committed or dropped.
    _span: Span,
}

impl Deref for Tx {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.conn
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.conn
    }
}

impl Tx {
    /// Makes it durable.
    ///
    /// # Errors
    /// When the commit fails: nothing is changed then.
    pub async fn commit(self) -> sqlx::Result<()> {
        self.conn.commit().await
    }
}

impl Store {
    /// Opens the database that a URL names. An SQLite file is made if it is missing.
    ///
    /// # Errors
    /// For other kinds of databases, and when it can't be opened.
    pub async fn open(url: &str) -> anyhow::Result<Self> {
        match url.split_once(':') {
            Some(("sqlite", _)) => sqlite::open(url).await.map(Self::Sqlite),
            Some(("postgres" | "postgresql", _)) => postgres::open(url).await.map(Self::Postgres),
            _ => bail!("the database URL must begin with sqlite:// or postgres://"),
        }
    }

    /// Brings the tables up to date.
    ///
    /// # Errors
    /// When a migration fails, or the database was used by a newer version.
    pub async fn migrate(&self) -> anyhow::Result<()> {
        match self {
            Self::Sqlite(pools) => sqlite::MIGRATIONS.run(&pools.writer).await,
            Self::Postgres(pool) => postgres::MIGRATIONS.run(pool).await,
        }
        .context("the database can't be brought up to date")?;
        if let Self::Postgres(pool) = self {
            postgres::make_text_index(pool).await?;
        }
        Ok(())
    }

    fn migrations(&self) -> &'static Migrator {
        match self {
            Self::Sqlite(_) => &sqlite::MIGRATIONS,
            Self::Postgres(_) => &postgres::MIGRATIONS,
        }
    }

    /// A connection to read with.
    ///
    /// # Errors
    /// When none is free in time.
    pub async fn read(&self) -> sqlx::Result<Conn> {
        match self {
            Self::Sqlite(pools) => pools.read().await,
            Self::Postgres(pool) => postgres::read(pool).await,
        }
    }

    /// A transaction to write with. On SQLite no other can begin until it ends.
    ///
    /// # Errors
    /// When the turn does not come in time.
    pub async fn write(&self) -> sqlx::Result<Tx> {
        let span = tracing::info_span!(
            "transaction",
            otel.kind = "client",
            db.system.name = self.system()
        );
        let begun = async {
            match self {
                Self::Sqlite(pools) => pools.write().await,
                Self::Postgres(pool) => postgres::write(pool).await,
            }
        };
        let conn = begun.instrument(span.clone()).await?;
        Ok(Tx { conn, _span: span })
    }

    /// The database's name, as OpenTelemetry has it.
    fn system(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgresql",
        }
    }

    /// The connections of each pool: its name, how many are in use, and how many there may be.
    pub fn connections(&self) -> Vec<(&'static str, u32, u32)> {
        match self {
            Self::Sqlite(pools) => pools.connections(),
            Self::Postgres(pool) => vec![("all", in_use(pool), postgres::CONNECTIONS)],
        }
    }

    /// Writes a consistent copy of an SQLite database into a new file; of others nothing.
    ///
    /// # Errors
    /// When the file is there already or can't be written.
    pub async fn copy_into(&self, file: &std::path::Path) -> anyhow::Result<()> {
        match self {
            Self::Sqlite(pools) => pools.copy_into(file).await,
            Self::Postgres(_) => Ok(()),
        }
    }

    /// Closes every connection, after the work under way.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(pools) => pools.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// How many connections of a pool are lent out.
fn in_use<DB: sqlx::Database>(pool: &sqlx::Pool<DB>) -> u32 {
    let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
    pool.size().saturating_sub(idle)
}

/// A number as databases store it: signed, 64 bits.
pub fn to_db(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number as stored; a negative one, which nothing here writes, is read as 0.
pub fn from_db(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A stored time that may be missing.
pub fn time_from_db(number: Option<i64>) -> Option<Millis> {
    number.map(from_db)
}

/// JSON text for a column.
pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> sqlx::Result<String> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a migration says of tables and columns, without what each database says in its own way: indexes, triggers and
    /// the order of texts.
    fn tables(sql: &str) -> Vec<String> {
        let lines = sql
            .lines()
            .map(|l| l.split("--").next().unwrap_or_default());
        let text = lines
            .collect::<Vec<_>>()
            .join(" ")
            .replace(" collate \"C\"", "");
        let statements = text
            .split(';')
            .map(|s| s.split_whitespace().collect::<Vec<_>>().join(" "));
        statements
            .filter(|s| s.starts_with("create table") || s.starts_with("alter table"))
            .collect()
    }

    #[test]
    fn both_databases_get_the_same_tables_from_migrations_of_the_same_numbers() {
        let names = |migrator: &Migrator| -> Vec<(i64, String)> {
            let named = migrator
                .iter()
                .map(|m| (m.version, m.description.to_string()));
            named.collect()
        };
        assert_eq!(names(&sqlite::MIGRATIONS), names(&postgres::MIGRATIONS));
        for (one, other) in sqlite::MIGRATIONS.iter().zip(postgres::MIGRATIONS.iter()) {
            assert_eq!(
                tables(one.sql.as_str()),
                tables(other.sql.as_str()),
                "{}",
                one.version
            );
        }
        assert!(
            !tables(
                sqlite::MIGRATIONS
                    .iter()
                    .next()
                    .map_or("", |m| m.sql.as_str())
            )
            .is_empty()
        );
    }
}
