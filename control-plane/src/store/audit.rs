//! The audit log: appended to by [`crate::store::Change`], and read. The tables' triggers refuse everything else.
//!
//! Each entry holds the SHA-256 of the one before it and of itself, so that an entry that was changed, removed or put in
//! between by other hands shows. Changes happen one after the other, so there is one chain.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use shared::Millis;

use crate::audit::{Act, Actor, Caller};
use crate::entropy;
use crate::http::page::PageRequest;
use crate::store::{Conn, FromRow, Row, from_db, query, to_db, to_json};

/// Acts that fail leave no entry, so there is one outcome.
const OUTCOME: &str = "success";
const ADMIN: &str = "admin";
const SYSTEM: &str = "system";
const GITHUB: &str = "github";
const HOLDER: &str = "holder";

/// An entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its place: 1, 2, 3 and so on.
    pub seq: u64,
    /// `aud_…`
    pub id: String,
    /// When it happened.
    pub created_at: Millis,
    /// The account of what was changed.
    pub account_id: String,
    /// Who did it.
    pub actor: Actor,
    /// Where the request came from.
    pub client_address: Option<String>,
    /// The request's id.
    pub request_id: Option<String>,
    /// `key.create`
    pub action: String,
    /// What was changed: `key`.
    pub target_kind: String,
    /// Its id.
    pub target_id: String,
    /// Its name then.
    pub target_name: String,
    /// What was there, as JSON.
    pub before: Option<String>,
    /// What was there then, as JSON.
    pub after: Option<String>,
    /// How it ended.
    pub outcome: String,
    /// SHA-256 of the entry before; of the first, empty.
    pub previous_hash: String,
    /// SHA-256 of this one, in hex.
    pub hash: String,
}

impl FromRow for Entry {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        let actor = match row.get::<String>("actor_kind")?.as_str() {
            ADMIN => Actor::Admin {
                token_id: row.get::<Option<String>>("token_id")?.unwrap_or_default(),
                token_name: row.get::<Option<String>>("token_name")?.unwrap_or_default(),
                member_id: row.get("member_id")?,
            },
            GITHUB => Actor::GitHub,
            HOLDER => Actor::Holder,
            _ => Actor::System,
        };
        Ok(Self {
            seq: from_db(row.get("seq")?),
            id: row.get("id")?,
            created_at: from_db(row.get("created_at")?),
            account_id: row.get("account_id")?,
            actor,
            client_address: row.get("client_address")?,
            request_id: row.get("request_id")?,
            action: row.get("action")?,
            target_kind: row.get("target_kind")?,
            target_id: row.get("target_id")?,
            target_name: row.get("target_name")?,
            before: row.get("before_view")?,
            after: row.get("after_view")?,
            outcome: row.get("outcome")?,
            previous_hash: row.get("previous_hash")?,
            hash: row.get("hash")?,
        })
    }
}

impl Entry {
    /// The hash that the entry must have: of every other column, as one JSON list.
    fn right_hash(&self) -> sqlx::Result<String> {
        let (kind, token_id, token_name, member_id) = columns(&self.actor);
        let time = self.created_at.to_string();
        let seq = self.seq.to_string();
        let text = to_json(&[
            Some(seq.as_str()),
            Some(&self.id),
            Some(&time),
            Some(&self.account_id),
            Some(kind),
            token_id,
            token_name,
            member_id,
            self.client_address.as_deref(),
            self.request_id.as_deref(),
            Some(&self.action),
            Some(&self.target_kind),
            Some(&self.target_id),
            Some(&self.target_name),
            self.before.as_deref(),
            self.after.as_deref(),
            Some(&self.outcome),
            Some(&self.previous_hash),
        ])?;
        Ok(hex::encode(Sha256::digest(text.as_bytes())))
    }

    /// Whether this is the entry that was written after one with this place and hash.
    ///
    /// # Errors
    /// When it can't be written as JSON.
    pub fn follows(&self, seq: u64, hash: &str) -> sqlx::Result<bool> {
        Ok(self.seq == seq + 1 && self.previous_hash == hash && self.hash == self.right_hash()?)
    }
}

impl Actor {
    /// `admin`, `system` …
    pub fn kind(&self) -> &'static str {
        columns(self).0
    }
}

/// The actor's columns: kind, token's id, token's name, member.
fn columns(actor: &Actor) -> (&'static str, Option<&str>, Option<&str>, Option<&str>) {
    match actor {
        Actor::Admin {
            token_id,
            token_name,
            member_id,
        } => (
            ADMIN,
            Some(token_id),
            Some(token_name),
            member_id.as_deref(),
        ),
        Actor::System => (SYSTEM, None, None, None),
        Actor::GitHub => (GITHUB, None, None, None),
        Actor::Holder => (HOLDER, None, None, None),
    }
}

/// Appends an act. Must be called within a change: it relies on being alone.
pub(super) async fn append(
    conn: &mut Conn,
    caller: &Caller,
    act: Act,
    now: Millis,
) -> anyhow::Result<()> {
    let last: Option<(i64, String)> =
        query("select seq, hash from audit_log order by seq desc limit 1")
            .fetch_optional(conn)
            .await?;
    let (seq, previous_hash) = last.unwrap_or_default();
    let view = |members: Option<Map<String, Value>>| members.map(|m| to_json(&m)).transpose();
    let mut entry = Entry {
        seq: from_db(seq) + 1,
        id: shared::id::audit(&*entropy::draw()?),
        created_at: now,
        account_id: act.target.account,
        actor: caller.actor.clone(),
        client_address: caller.client.address.map(|address| address.to_string()),
        request_id: caller.client.request_id.clone(),
        action: act.action,
        target_kind: act.target.kind.to_owned(),
        target_id: act.target.id,
        target_name: act.target.name,
        before: view(act.before)?,
        after: view(act.after)?,
        outcome: OUTCOME.to_owned(),
        previous_hash,
        hash: String::new(),
    };
    entry.hash = entry.right_hash()?;
    insert(conn, &entry).await?;
    Ok(())
}

async fn insert(conn: &mut Conn, entry: &Entry) -> sqlx::Result<()> {
    let (kind, token_id, token_name, member_id) = columns(&entry.actor);
    query(
        "insert into audit_log (seq, id, created_at, account_id, actor_kind, token_id, token_name, member_id,
           client_address, request_id, action, target_kind, target_id, target_name, before_view, after_view,
           outcome, previous_hash, hash)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)",
    )
    .bind(to_db(entry.seq))
    .bind(&entry.id)
    .bind(to_db(entry.created_at))
    .bind(&entry.account_id)
    .bind(kind)
    .bind(token_id)
    .bind(token_name)
    .bind(member_id)
    .bind(&entry.client_address)
    .bind(&entry.request_id)
    .bind(&entry.action)
    .bind(&entry.target_kind)
    .bind(&entry.target_id)
    .bind(&entry.target_name)
    .bind(&entry.before)
    .bind(&entry.after)
    .bind(&entry.outcome)
    .bind(&entry.previous_hash)
    .bind(&entry.hash)
    .execute(conn)
    .await?;
    Ok(())
}

/// Which entries are asked for; `None` leaves a filter out.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Of this account alone.
    pub account: Option<String>,
    /// By this token (id or name) or member (id), or by `system`, `github`, `holder`.
    pub actor: Option<String>,
    /// Whose action begins with this.
    pub action: Option<String>,
    /// About what has this id.
    pub target: Option<String>,
    /// Not before this time.
    pub from: Option<Millis>,
    /// Before this time.
    pub to: Option<Millis>,
}

/// The filter's part of a statement: `$1` is the account whose admin asks, `$2` to `$7` the filter.
const FOUND: &str = "account_id in (select account_id from account_tree where ancestor_id = $1)
     and (cast($2 as text) is null or account_id = $2)
     and (cast($3 as text) is null or token_id = $3 or token_name = $3 or member_id = $3
          or (actor_kind = $3 and actor_kind <> 'admin'))
     and (cast($4 as text) is null or substr(action, 1, length($4)) = $4)
     and (cast($5 as text) is null or target_id = $5)
     and (cast($6 as bigint) is null or created_at >= $6)
     and (cast($7 as bigint) is null or created_at < $7)";

fn filtered(text: String, holder: &str, filter: &AuditFilter) -> crate::store::Query {
    crate::store::query_of(text)
        .bind(holder)
        .bind(&filter.account)
        .bind(&filter.actor)
        .bind(&filter.action)
        .bind(&filter.target)
        .bind(filter.from.map(to_db))
        .bind(filter.to.map(to_db))
}

/// A page of the entries of `holder` and of the accounts below it, newest first. A row's position is its place in the log.
///
/// # Errors
/// When the rows can't be read.
pub async fn list(
    conn: &mut Conn,
    holder: &str,
    filter: &AuditFilter,
    page: &PageRequest,
) -> sqlx::Result<Vec<Entry>> {
    let text = format!(
        "select * from audit_log where {FOUND} and (cast($8 as bigint) is null or seq < $8)
         order by seq desc limit $9"
    );
    filtered(text, holder, filter)
        .bind(page.after.as_ref().map(|p| to_db(p.created_at)))
        .bind(page.fetch())
        .fetch_all(conn)
        .await
}

/// The entries after one place up to another, oldest first.
///
/// # Errors
/// When the rows can't be read.
pub async fn between(
    conn: &mut Conn,
    holder: &str,
    filter: &AuditFilter,
    (after, last): (u64, u64),
    limit: u32,
) -> sqlx::Result<Vec<Entry>> {
    let text = format!(
        "select * from audit_log where {FOUND} and seq > $8 and seq <= $9 order by seq limit $10"
    );
    filtered(text, holder, filter)
        .bind(to_db(after))
        .bind(to_db(last))
        .bind(i64::from(limit))
        .fetch_all(conn)
        .await
}

/// The entry `id`, if its account is `holder` or below it.
///
/// # Errors
/// When the row can't be read.
pub async fn find(conn: &mut Conn, holder: &str, id: &str) -> sqlx::Result<Option<Entry>> {
    query(
        "select l.* from audit_log l join account_tree t on t.account_id = l.account_id
         where t.ancestor_id = $1 and l.id = $2",
    )
    .bind(holder)
    .bind(id)
    .fetch_optional(conn)
    .await
}

/// The place of the newest entry; 0: there is none.
///
/// # Errors
/// When the row can't be read.
pub async fn last(conn: &mut Conn) -> sqlx::Result<u64> {
    let last: Option<i64> = query("select max(seq) from audit_log")
        .fetch_one(conn)
        .await?;
    Ok(last.map_or(0, from_db))
}

/// Every entry after a place, oldest first.
///
/// # Errors
/// When the rows can't be read.
pub async fn after(conn: &mut Conn, seq: u64, limit: u32) -> sqlx::Result<Vec<Entry>> {
    query("select * from audit_log where seq > $1 order by seq limit $2")
        .bind(to_db(seq))
        .bind(i64::from(limit))
        .fetch_all(conn)
        .await
}
