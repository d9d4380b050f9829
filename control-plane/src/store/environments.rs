//! Environments that accounts define, and the schedules of all.

use std::collections::HashMap;

use shared::Millis;

use crate::environment::{Environment, all_built_in};
use crate::http::page::PageRequest;
use crate::store::keys::Key;
use crate::store::{Conn, FromRow, Row, from_db, query, to_db};

/// An environment that an account defines, or its schedule for one that is built in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defined {
    /// `env_…`
    pub id: String,
    /// The account that has it, as all accounts below.
    pub account_id: String,
    /// Its name and code.
    pub environment: Environment,
    /// After how many days a token is due to be replaced; `None`: never.
    pub rotate_after_days: Option<u32>,
    /// Grows by every change.
    pub version: u64,
    /// When it was made.
    pub created_at: Millis,
    /// When it was last changed.
    pub updated_at: Millis,
}

impl FromRow for Defined {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            account_id: row.get("account_id")?,
            environment: Environment {
                name: row.get("name")?,
                code: row.get("code")?,
            },
            rotate_after_days: days_from_db(row.get("rotate_after_days")?),
            version: from_db(row.get("version")?),
            created_at: from_db(row.get("created_at")?),
            updated_at: from_db(row.get("updated_at")?),
        })
    }
}

/// Days, as a column has them.
fn days_from_db(days: Option<i64>) -> Option<u32> {
    days.map(|days| u32::try_from(days).unwrap_or(u32::MAX))
}

/// Adds an environment, or the schedule of one that is built in.
///
/// # Errors
/// When the row can't be written.
pub async fn insert(conn: &mut Conn, defined: &Defined) -> sqlx::Result<()> {
    query(
        "insert into environments (id, account_id, name, code, rotate_after_days, version, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(&defined.id)
    .bind(&defined.account_id)
    .bind(&defined.environment.name)
    .bind(&defined.environment.code)
    .bind(defined.rotate_after_days.map(i64::from))
    .bind(to_db(defined.version))
    .bind(to_db(defined.created_at))
    .bind(to_db(defined.updated_at))
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes a changed schedule.
///
/// # Errors
/// When the row can't be written.
pub async fn update(conn: &mut Conn, defined: &Defined) -> sqlx::Result<()> {
    query("update environments set rotate_after_days = $2, version = $3, updated_at = $4 where id = $1")
        .bind(&defined.id)
        .bind(defined.rotate_after_days.map(i64::from))
        .bind(to_db(defined.version))
        .bind(to_db(defined.updated_at))
        .execute(conn)
        .await?;
    Ok(())
}

/// Removes an environment.
///
/// # Errors
/// When the row can't be written.
pub async fn remove(conn: &mut Conn, id: &str) -> sqlx::Result<()> {
    query("delete from environments where id = $1")
        .bind(id)
        .execute(conn)
        .await?;
    Ok(())
}

/// The environment `id`, if the account that defines it is `holder` or below it.
///
/// # Errors
/// When the row can't be read.
pub async fn find(conn: &mut Conn, holder: &str, id: &str) -> sqlx::Result<Option<Defined>> {
    query(
        "select e.* from environments e
         join account_tree t on t.account_id = e.account_id and t.ancestor_id = $1
         join accounts a on a.id = e.account_id and a.deleted_at is null
         where e.id = $2 and e.code not in ('prod', 'stg', 'dev')",
    )
    .bind(holder)
    .bind(id)
    .fetch_optional(conn)
    .await
}

/// What an account itself says of an environment that is built in.
///
/// # Errors
/// When the row can't be read.
pub async fn of_built_in(
    conn: &mut Conn,
    account: &str,
    name: &str,
) -> sqlx::Result<Option<Defined>> {
    query("select * from environments where account_id = $1 and name = $2")
        .bind(account)
        .bind(name)
        .fetch_optional(conn)
        .await
}

/// A page of what an account and those above it define, without what they say of those that are built in.
///
/// # Errors
/// When the rows can't be read.
pub async fn list(
    conn: &mut Conn,
    account: &str,
    page: &PageRequest,
) -> sqlx::Result<Vec<Defined>> {
    query(
        "select e.* from environments e join account_tree t on t.ancestor_id = e.account_id
         where t.account_id = $1 and e.code not in ('prod', 'stg', 'dev')
           and (cast($2 as bigint) is null or e.created_at < $2 or (e.created_at = $2 and e.id < $3))
         order by e.created_at desc, e.id desc limit $4",
    )
    .bind(account)
    .bind(page.after.as_ref().map(|p| to_db(p.created_at)))
    .bind(page.after.as_ref().map(|p| p.id.as_str()))
    .bind(page.fetch())
    .fetch_all(conn)
    .await
}

/// Every environment that keys and endpoints of an account may name: those that are built in first.
///
/// # Errors
/// When the rows can't be read.
pub async fn known(conn: &mut Conn, account: &str) -> sqlx::Result<Vec<Environment>> {
    let defined: Vec<Defined> = query(
        "select e.* from environments e join account_tree t on t.ancestor_id = e.account_id
         where t.account_id = $1 and e.code not in ('prod', 'stg', 'dev') order by e.name, e.code",
    )
    .bind(account)
    .fetch_all(conn)
    .await?;
    let defined = defined.into_iter().map(|defined| defined.environment);
    Ok(all_built_in().chain(defined).collect())
}

/// How many environments an account defines itself.
///
/// # Errors
/// When the rows can't be read.
pub async fn count(conn: &mut Conn, account: &str) -> sqlx::Result<i64> {
    query("select count(*) from environments where account_id = $1 and code not in ('prod', 'stg', 'dev')")
        .bind(account)
        .fetch_one(conn)
        .await
}

/// An environment of the account's line, above it or below it, that has the name or the code already.
///
/// # Errors
/// When the rows can't be read.
pub async fn taken(
    conn: &mut Conn,
    account: &str,
    wanted: &Environment,
) -> sqlx::Result<Option<Environment>> {
    let taken: Option<Defined> = query(
        "select e.* from environments e join accounts a on a.id = e.account_id and a.deleted_at is null
         where (e.name = $2 or e.code = $3) and (
           e.account_id in (select ancestor_id from account_tree where account_id = $1)
           or e.account_id in (select account_id from account_tree where ancestor_id = $1))
         order by e.id limit 1",
    )
    .bind(account)
    .bind(&wanted.name)
    .bind(&wanted.code)
    .fetch_optional(conn)
    .await?;
    Ok(taken.map(|taken| taken.environment))
}

/// How many keys of an account and those below are in an environment.
///
/// # Errors
/// When the rows can't be read.
pub async fn keys(conn: &mut Conn, account: &str, of: &Environment) -> sqlx::Result<i64> {
    query(
        "select count(*) from keys
         where environment = $2 and environment_code = $3 and state <> 'deleted'
           and account_id in (select account_id from account_tree where ancestor_id = $1)",
    )
    .bind(account)
    .bind(&of.name)
    .bind(&of.code)
    .fetch_one(conn)
    .await
}

/// The schedule that counts for a key: that of the nearest account in its line which has one for its environment.
///
/// # Errors
/// When the rows can't be read.
pub async fn schedule(conn: &mut Conn, key: &Key) -> sqlx::Result<Option<u32>> {
    schedule_of(conn, &key.account_id, &key.environment).await
}

/// Whether any environment of any account has a schedule: where none has, no key is due.
///
/// # Errors
/// When the rows can't be read.
pub async fn any_schedule(conn: &mut Conn) -> sqlx::Result<bool> {
    let one: Option<i64> = query(
        "select cast(1 as bigint) from environments where rotate_after_days is not null limit 1",
    )
    .fetch_optional(conn)
    .await?;
    Ok(one.is_some())
}

/// Schedules of the keys of a page: few environments, and each is looked up once.
#[derive(Debug, Default)]
pub struct Schedules(HashMap<(String, String, String), Option<u32>>);

impl Schedules {
    /// As [`schedule`].
    ///
    /// # Errors
    /// When the rows can't be read.
    pub async fn of(&mut self, conn: &mut Conn, key: &Key) -> sqlx::Result<Option<u32>> {
        let Environment { name, code } = &key.environment;
        let place = (key.account_id.clone(), name.clone(), code.clone());
        if let Some(known) = self.0.get(&place) {
            return Ok(*known);
        }
        let found = schedule(conn, key).await?;
        self.0.insert(place, found);
        Ok(found)
    }
}

/// The schedule that counts in an environment of an account.
///
/// # Errors
/// When the rows can't be read.
pub async fn schedule_of(
    conn: &mut Conn,
    account: &str,
    of: &Environment,
) -> sqlx::Result<Option<u32>> {
    let nearest: Option<Option<i64>> = query(
        "select e.rotate_after_days from environments e join account_tree t on t.ancestor_id = e.account_id
         where t.account_id = $1 and e.name = $2 and e.code = $3 order by t.depth limit 1",
    )
    .bind(account)
    .bind(&of.name)
    .bind(&of.code)
    .fetch_optional(conn)
    .await?;
    Ok(days_from_db(nearest.flatten()))
}
