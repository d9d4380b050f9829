//! Admin tokens, by their hashes.

use shared::Millis;
use shared::permission::Permission;
use shared::secret::constant_time_eq;

use crate::admin_token::AdminToken;
use crate::http::page::PageRequest;
use crate::rights::Rights;
use crate::store::{Conn, FromRow, Row, from_db, query, time_from_db, to_db, to_json};

/// Its use is noted at most this often, so that reading does not become writing. In milliseconds.
const USE_STEP: Millis = 60_000;

/// An admin token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// `tok_…`
    pub id: String,
    /// The account it acts for.
    pub account_id: String,
    /// For people.
    pub name: String,
    /// The member it stands for.
    pub member_id: Option<String>,
    /// Its role: the member's, if it stands for one.
    pub role: String,
    /// What it may do at most; `None`: all that the role says.
    pub scope: Option<Vec<Permission>>,
    /// The id of the token that made it; `None` for one that no admin made.
    pub created_by: Option<String>,
    /// When it was made.
    pub created_at: Millis,
    /// When it was last used, within a minute.
    pub last_used_at: Option<Millis>,
    /// When it stops working by itself.
    pub expires_at: Option<Millis>,
}

impl FromRow for TokenRow {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        let scope: Option<String> = row.get("permissions")?;
        Ok(Self {
            id: row.get("id")?,
            account_id: row.get("account_id")?,
            name: row.get("name")?,
            member_id: row.get("member_id")?,
            role: row.get("role_now")?,
            scope: scope.map(|_| row.json("permissions")).transpose()?,
            created_by: row.get("created_by")?,
            created_at: from_db(row.get("created_at")?),
            last_used_at: time_from_db(row.get("last_used_at")?),
            expires_at: time_from_db(row.get("expires_at")?),
        })
    }
}

/// An admin token that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The token.
    pub token: TokenRow,
    /// What it may do now.
    pub rights: Rights,
    /// Whether its use should be noted.
    pub note_use: bool,
}

struct Found {
    hash: String,
    token: TokenRow,
    /// Of a role of the account's own.
    rights: Option<Rights>,
}

impl FromRow for Found {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        let own: Option<String> = row.get("management_permissions")?;
        let rights = own.map(|_| {
            Ok::<_, sqlx::Error>(Rights {
                management: row.json("management_permissions")?,
                api: row.json("api_permissions")?,
            })
        });
        Ok(Self {
            hash: row.get("hash")?,
            token: TokenRow::from_row(row)?,
            rights: rights.transpose()?,
        })
    }
}

/// Adds a token, unless it is there already: whether it was added.
///
/// # Errors
/// When the row can't be written.
pub async fn insert(conn: &mut Conn, token: &AdminToken, row: &TokenRow) -> sqlx::Result<bool> {
    let added = query(
        "insert into admin_tokens (hash, id, account_id, name, member_id, role, permissions, created_by, created_at,
           expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         on conflict (hash) do nothing",
    )
    .bind(token.hash())
    .bind(&row.id)
    .bind(&row.account_id)
    .bind(&row.name)
    .bind(&row.member_id)
    .bind(&row.role)
    .bind(row.scope.as_ref().map(to_json).transpose()?)
    .bind(&row.created_by)
    .bind(to_db(row.created_at))
    .bind(row.expires_at.map(to_db))
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

/// Whom a token stands for, and what it may do as its role is now; `None` when it is unknown, expired or revoked, or its
/// account or member is gone.
///
/// # Errors
/// When the rows can't be read.
pub async fn find(
    conn: &mut Conn,
    token: &AdminToken,
    now: Millis,
) -> sqlx::Result<Option<Holder>> {
    let hash = token.hash();
    let found: Option<Found> = query(
        "select t.*, coalesce(m.role, t.role) as role_now, r.management_permissions, r.api_permissions
         from admin_tokens t join accounts a on a.id = t.account_id
           left join members m on m.id = t.member_id
           left join roles r on r.id = coalesce(m.role, t.role) and r.account_id = t.account_id
             and r.deleted_at is null
         where t.hash = $1 and a.deleted_at is null and t.revoked_at is null
           and (t.expires_at is null or t.expires_at > $2)
           and (t.member_id is null or (m.id is not null and m.removed_at is null))",
    )
    .bind(&hash)
    .bind(to_db(now))
    .fetch_optional(conn)
    .await?;
    let found = found.filter(|f| constant_time_eq(f.hash.as_bytes(), hash.as_bytes()));
    Ok(found.map(|Found { token, rights, .. }| {
        // A role that is neither built in nor there gives no right.
        let rights = Rights::built_in(&token.role).or(rights).unwrap_or_default();
        let last_used_at = token.last_used_at;
        Holder {
            rights: rights.narrowed(token.scope.as_deref()),
            note_use: last_used_at.is_none_or(|last| now.saturating_sub(last) >= USE_STEP),
            token,
        }
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

/// Whether a token was revoked.
///
/// # Errors
/// When the row can't be read.
pub async fn is_revoked(conn: &mut Conn, token: &AdminToken) -> sqlx::Result<bool> {
    let revoked: Option<i64> = query(
        "select cast(1 as bigint) from admin_tokens where hash = $1 and revoked_at is not null",
    )
    .bind(token.hash())
    .fetch_optional(conn)
    .await?;
    Ok(revoked.is_some())
}

/// The token `id`, if its account is `holder` or below it and it was not revoked.
///
/// # Errors
/// When the row can't be read.
pub async fn by_id(conn: &mut Conn, holder: &str, id: &str) -> sqlx::Result<Option<TokenRow>> {
    query(
        "select k.*, coalesce(m.role, k.role) as role_now from admin_tokens k
           join account_tree t on t.account_id = k.account_id left join members m on m.id = k.member_id
         where t.ancestor_id = $1 and k.id = $2 and k.revoked_at is null",
    )
    .bind(holder)
    .bind(id)
    .fetch_optional(conn)
    .await
}

/// Revokes a token.
///
/// # Errors
/// When the row can't be written.
pub async fn revoke(conn: &mut Conn, id: &str, now: Millis) -> sqlx::Result<()> {
    query("update admin_tokens set revoked_at = $2 where id = $1")
        .bind(id)
        .bind(to_db(now))
        .execute(conn)
        .await?;
    Ok(())
}

/// Revokes every token of a member.
///
/// # Errors
/// When the rows can't be written.
pub async fn revoke_of_member(conn: &mut Conn, member: &str, now: Millis) -> sqlx::Result<()> {
    query("update admin_tokens set revoked_at = $2 where member_id = $1 and revoked_at is null")
        .bind(member)
        .bind(to_db(now))
        .execute(conn)
        .await?;
    Ok(())
}

/// A page of the tokens of `holder` and of the accounts below it, revoked ones left out; of one account or one member
/// alone.
///
/// # Errors
/// When the rows can't be read.
pub async fn list(
    conn: &mut Conn,
    holder: &str,
    account: Option<&str>,
    member: Option<&str>,
    page: &PageRequest,
) -> sqlx::Result<Vec<TokenRow>> {
    query(
        "select k.*, coalesce(m.role, k.role) as role_now from admin_tokens k
           join account_tree t on t.account_id = k.account_id left join members m on m.id = k.member_id
         where t.ancestor_id = $1 and k.revoked_at is null
           and (cast($2 as text) is null or k.account_id = $2)
           and (cast($3 as text) is null or k.member_id = $3)
           and (cast($4 as bigint) is null or k.created_at < $4 or (k.created_at = $4 and k.id < $5))
         order by k.created_at desc, k.id desc limit $6",
    )
    .bind(holder)
    .bind(account)
    .bind(member)
    .bind(page.after.as_ref().map(|p| to_db(p.created_at)))
    .bind(page.after.as_ref().map(|p| p.id.as_str()))
    .bind(page.fetch())
    .fetch_all(conn)
    .await
}
