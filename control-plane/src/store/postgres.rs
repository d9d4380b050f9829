//! PostgreSQL: a server, which several control planes may share.

use std::str::FromStr;

use anyhow::Context;
use sqlx::PgPool;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::ACQUIRE;
use super::query;
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

/// Processes that start at once make it one after the other. The extension may be in any schema.
const TEXT_INDEX: &str = "
    set local statement_timeout = 0;
    select pg_advisory_xact_lock(7305, 1);
    create extension if not exists pg_trgm;
    do $$
    declare place text;
    begin
        select n.nspname into place
        from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'pg_trgm';
        execute format('create index if not exists keys_search on keys using gin (search_text %I.gin_trgm_ops)', place);
    end $$;
";

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

/// Whether parts of texts are looked up by an index.
pub(super) async fn has_text_index(conn: &mut Conn) -> sqlx::Result<bool> {
    let found: Option<i64> = query(
        "select cast(1 as bigint) from pg_index where indexrelid = to_regclass('keys_search') and indisvalid",
    )
    .fetch_optional(conn)
    .await?;
    Ok(found.is_some())
}

/// Makes the index of texts, which needs the extension `pg_trgm`. Where the server lacks it, or this user may not have it, a
/// search reads along the list; the next start tries again.
///
/// # Errors
/// When the database can't be reached.
pub(super) async fn make_text_index(pool: &PgPool) -> sqlx::Result<()> {
    let mut conn = read(pool).await?;
    if has_text_index(&mut conn).await? {
        return Ok(());
    }
    drop(conn);
    let mut tx = pool.begin().await?;
    let made = sqlx::raw_sql(TEXT_INDEX).execute(&mut *tx).await;
    match made {
        Ok(_) => tx.commit().await,
        Err(sqlx::Error::Database(error)) => {
            let error = error.message();
            tracing::warn!(
                error,
                "without the extension pg_trgm a search for keys by text may have to read all keys of an account"
            );
            tx.rollback().await
        }
        Err(error) => Err(error),
    }
}
