//! Roles of an account's own.

use shared::Millis;
use shared::record::RoleRecord;

use crate::http::page::PageRequest;
use crate::rights::Rights;
use crate::store::{Conn, FromRow, Row, from_db, query, to_db, to_json};

/// A role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// `role_…`
    pub id: String,
    /// The account whose members may have it.
    pub account_id: String,
    /// For people.
    pub name: String,
    /// For people.
    pub description: String,
    /// What it may do.
    pub rights: Rights,
    /// Grows by every change.
    pub version: u64,
    /// When it was made.
    pub created_at: Millis,
    /// When it was last changed.
    pub updated_at: Millis,
    /// Whether it is gone.
    pub deleted: bool,
}

impl FromRow for Role {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            account_id: row.get("account_id")?,
            name: row.get("name")?,
            description: row.get("description")?,
            rights: Rights {
                management: row.json("management_permissions")?,
                api: row.json("api_permissions")?,
            },
            version: from_db(row.get("version")?),
            created_at: from_db(row.get("created_at")?),
            updated_at: from_db(row.get("updated_at")?),
            deleted: row.get::<Option<i64>>("deleted_at")?.is_some(),
        })
    }
}

impl Role {
    /// As the edge knows it.
    pub fn record(&self, ancestors: Vec<String>) -> RoleRecord {
        RoleRecord {
            id: self.id.clone(),
            version: self.version,
            account: self.account_id.clone(),
            ancestors,
            permissions: self.rights.api.clone(),
            deleted: self.deleted,
        }
    }
}

/// Adds a role.
///
/// # Errors
/// When the row can't be written.
pub async fn insert(conn: &mut Conn, role: &Role) -> sqlx::Result<()> {
    query(
        "insert into roles (id, account_id, name, description, management_permissions, api_permissions, version,
           created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(&role.id)
    .bind(&role.account_id)
    .bind(&role.name)
    .bind(&role.description)
    .bind(to_json(&role.rights.management)?)
    .bind(to_json(&role.rights.api)?)
    .bind(to_db(role.version))
    .bind(to_db(role.created_at))
    .bind(to_db(role.updated_at))
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes a role's changed fields.
///
/// # Errors
/// When the row can't be written.
pub async fn update(conn: &mut Conn, role: &Role) -> sqlx::Result<()> {
    query(
        "update roles set name = $2, description = $3, management_permissions = $4, api_permissions = $5, version = $6,
           updated_at = $7, deleted_at = $8
         where id = $1",
    )
    .bind(&role.id)
    .bind(&role.name)
    .bind(&role.description)
    .bind(to_json(&role.rights.management)?)
    .bind(to_json(&role.rights.api)?)
    .bind(to_db(role.version))
    .bind(to_db(role.updated_at))
    .bind(role.deleted.then(|| to_db(role.updated_at)))
    .execute(conn)
    .await?;
    Ok(())
}

/// The role `id`, if its account is `holder` or below it and it is not deleted.
///
/// # Errors
/// When the row can't be read.
pub async fn find(conn: &mut Conn, holder: &str, id: &str) -> sqlx::Result<Option<Role>> {
    query(
        "select r.* from roles r join account_tree t on t.account_id = r.account_id
         where t.ancestor_id = $1 and r.id = $2 and r.deleted_at is null",
    )
    .bind(holder)
    .bind(id)
    .fetch_optional(conn)
    .await
}

/// What a role of an account may do, a built-in one or one of its own; `None` when it has no such role.
///
/// # Errors
/// When the row can't be read.
pub async fn rights(conn: &mut Conn, account: &str, role: &str) -> sqlx::Result<Option<Rights>> {
    if let Some(rights) = Rights::built_in(role) {
        return Ok(Some(rights));
    }
    let own: Option<Role> =
        query("select * from roles where account_id = $1 and id = $2 and deleted_at is null")
            .bind(account)
            .bind(role)
            .fetch_optional(conn)
            .await?;
    Ok(own.map(|role| role.rights))
}

/// Whether another role of the account has this name.
///
/// # Errors
/// When the row can't be read.
pub async fn is_name_taken(conn: &mut Conn, role: &Role) -> sqlx::Result<bool> {
    let other: Option<i64> = query(
        "select cast(1 as bigint) from roles
         where account_id = $1 and name = $2 and id <> $3 and deleted_at is null",
    )
    .bind(&role.account_id)
    .bind(&role.name)
    .bind(&role.id)
    .fetch_optional(conn)
    .await?;
    Ok(other.is_some())
}

/// How many members have a role, and how many admin tokens of their own.
///
/// # Errors
/// When the rows can't be read.
pub async fn users(conn: &mut Conn, id: &str, now: Millis) -> sqlx::Result<(i64, i64)> {
    query(
        "select (select count(*) from members where role = $1 and removed_at is null),
           (select count(*) from admin_tokens where role = $1 and member_id is null and revoked_at is null
              and (expires_at is null or expires_at > $2))",
    )
    .bind(id)
    .bind(to_db(now))
    .fetch_one(conn)
    .await
}

/// A page of the roles that `holder` and the accounts below it have of their own, or one account alone.
///
/// # Errors
/// When the rows can't be read.
pub async fn list(
    conn: &mut Conn,
    holder: &str,
    account: Option<&str>,
    page: &PageRequest,
) -> sqlx::Result<Vec<Role>> {
    query(
        "select r.* from roles r join account_tree t on t.account_id = r.account_id
         where t.ancestor_id = $1 and r.deleted_at is null
           and (cast($2 as text) is null or r.account_id = $2)
           and (cast($3 as bigint) is null or r.created_at < $3 or (r.created_at = $3 and r.id < $4))
         order by r.created_at desc, r.id desc limit $5",
    )
    .bind(holder)
    .bind(account)
    .bind(page.after.as_ref().map(|p| to_db(p.created_at)))
    .bind(page.after.as_ref().map(|p| p.id.as_str()))
    .bind(page.fetch())
    .fetch_all(conn)
    .await
}
