//! Admin tokens, by their hashes.

use shared::Millis;
use shared::secret::constant_time_eq;

use crate::admin_token::AdminToken;
use crate::store::{Conn, query, time_from_db, to_db};

/// Its use is noted at most this often, so that reading does not become writing. In milliseconds.
const USE_STEP: Millis = 60_000;

/// An admin token that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The account it acts for.
    pub account_id: String,
    /// Its id.
    pub token_id: String,
    /// Its name.
    pub token_name: String,
    /// Whether its use should be noted.
    pub note_use: bool,
}

/// Hash, account, name, last use, end.
type FoundRow = (String, String, String, Option<i64>, Option<i64>);

/// Adds a token, unless it is there already: whether it was added.
///
/// # Errors
/// When the row can't be written.
pub async fn insert(
    conn: &mut Conn,
    token: &AdminToken,
    account_id: &str,
    name: &str,
    now: Millis,
) -> sqlx::Result<bool> {
    let added = query(
        "insert into admin_tokens (hash, account_id, name, created_at) values ($1, $2, $3, $4)
         on conflict (hash) do nothing",
    )
    .bind(token.hash())
    .bind(account_id)
    .bind(name)
    .bind(to_db(now))
    .execute(conn)
    .await?;
    Ok(added > 0)
}

/// How many tokens there are.
///
/// # Errors
/// When the rows can't be read.
pub async fn count(conn: &mut Conn) -> sqlx::Result<i64> {
    query("select count(*) from admin_tokens")
        .fetch_one(conn)
        .await
}

/// Whom a token stands for; `None` when it is unknown or expired, or its account is gone.
///
/// # Errors
/// When the row can't be read.
pub async fn find(
    conn: &mut Conn,
    token: &AdminToken,
    now: Millis,
) -> sqlx::Result<Option<Holder>> {
    let hash = token.hash();
    let row: Option<FoundRow> = query(
        "select t.hash, t.account_id, t.name, t.last_used_at, t.expires_at
         from admin_tokens t join accounts a on a.id = t.account_id
         where t.hash = $1 and a.deleted_at is null",
    )
    .bind(&hash)
    .fetch_optional(conn)
    .await?;
    Ok(row
        .filter(|(stored, ..)| constant_time_eq(stored.as_bytes(), hash.as_bytes()))
        .filter(|(.., expires_at)| time_from_db(*expires_at).is_none_or(|end| now < end))
        .map(|(_, account_id, token_name, last_used_at, _)| Holder {
            account_id,
            token_id: token.id(),
            token_name,
            note_use: time_from_db(last_used_at)
                .is_none_or(|last| now.saturating_sub(last) >= USE_STEP),
        }))
}

/// Notes that a token was used.
///
/// # Errors
/// When the row can't be written.
pub async fn used(conn: &mut Conn, token: &AdminToken, now: Millis) -> sqlx::Result<()> {
    query("update admin_tokens set last_used_at = $2 where hash = $1")
        .bind(token.hash())
        .bind(to_db(now))
        .execute(conn)
        .await?;
    Ok(())
}
