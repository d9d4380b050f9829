//! PostgreSQL: a server, which several control planes may share.

use std::str::FromStr;

use anyhow::Context;
use sqlx::PgPool;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::ACQUIRE;
use super::sql::{Conn, Link};

/// The schema.
pub static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");
pub(super) const CONNECTIONS: u32 = 16;
/// What a connection is told at first. A statement that hangs, or a lock that another holder never gives back, ends as an
/// error within the time that a request may take.
const SETTINGS: [(&str, &str); 3] = [
    ("statement_timeout", "25s"),
    ("lock_timeout", "10s"),
    ("idle_in_transaction_session_timeout", "60s"),
];

/// Opens the database. Its password is never part of an error.
///
/// # Errors
/// When it can't be reached.
pub async fn open(url: &str) -> anyhow::Result<PgPool> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|_| anyhow::anyhow!("the database URL can't be read"))?
        .application_name("keyward")
        .options(SETTINGS);
    let host = options.get_host().to_owned();
    PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(ACQUIRE)
        .connect_with(options)
        .await
        .with_context(|| format!("the database server {host} can't be reached"))
}

/// A connection to read with.
pub(super) async fn read(pool: &PgPool) -> sqlx::Result<Conn> {
    Ok(Conn::Postgres(Link::Pooled(pool.acquire().await?)))
}

/// A transaction to write with.
pub(super) async fn write(pool: &PgPool) -> sqlx::Result<Conn> {
    Ok(Conn::Postgres(Link::Within(pool.begin().await?)))
}
