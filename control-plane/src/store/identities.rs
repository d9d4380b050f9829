//! Identities: whoever stands behind several keys of an account.

use serde_json::{Map, Value};
use shared::Millis;
use shared::record::{IdentityRecord, RateLimits};

use crate::http::page::PageRequest;
use crate::store::key_list::like_pattern;
use crate::store::{Conn, FromRow, Row, from_db, query, to_db, to_json};

/// An identity.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// `idn_…`
    pub id: String,
    /// The account whose keys may share its limits.
    pub account_id: String,
    /// For people.
    pub name: String,
    /// What the admin calls it elsewhere.
    pub external_id: Option<String>,
    /// What its keys may spend together.
    pub limits: RateLimits,
    /// Whatever the admin wants to remember.
    pub metadata: Map<String, Value>,
    /// Grows by every change.
    pub version: u64,
    /// When it was made.
    pub created_at: Millis,
    /// When it was last changed.
    pub updated_at: Millis,
    /// Whether it is gone.
    pub deleted: bool,
}

impl FromRow for Identity {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        let limit = |name: &str| -> sqlx::Result<Option<u32>> {
            Ok(row
                .get::<Option<i64>>(name)?
                .map(|n| u32::try_from(n).unwrap_or(u32::MAX)))
        };
        Ok(Self {
            id: row.get("id")?,
            account_id: row.get("account_id")?,
            name: row.get("name")?,
            external_id: row.get("external_id")?,
            limits: RateLimits {
                requests_per_minute: limit("requests_per_minute")?,
                requests_per_hour: limit("requests_per_hour")?,
                requests_per_day: limit("requests_per_day")?,
            },
            metadata: row.json("metadata")?,
            version: from_db(row.get("version")?),
            created_at: from_db(row.get("created_at")?),
            updated_at: from_db(row.get("updated_at")?),
            deleted: row.get::<Option<i64>>("deleted_at")?.is_some(),
        })
    }
}

impl Identity {
    /// As the edge knows it.
    pub fn record(&self, ancestors: Vec<String>) -> IdentityRecord {
        IdentityRecord {
            id: self.id.clone(),
            version: self.version,
            account: self.account_id.clone(),
            ancestors,
            limits: self.limits,
            deleted: self.deleted,
        }
    }

    fn search_text(&self) -> String {
        let external = self.external_id.as_deref().unwrap_or_default();
        format!("{} {external} {}", self.name, self.id).to_lowercase()
    }
}

/// Adds an identity. Everything but what never changes is written by [`update`].
///
/// # Errors
/// When the row can't be written.
pub async fn insert(conn: &mut Conn, identity: &Identity) -> sqlx::Result<()> {
    query(
        "insert into identities (id, account_id, name, search_text, metadata, version, created_at, updated_at)
         values ($1, $2, '', '', '{}', 0, $3, $3)",
    )
    .bind(&identity.id)
    .bind(&identity.account_id)
    .bind(to_db(identity.created_at))
    .execute(conn)
    .await?;
    update(conn, identity).await
}

/// Writes an identity's changed fields.
///
/// # Errors
/// When the row can't be written.
pub async fn update(conn: &mut Conn, identity: &Identity) -> sqlx::Result<()> {
    query(
        "update identities set name = $2, external_id = $3, search_text = $4, requests_per_minute = $5,
           requests_per_hour = $6, requests_per_day = $7, metadata = $8, version = $9, updated_at = $10,
           deleted_at = $11
         where id = $1",
    )
    .bind(&identity.id)
    .bind(&identity.name)
    .bind(&identity.external_id)
    .bind(identity.search_text())
    .bind(identity.limits.requests_per_minute.map(i64::from))
    .bind(identity.limits.requests_per_hour.map(i64::from))
    .bind(identity.limits.requests_per_day.map(i64::from))
    .bind(to_json(&identity.metadata)?)
    .bind(to_db(identity.version))
    .bind(to_db(identity.updated_at))
    .bind(identity.deleted.then(|| to_db(identity.updated_at)))
    .execute(conn)
    .await?;
    Ok(())
}

/// The identity `id`, if its account is `holder` or below it and it is not deleted.
///
/// # Errors
/// When the row can't be read.
pub async fn find(conn: &mut Conn, holder: &str, id: &str) -> sqlx::Result<Option<Identity>> {
    query(
        "select i.* from identities i join account_tree t on t.account_id = i.account_id
         where t.ancestor_id = $1 and i.id = $2 and i.deleted_at is null",
    )
    .bind(holder)
    .bind(id)
    .fetch_optional(conn)
    .await
}

/// Whether an account has this identity.
///
/// # Errors
/// When the row can't be read.
pub async fn is_of(conn: &mut Conn, account: &str, id: &str) -> sqlx::Result<bool> {
    let found: Option<i64> = query(
        "select cast(1 as bigint) from identities
         where account_id = $1 and id = $2 and deleted_at is null",
    )
    .bind(account)
    .bind(id)
    .fetch_optional(conn)
    .await?;
    Ok(found.is_some())
}

/// How many keys share the limits of an identity.
///
/// # Errors
/// When the rows can't be read.
pub async fn keys(conn: &mut Conn, id: &str) -> sqlx::Result<i64> {
    query("select count(*) from keys where identity_id = $1 and state <> 'deleted'")
        .bind(id)
        .fetch_one(conn)
        .await
}

/// A page of the identities of `holder` and the accounts below it, or of one account alone; with a text in name, external
/// id or id.
///
/// # Errors
/// When the rows can't be read.
pub async fn list(
    conn: &mut Conn,
    holder: &str,
    account: Option<&str>,
    text: Option<&str>,
    page: &PageRequest,
) -> sqlx::Result<Vec<Identity>> {
    query(
        "select i.* from identities i join account_tree t on t.account_id = i.account_id
         where t.ancestor_id = $1 and i.deleted_at is null
           and (cast($2 as text) is null or i.account_id = $2)
           and (cast($3 as text) is null or i.search_text like $3 escape '\\')
           and (cast($4 as bigint) is null or i.created_at < $4 or (i.created_at = $4 and i.id < $5))
         order by i.created_at desc, i.id desc limit $6",
    )
    .bind(holder)
    .bind(account)
    .bind(text.map(like_pattern))
    .bind(page.after.as_ref().map(|p| to_db(p.created_at)))
    .bind(page.after.as_ref().map(|p| p.id.as_str()))
    .bind(page.fetch())
    .fetch_all(conn)
    .await
}
