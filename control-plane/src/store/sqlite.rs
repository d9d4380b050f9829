//! SQLite: one file, one writer.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail};
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, SqlitePool};

use super::sql::{Conn, Link};
use super::{ACQUIRE, in_use};

/// The schema.
pub static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");
/// How long a statement waits for another process's writer.
const BUSY: Duration = Duration::from_secs(5);
const READERS: u32 = 8;

/// The file's connections. Every write goes through the one of `writer`, where writers wait for each other in the order
/// in which they came.
#[derive(Debug, Clone)]
pub struct Pools {
    readers: SqlitePool,
    pub(super) writer: SqlitePool,
}

/// Opens a file, and makes it if it is missing.
///
/// # Errors
/// When it can't be opened.
pub async fn open(url: &str) -> anyhow::Result<Pools> {
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
    Ok(Pools { readers, writer })
}

/// Opens a file to look into it, and makes nothing; `None` if it is missing.
///
/// # Errors
/// When it can't be opened.
pub async fn inspect(url: &str) -> anyhow::Result<Option<Pools>> {
    let options = SqliteConnectOptions::from_str(url)
        .context("the database URL can't be read")?
        .create_if_missing(false)
        .read_only(true)
        .busy_timeout(BUSY);
    let file = options.get_filename().to_owned();
    if !file.exists() {
        return Ok(None);
    }
    let readers = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ACQUIRE)
        .connect_with(options)
        .await
        .with_context(|| format!("the database {} can't be opened", file.display()))?;
    let writer = readers.clone();
    Ok(Some(Pools { readers, writer }))
}

/// The file that a URL names.
pub(super) fn file(url: &str) -> anyhow::Result<PathBuf> {
    let options = SqliteConnectOptions::from_str(url).context("the database URL can't be read")?;
    Ok(options.get_filename().to_owned())
}

impl Pools {
    /// Name, connections in use, and the most there may be.
    pub(super) fn connections(&self) -> Vec<(&'static str, u32, u32)> {
        vec![
            ("read", in_use(&self.readers), READERS),
            ("write", in_use(&self.writer), 1),
        ]
    }

    /// A connection to read with.
    pub(super) async fn read(&self) -> sqlx::Result<Conn> {
        let conn = self.readers.acquire().await?;
        Ok(Conn::Sqlite(Link::Pooled(conn)))
    }

    /// The transaction to write with.
    pub(super) async fn write(&self) -> sqlx::Result<Conn> {
        let tx = self.writer.begin_with("begin immediate").await?;
        Ok(Conn::Sqlite(Link::Within(tx)))
    }

    /// Writes a consistent copy into a new file. Readers and the writer go on meanwhile.
    pub(super) async fn copy_into(&self, file: &Path) -> anyhow::Result<()> {
        make_private(file)?;
        // A reader of its own, which must be able to write: an empty file is taken for a new one.
        let mut conn = self.readers.acquire().await?.detach();
        sqlx::query("pragma query_only = off")
            .execute(&mut conn)
            .await?;
        sqlx::query("vacuum into $1")
            .bind(file.to_str().context("the file's name is not UTF-8")?)
            .execute(&mut conn)
            .await?;
        conn.close().await?;
        Ok(())
    }

    /// Closes every connection.
    pub(super) async fn close(&self) {
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
