//! The database: one file for each kind of row.
//!
//! Queries are static texts with `$1` in the subset of SQL that SQLite and PostgreSQL share; the only place that
//! names a database is this file. Every write goes through the one connection of `writer`, so that a transaction
//! that reads and then writes sees no other in between, and writers wait for each other in the order they came.

pub mod accounts;
pub mod admin_tokens;
pub mod apis;
mod change;
pub mod key_list;
pub mod keys;
pub mod outbox;
pub mod snapshot;
pub mod targets;
pub mod usage;

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail};
use shared::Millis;
use sqlx::migrate::Migrator;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqliteConnection, SqlitePool, Transaction};

pub use change::{Change, Committed};

/// The database in use.
pub type Engine = Sqlite;
/// A connection, inside a transaction or not.
pub type Conn = SqliteConnection;
/// A transaction that may write.
pub type Tx = Transaction<'static, Engine>;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");
/// How long a statement waits for another process's writer.
const BUSY: Duration = Duration::from_secs(5);
/// How long a request waits for its turn.
const ACQUIRE: Duration = Duration::from_secs(10);
const READERS: u32 = 8;

/// The database's connections; cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    readers: SqlitePool,
    writer: SqlitePool,
}

impl Store {
    /// Opens the database that a URL names, and makes the file if it is missing.
    ///
    /// # Errors
    /// For other kinds of databases, and when the file can't be opened.
    pub async fn open(url: &str) -> anyhow::Result<Self> {
        if !url.starts_with("sqlite:") {
            bail!(
                "the database URL must begin with sqlite:// (other databases are not supported yet)"
            );
        }
        if url.contains(":memory:") || url.contains("mode=memory") {
            bail!("the database must be a file: in memory it would be lost");
        }
        let options = SqliteConnectOptions::from_str(url)
            .context("the database URL can't be read")?
            .create_if_missing(true)
            .foreign_keys(true)
            .busy_timeout(BUSY)
            .journal_mode(SqliteJournalMode::Wal)
            // A change that was answered must survive a power cut.
            .synchronous(SqliteSynchronous::Full);
        let file = options.get_filename().to_owned();
        make_private(&file).with_context(|| format!("{} can't be made", file.display()))?;
        let pool = |size| {
            SqlitePoolOptions::new()
                .max_connections(size)
                .acquire_timeout(ACQUIRE)
                .test_before_acquire(false)
        };
        let shown = file.display();
        let writer = pool(1)
            .connect_with(options.clone().optimize_on_close(true, None))
            .await
            .with_context(|| format!("the database {shown} can't be opened"))?;
        let readers = pool(READERS)
            .connect_with(options.pragma("query_only", "on"))
            .await
            .with_context(|| format!("the database {shown} can't be opened"))?;
        Ok(Self { readers, writer })
    }

    /// Brings the tables up to date.
    ///
    /// # Errors
    /// When a migration fails, or the database was used by a newer version.
    pub async fn migrate(&self) -> anyhow::Result<()> {
        MIGRATIONS
            .run(&self.writer)
            .await
            .context("the database can't be brought up to date")
    }

    /// Whether the database answers and has every migration.
    pub async fn is_ready(&self) -> bool {
        let latest = MIGRATIONS.iter().map(|m| m.version).max().unwrap_or(0);
        let applied: sqlx::Result<Option<i64>> =
            sqlx::query_scalar("select max(version) from _sqlx_migrations where success")
                .fetch_one(&self.readers)
                .await;
        applied.is_ok_and(|version| version.is_some_and(|v| v >= latest))
    }

    /// A connection to read with.
    ///
    /// # Errors
    /// When none is free in time.
    pub async fn read(&self) -> sqlx::Result<PoolConnection<Engine>> {
        self.readers.acquire().await
    }

    /// A transaction to write with; no other can begin until it ends.
    ///
    /// # Errors
    /// When the turn does not come in time.
    pub async fn write(&self) -> sqlx::Result<Tx> {
        self.writer.begin_with("begin immediate").await
    }

    /// Closes every connection, after the work under way.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Makes an empty database file that only this user can read. SQLite gives its side files the same mode.
fn make_private(file: &Path) -> std::io::Result<()> {
    if let Some(folder) = file.parent().filter(|f| !f.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    match OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
    {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
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

/// JSON text of a column. A failure means that the database was changed by other hands.
pub(crate) fn json_column<T: serde::de::DeserializeOwned>(
    name: &str,
    text: &str,
) -> sqlx::Result<T> {
    serde_json::from_str(text).map_err(|error| sqlx::Error::ColumnDecode {
        index: name.to_owned(),
        source: error.into(),
    })
}

/// JSON text for a column.
pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> sqlx::Result<String> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}
