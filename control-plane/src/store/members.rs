//! Members of accounts, and their invitations.

use shared::Millis;
use shared::record::MemberRecord;

use crate::http::page::PageRequest;
use crate::rights::OWNER;
use crate::store::key_list::like_pattern;
use crate::store::{Conn, FromRow, Row, from_db, query, time_from_db, to_db};

/// A member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// `mem_…`
    pub id: String,
    /// The account that it is a member of.
    pub account_id: String,
    /// In lower case.
    pub email: String,
    /// For people.
    pub name: String,
    /// A built-in role's name, or the id of a role of the account.
    pub role: String,
    /// Whether the invitation was accepted.
    pub active: bool,
    /// The invitation under way.
    pub invitation: Option<Invitation>,
    /// Grows by every change.
    pub version: u64,
    /// When it was made.
    pub created_at: Millis,
    /// When it was last changed.
    pub updated_at: Millis,
    /// Whether it is a member no longer.
    pub removed: bool,
}

/// An invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// SHA-256 of its token, in hex.
    pub hash: String,
    /// When it ends.
    pub expires_at: Millis,
}

impl FromRow for Member {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        let hash: Option<String> = row.get("invitation_hash")?;
        let expires_at = time_from_db(row.get("invitation_expires_at")?);
        let invitation = hash.zip(expires_at);
        Ok(Self {
            id: row.get("id")?,
            account_id: row.get("account_id")?,
            email: row.get("email")?,
            name: row.get("name")?,
            role: row.get("role")?,
            active: row.get::<String>("status")? == "active",
            invitation: invitation.map(|(hash, expires_at)| Invitation { hash, expires_at }),
            version: from_db(row.get("version")?),
            created_at: from_db(row.get("created_at")?),
            updated_at: from_db(row.get("updated_at")?),
            removed: row.get::<Option<i64>>("removed_at")?.is_some(),
        })
    }
}

impl Member {
    /// `invited` or `active`.
    pub fn status(&self) -> &'static str {
        if self.active { "active" } else { "invited" }
    }

    /// As the edge knows it.
    pub fn record(&self, ancestors: Vec<String>) -> MemberRecord {
        MemberRecord {
            id: self.id.clone(),
            version: self.version,
            account: self.account_id.clone(),
            ancestors,
            role: self.role.clone(),
            removed: self.removed,
        }
    }

    fn search_text(&self) -> String {
        format!("{} {} {}", self.name, self.email, self.id).to_lowercase()
    }
}

/// Adds a member.
///
/// # Errors
/// When the row can't be written.
pub async fn insert(conn: &mut Conn, member: &Member) -> sqlx::Result<()> {
    query(
        "insert into members (id, account_id, email, name, search_text, role, status, version, created_at, updated_at)
         values ($1, $2, $3, '', '', '', 'invited', 0, $4, $4)",
    )
    .bind(&member.id)
    .bind(&member.account_id)
    .bind(&member.email)
    .bind(to_db(member.created_at))
    .execute(conn)
    .await?;
    update(conn, member).await
}

/// Writes a member's changed fields.
///
/// # Errors
/// When the row can't be written.
pub async fn update(conn: &mut Conn, member: &Member) -> sqlx::Result<()> {
    let invitation = member.invitation.as_ref();
    query(
        "update members set name = $2, search_text = $3, role = $4, status = $5, invitation_hash = $6,
           invitation_expires_at = $7, version = $8, updated_at = $9, removed_at = $10
         where id = $1",
    )
    .bind(&member.id)
    .bind(&member.name)
    .bind(member.search_text())
    .bind(&member.role)
    .bind(member.status())
    .bind(invitation.map(|i| i.hash.as_str()))
    .bind(invitation.map(|i| to_db(i.expires_at)))
    .bind(to_db(member.version))
    .bind(to_db(member.updated_at))
    .bind(member.removed.then(|| to_db(member.updated_at)))
    .execute(conn)
    .await?;
    Ok(())
}

/// The member `id`, if its account is `holder` or below it and it was not removed.
///
/// # Errors
/// When the row can't be read.
pub async fn find(conn: &mut Conn, holder: &str, id: &str) -> sqlx::Result<Option<Member>> {
    query(
        "select m.* from members m join account_tree t on t.account_id = m.account_id
         where t.ancestor_id = $1 and m.id = $2 and m.removed_at is null",
    )
    .bind(holder)
    .bind(id)
    .fetch_optional(conn)
    .await
}

/// The member `id` of this very account, if it was not removed.
///
/// # Errors
/// When the row can't be read.
pub async fn of_account(conn: &mut Conn, account: &str, id: &str) -> sqlx::Result<Option<Member>> {
    query("select * from members where account_id = $1 and id = $2 and removed_at is null")
        .bind(account)
        .bind(id)
        .fetch_optional(conn)
        .await
}

/// Whom an invitation is for, by its hash, if it has not ended.
///
/// # Errors
/// When the row can't be read.
pub async fn invited(conn: &mut Conn, hash: &str, now: Millis) -> sqlx::Result<Option<Member>> {
    query(
        "select m.* from members m join accounts a on a.id = m.account_id
         where m.invitation_hash = $1 and m.invitation_expires_at > $2 and m.removed_at is null
           and a.deleted_at is null",
    )
    .bind(hash)
    .bind(to_db(now))
    .fetch_optional(conn)
    .await
}

/// Whether the account has a member with this address.
///
/// # Errors
/// When the row can't be read.
pub async fn is_email_taken(conn: &mut Conn, account: &str, email: &str) -> sqlx::Result<bool> {
    let other: Option<i64> = query(
        "select cast(1 as bigint) from members where account_id = $1 and email = $2 and removed_at is null",
    )
    .bind(account)
    .bind(email)
    .fetch_optional(conn)
    .await?;
    Ok(other.is_some())
}

/// Whether the account of a member has other members, and other owners. For an active member only owners who are
/// active, too, count.
///
/// # Errors
/// When the rows can't be read.
pub async fn others(conn: &mut Conn, member: &Member) -> sqlx::Result<(bool, bool)> {
    let (others, owners): (i64, i64) = query(
        "select count(*),
           coalesce(sum(case when role = $3 and (status = 'active' or $4 = 'invited') then 1 else 0 end), 0)
         from members where account_id = $1 and id <> $2 and removed_at is null",
    )
    .bind(&member.account_id)
    .bind(&member.id)
    .bind(OWNER)
    .bind(member.status())
    .fetch_one(conn)
    .await?;
    Ok((others > 0, owners > 0))
}

/// How many keys a member owns, revoked ones included.
///
/// # Errors
/// When the rows can't be read.
pub async fn keys(conn: &mut Conn, id: &str) -> sqlx::Result<u64> {
    let count: i64 = query("select count(*) from keys where owner_id = $1 and state <> 'deleted'")
        .bind(id)
        .fetch_one(conn)
        .await?;
    Ok(from_db(count))
}

/// Which members are asked for; `None` leaves a filter out.
#[derive(Debug, Clone, Default)]
pub struct MemberFilter {
    /// Of this account alone.
    pub account: Option<String>,
    /// With this role.
    pub role: Option<String>,
    /// With this text in name, email or id, in any case.
    pub text: Option<String>,
}

/// A page of the members of `holder` and of the accounts below it.
///
/// # Errors
/// When the rows can't be read.
pub async fn list(
    conn: &mut Conn,
    holder: &str,
    filter: &MemberFilter,
    page: &PageRequest,
) -> sqlx::Result<Vec<Member>> {
    query(
        "select m.* from members m join account_tree t on t.account_id = m.account_id
         where t.ancestor_id = $1 and m.removed_at is null
           and (cast($2 as text) is null or m.account_id = $2)
           and (cast($3 as text) is null or m.role = $3)
           and (cast($4 as text) is null or m.search_text like $4 escape '\\')
           and (cast($5 as bigint) is null or m.created_at < $5 or (m.created_at = $5 and m.id < $6))
         order by m.created_at desc, m.id desc limit $7",
    )
    .bind(holder)
    .bind(&filter.account)
    .bind(&filter.role)
    .bind(filter.text.as_deref().map(like_pattern))
    .bind(page.after.as_ref().map(|p| to_db(p.created_at)))
    .bind(page.after.as_ref().map(|p| p.id.as_str()))
    .bind(page.fetch())
    .fetch_all(conn)
    .await
}
