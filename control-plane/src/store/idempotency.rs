//! Kept answers to calls with an `Idempotency-Key`: what is sealed in them is [`crate::idempotency`]'s to know.

use shared::Millis;

use crate::store::{Conn, FromRow, Row, from_db, query, to_db};

/// A kept answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// SHA-256 of the request.
    pub fingerprint: String,
    /// The answer's status.
    pub status: u16,
    /// The version of what was changed.
    pub version: Option<u64>,
    /// The body, encrypted.
    pub sealed: String,
}

impl FromRow for Kept {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        Ok(Self {
            fingerprint: row.get("fingerprint")?,
            status: u16::try_from(row.get::<i64>("status")?).unwrap_or(500),
            version: row.get::<Option<i64>>("version")?.map(from_db),
            sealed: row.get("answer")?,
        })
    }
}

/// The answer kept under an id.
///
/// # Errors
/// When the row can't be read.
pub async fn find(conn: &mut Conn, id: &str, now: Millis) -> sqlx::Result<Option<Kept>> {
    query("select * from idempotent_answers where id = $1 and expires_at > $2")
        .bind(id)
        .bind(to_db(now))
        .fetch_optional(conn)
        .await
}

/// Keeps an answer, and removes those that are past their time: whether it was kept. It is not if there is one.
///
/// # Errors
/// When rows can't be written.
pub async fn insert(
    conn: &mut Conn,
    id: &str,
    kept: &Kept,
    now: Millis,
    expires_at: Millis,
) -> sqlx::Result<bool> {
    prune(conn, now).await?;
    let added = query(
        "insert into idempotent_answers (id, fingerprint, status, version, answer, expires_at)
         values ($1, $2, $3, $4, $5, $6) on conflict (id) do nothing",
    )
    .bind(id)
    .bind(&kept.fingerprint)
    .bind(i64::from(kept.status))
    .bind(kept.version.map(to_db))
    .bind(&kept.sealed)
    .bind(to_db(expires_at))
    .execute(conn)
    .await?;
    Ok(added > 0)
}

/// Replaces the sealed body of a kept answer.
///
/// # Errors
/// When the row can't be written.
pub async fn replace(conn: &mut Conn, id: &str, sealed: &str) -> sqlx::Result<()> {
    query("update idempotent_answers set answer = $2 where id = $1")
        .bind(id)
        .bind(sealed)
        .execute(conn)
        .await?;
    Ok(())
}

/// Removes the answers that are past their time.
///
/// # Errors
/// When rows can't be written.
pub async fn prune(conn: &mut Conn, now: Millis) -> sqlx::Result<()> {
    query("delete from idempotent_answers where expires_at <= $1")
        .bind(to_db(now))
        .execute(conn)
        .await?;
    Ok(())
}
