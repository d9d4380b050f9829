//! What the guard of an account should hold, in the sums that the edge tells too (see [`shared::message::StateAsk`]).

use crate::store::targets::Kind;
use crate::store::{Conn, FromRow, Row, from_db, query};

/// The sums of the records of one kind whose ids begin alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// The kind, by name.
    pub kind: String,
    /// What the ids begin with.
    pub start: String,
    /// How many records.
    pub count: u64,
    /// The sum of their versions, each modulo 2147483629.
    pub sum: u64,
    /// The highest version.
    pub highest: u64,
}

impl FromRow for Digest {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        Ok(Self {
            kind: row.get("kind")?,
            start: row.get("start")?,
            count: from_db(row.get("count")?),
            sum: from_db(row.get("sum")?),
            highest: from_db(row.get("highest")?),
        })
    }
}

/// The digests of a kind (empty: of all) and of ids that begin with `from`, for each beginning of `length` characters.
///
/// # Errors
/// When the rows can't be read.
pub async fn of(
    conn: &mut Conn,
    account: &str,
    kind: &str,
    from: &str,
    length: u32,
) -> sqlx::Result<Vec<Digest>> {
    query(
        "select kind, start, cast(count(*) as bigint) as count,
           cast(sum(version % 2147483629) as bigint) as sum,
           max(version) as highest
         from (
           select kind, substr(id, 1, cast($4 as integer)) as start, version from (
             select 'account' as kind, a.id, a.version from account_tree t join accounts a on a.id = t.account_id
             where t.ancestor_id = $1
             union all
             select 'api', id, version from apis where account_id = $1
             union all
             select 'key', id, version from keys where account_id = $1
             union all
             select 'role', id, version from roles where account_id = $1
             union all
             select 'member', id, version from members where account_id = $1
             union all
             select kind, id, version from lost_records where account_id = $1
           ) as held
           where (cast($2 as text) = '' or kind = $2) and id >= $3 and id < cast($3 as text) || '~'
         ) as begun
         group by kind, start",
    )
    .bind(account)
    .bind(kind)
    .bind(from)
    .bind(i64::from(length))
    .fetch_all(conn)
    .await
}

/// Accounts whose guards hold something, those that only edges knew included, after an id and by id.
///
/// # Errors
/// When the rows can't be read.
pub async fn accounts(conn: &mut Conn, after: &str, limit: u32) -> sqlx::Result<Vec<String>> {
    query(
        "select id from (
           select id from accounts union select id from lost_records where kind = 'account'
         ) as known
         where id > $1 order by id limit $2",
    )
    .bind(after)
    .bind(i64::from(limit))
    .fetch_all(conn)
    .await
}

/// Whether an account's guard holds something, whether or not the account is deleted.
///
/// # Errors
/// When the row can't be read.
pub async fn is_account(conn: &mut Conn, id: &str) -> sqlx::Result<bool> {
    let found: Option<i64> = query(
        "select cast(1 as bigint) from (
           select id from accounts union select id from lost_records where kind = 'account'
         ) as known
         where id = $1",
    )
    .bind(id)
    .fetch_optional(conn)
    .await?;
    Ok(found.is_some())
}

/// Whether a version is still on its way.
///
/// # Errors
/// When the row can't be read.
pub async fn is_on_its_way(conn: &mut Conn, version: u64) -> sqlx::Result<bool> {
    let found: Option<i64> = query("select cast(1 as bigint) from outbox where seq = $1")
        .bind(crate::store::to_db(version))
        .fetch_optional(conn)
        .await?;
    Ok(found.is_some())
}

/// Gives a row another version. Gives whether there is such a row.
///
/// # Errors
/// When the row can't be written.
pub async fn set_version(
    conn: &mut Conn,
    kind: Kind,
    id: &str,
    version: u64,
) -> sqlx::Result<bool> {
    let statement = match kind {
        Kind::Account => query("update accounts set version = $2 where id = $1"),
        Kind::Api => query("update apis set version = $2 where id = $1"),
        Kind::Key => query("update keys set version = $2 where id = $1"),
        Kind::Role => query("update roles set version = $2 where id = $1"),
        Kind::Member => query("update members set version = $2 where id = $1"),
        Kind::Lost | Kind::Hosts => return Ok(false),
    };
    let found = statement
        .bind(id)
        .bind(crate::store::to_db(version))
        .execute(conn)
        .await?;
    Ok(found > 0)
}
