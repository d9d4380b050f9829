//! Accounts and their tree.

use shared::Millis;
use shared::account::AccountRecord;

use crate::http::page::PageRequest;
use crate::store::{Conn, FromRow, Row, from_db, query, to_db};

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// `acc_…`
    pub id: String,
    /// The account above; `None` for the root.
    pub parent_id: Option<String>,
    /// For people.
    pub name: String,
    /// What its keys' tokens begin with.
    pub token_prefix: String,
    /// Grows by every change.
    pub version: u64,
    /// When it was made.
    pub created_at: Millis,
    /// When it was last changed.
    pub updated_at: Millis,
    /// Whether it is gone.
    pub deleted: bool,
}

impl FromRow for Account {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            parent_id: row.get("parent_id")?,
            name: row.get("name")?,
            token_prefix: row.get("token_prefix")?,
            version: from_db(row.get("version")?),
            created_at: from_db(row.get("created_at")?),
            updated_at: from_db(row.get("updated_at")?),
            deleted: row.get::<Option<i64>>("deleted_at")?.is_some(),
        })
    }
}

impl Account {
    /// As the edge knows it.
    pub fn record(&self, ancestors: Vec<String>) -> AccountRecord {
        AccountRecord {
            id: self.id.clone(),
            version: self.version,
            ancestors,
            deleted: self.deleted,
            requests_per_month: None,
        }
    }
}

/// Adds an account and its place in the tree.
///
/// # Errors
/// When the rows can't be written.
pub async fn insert(conn: &mut Conn, account: &Account) -> sqlx::Result<()> {
    query(
        "insert into accounts (id, parent_id, name, token_prefix, version, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(&account.id)
    .bind(&account.parent_id)
    .bind(&account.name)
    .bind(&account.token_prefix)
    .bind(to_db(account.version))
    .bind(to_db(account.created_at))
    .bind(to_db(account.updated_at))
    .execute(conn)
    .await?;
    query("insert into account_tree (ancestor_id, account_id, depth) values ($1, $1, 0)")
        .bind(&account.id)
        .execute(conn)
        .await?;
    query(
        "insert into account_tree (ancestor_id, account_id, depth)
         select ancestor_id, $1, depth + 1 from account_tree where account_id = $2",
    )
    .bind(&account.id)
    .bind(&account.parent_id)
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes an account's changed fields.
///
/// # Errors
/// When the row can't be written.
pub async fn update(conn: &mut Conn, account: &Account) -> sqlx::Result<()> {
    query(
        "update accounts set name = $2, token_prefix = $3, version = $4, updated_at = $5, deleted_at = $6
         where id = $1",
    )
    .bind(&account.id)
    .bind(&account.name)
    .bind(&account.token_prefix)
    .bind(to_db(account.version))
    .bind(to_db(account.updated_at))
    .bind(account.deleted.then(|| to_db(account.updated_at)))
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether an id was ever used.
///
/// # Errors
/// When the row can't be read.
pub async fn exists(conn: &mut Conn, id: &str) -> sqlx::Result<bool> {
    let found: Option<i64> = query("select cast(1 as bigint) from accounts where id = $1")
        .bind(id)
        .fetch_optional(conn)
        .await?;
    Ok(found.is_some())
}

/// The root account, if there is one.
///
/// # Errors
/// When the row can't be read.
pub async fn root(conn: &mut Conn) -> sqlx::Result<Option<Account>> {
    query(
        "select * from accounts where parent_id is null and deleted_at is null order by created_at limit 1",
    )
    .fetch_optional(conn)
    .await
}

/// The account `id`, if it is `holder` or below it and not deleted.
///
/// # Errors
/// When the row can't be read.
pub async fn find(conn: &mut Conn, holder: &str, id: &str) -> sqlx::Result<Option<Account>> {
    query(
        "select a.* from accounts a join account_tree t on t.account_id = a.id
         where t.ancestor_id = $1 and a.id = $2 and a.deleted_at is null",
    )
    .bind(holder)
    .bind(id)
    .fetch_optional(conn)
    .await
}

/// As [`find`], and deleted accounts, too.
///
/// # Errors
/// When the row can't be read.
pub async fn find_with_deleted(
    conn: &mut Conn,
    holder: &str,
    id: &str,
) -> sqlx::Result<Option<Account>> {
    query(
        "select a.* from accounts a join account_tree t on t.account_id = a.id
         where t.ancestor_id = $1 and a.id = $2",
    )
    .bind(holder)
    .bind(id)
    .fetch_optional(conn)
    .await
}

/// The account `id`, wherever it stands, unless it is deleted.
///
/// # Errors
/// When the row can't be read.
pub async fn by_id(conn: &mut Conn, id: &str) -> sqlx::Result<Option<Account>> {
    query("select * from accounts where id = $1 and deleted_at is null")
        .bind(id)
        .fetch_optional(conn)
        .await
}

/// The accounts above one, root first.
///
/// # Errors
/// When the rows can't be read.
pub async fn ancestors(conn: &mut Conn, id: &str) -> sqlx::Result<Vec<String>> {
    query(
        "select ancestor_id from account_tree where account_id = $1 and depth > 0 order by depth desc",
    )
    .bind(id)
    .fetch_all(conn)
    .await
}

/// A page of the accounts at and below `holder`, or of the children of `parent` alone.
///
/// # Errors
/// When the rows can't be read.
pub async fn list(
    conn: &mut Conn,
    holder: &str,
    parent: Option<&str>,
    page: &PageRequest,
) -> sqlx::Result<Vec<Account>> {
    query(
        "select a.* from accounts a join account_tree t on t.account_id = a.id
         where t.ancestor_id = $1 and a.deleted_at is null
           and (cast($2 as text) is null or a.parent_id = $2)
           and (cast($3 as bigint) is null or a.created_at < $3 or (a.created_at = $3 and a.id < $4))
         order by a.created_at desc, a.id desc limit $5",
    )
    .bind(holder)
    .bind(parent)
    .bind(page.after.as_ref().map(|p| to_db(p.created_at)))
    .bind(page.after.as_ref().map(|p| p.id.as_str()))
    .bind(page.fetch())
    .fetch_all(conn)
    .await
}

/// What an account still holds: the first of keys, APIs and subaccounts that it has.
///
/// # Errors
/// When the rows can't be read.
pub async fn content(conn: &mut Conn, id: &str) -> sqlx::Result<Option<String>> {
    query(
        "select kind from (
           select 1 as place, 'subaccounts' as kind from accounts where parent_id = $1 and deleted_at is null
           union all
           select 2, 'APIs' from apis where account_id = $1 and deleted_at is null
           union all
           select 3, 'keys' from keys where account_id = $1 and state <> 'deleted'
         ) as held order by place limit 1",
    )
    .bind(id)
    .fetch_optional(conn)
    .await
}
