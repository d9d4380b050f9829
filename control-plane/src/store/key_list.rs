//! Lists of keys: filtered, newest first, each with the status that people see.
//!
//! An account may hold a million keys, of which a filter finds many, few or none, anywhere. Filters by account, environment,
//! owner and state have indexes in the order of the list: their page is read from one, and no more. Those by text, by use, by
//! expiry and by throttling have not, as what they ask for is not in that order. Of them, [`page_of`] looks first at the
//! newest keys, where what is found often is found at once; what is not frequent there is looked up by an index of what is
//! asked for, and sorted; and only what is frequent and yet not among the newest is sought along the list.

mod scope;
mod statement;

use shared::Millis;
use shared::record::KeyState;

use crate::http::page::{PageRequest, Position};
use crate::store::environments;
use crate::store::keys::Key;
use crate::store::{Conn, FromRow, Row, from_db, query, to_db};
pub use scope::Scope;
use statement::{MINUTE, THROTTLED_FOR};
pub use statement::{Span, Statements, Way};

/// How many of the newest keys are looked at before an index is asked.
const NEWEST: u32 = 1_000;
/// How many keys are read by an index, at most, to be sorted.
const SORTED: u32 = 10_000;

/// What people see of a key's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStatus {
    /// May be used.
    Active,
    /// Stopped by an admin.
    Revoked,
    /// Its time is over.
    Expired,
    /// Active, and refused for its limits within the last minute.
    RateLimited,
    /// Gone, and kept for its history.
    Deleted,
}

impl KeyStatus {
    /// Every status, by name.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("active", Self::Active),
        ("revoked", Self::Revoked),
        ("expired", Self::Expired),
        ("rate_limited", Self::RateLimited),
        ("deleted", Self::Deleted),
    ];

    /// As written in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::RateLimited => "rate_limited",
            Self::Deleted => "deleted",
        }
    }

    /// The status of a key at a time, whatever it was used for.
    pub fn unused(key: &Key, now: Millis) -> Self {
        match key.state {
            KeyState::Deleted => Self::Deleted,
            KeyState::Revoked | KeyState::OwnerRemoved => Self::Revoked,
            KeyState::Active if key.settings.expires_at.is_some_and(|end| end <= now) => {
                Self::Expired
            }
            KeyState::Active => Self::Active,
        }
    }

    fn of(name: &str) -> Self {
        Self::NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map_or(Self::Revoked, |(_, status)| *status)
    }
}

/// A key with its status.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedKey {
    /// The key.
    pub key: Key,
    /// Its status at the time that was asked for.
    pub status: KeyStatus,
}

impl FromRow for ListedKey {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        Ok(Self {
            key: Key::from_row(row)?,
            status: KeyStatus::of(&row.get::<String>("status")?),
        })
    }
}

/// Which keys are asked for; `None` leaves a filter out.
#[derive(Debug, Clone, Default)]
pub struct KeyFilter {
    /// Of this account alone.
    pub account: Option<String>,
    /// Of this environment, by name.
    pub environment: Option<String>,
    /// With this status; deleted keys are found by theirs alone.
    pub status: Option<KeyStatus>,
    /// Of this owner.
    pub owner: Option<String>,
    /// With this text in name, id, start or last8, in any case.
    pub text: Option<String>,
    /// Neither made nor used since then.
    pub unused_since: Option<Millis>,
    /// In use, with a token that is due to be replaced by then.
    pub due_by: Option<Millis>,
}

/// A page of the keys of `holder` and of the accounts below it.
///
/// # Errors
/// When the rows can't be read.
pub async fn list(
    conn: &mut Conn,
    holder: &str,
    filter: &KeyFilter,
    page: &PageRequest,
    now: Millis,
) -> sqlx::Result<Vec<ListedKey>> {
    if filter.due_by.is_some() && !environments::any_schedule(conn).await? {
        return Ok(Vec::new());
    }
    let limit = page.limit as usize + 1;
    let mut found: Vec<ListedKey> = Vec::new();
    let mut span = Span {
        after: page.after.clone(),
        down_to: None,
    };
    for scope in Scope::of(conn, holder, filter.account.as_deref()).await? {
        let statements = Statements {
            scope: &scope,
            filter,
            now,
        };
        found.extend(page_of(conn, &statements, &span, page.limit + 1).await?);
        found.sort_by(|one, other| place(other).cmp(&place(one)));
        found.truncate(limit);
        // Of the accounts to come only what is newer than the last of a full page is of interest.
        if found.len() == limit {
            span.down_to = found.last().map(|row| Position {
                created_at: row.key.created_at,
                id: row.key.id.clone(),
            });
        }
    }
    Ok(found)
}

fn place(row: &ListedKey) -> (Millis, &str) {
    (row.key.created_at, &row.key.id)
}

/// The first keys of a span, in one part of the tree.
async fn page_of(
    conn: &mut Conn,
    statements: &Statements<'_>,
    span: &Span,
    limit: u32,
) -> sqlx::Result<Vec<ListedKey>> {
    let ways = statements.ways();
    if ways.is_empty() {
        let all = statements.rows(conn, Way::Order, span, limit);
        return all.fetch_all(conn).await;
    }
    let nth: Option<(i64, String)> = statements.place(span, NEWEST).fetch_optional(conn).await?;
    let newest = Span {
        down_to: nth.map(|(created_at, id)| Position {
            created_at: from_db(created_at),
            id,
        }),
        after: span.after.clone(),
    };
    let is_all = newest.down_to.is_none();
    let some = if is_all { span } else { &newest };
    let found: Vec<ListedKey> = statements
        .rows(conn, Way::Order, some, limit)
        .fetch_all(conn)
        .await?;
    if is_all || found.len() >= limit as usize {
        return Ok(found);
    }
    let way = rare(conn, statements, &ways).await?;
    let all = statements.rows(conn, way, span, limit);
    all.fetch_all(conn).await
}

/// The way by the first index that knows of few keys; without one, along the list.
async fn rare(conn: &mut Conn, statements: &Statements<'_>, ways: &[Way]) -> sqlx::Result<Way> {
    for way in ways {
        if *way == Way::Text && !has_text_index(conn).await? {
            continue;
        }
        let count: i64 = statements
            .count(conn, *way, SORTED + 1)
            .fetch_one(conn)
            .await?;
        if count <= i64::from(SORTED) {
            return Ok(*way);
        }
    }
    Ok(Way::Order)
}

/// Whether parts of texts can be looked up. A PostgreSQL server may lack the extension for it.
async fn has_text_index(conn: &mut Conn) -> sqlx::Result<bool> {
    match conn {
        Conn::Sqlite(_) => Ok(true),
        Conn::Postgres(_) => super::postgres::has_text_index(conn).await,
    }
}

/// The key `id` with its status at a time, if its account is `holder` or below it and it is not deleted.
///
/// # Errors
/// When the row can't be read.
pub async fn find(
    conn: &mut Conn,
    holder: &str,
    id: &str,
    now: Millis,
) -> sqlx::Result<Option<ListedKey>> {
    let since = now.saturating_sub(THROTTLED_FOR);
    query(
        "select k.*, case when k.state = 'deleted' then 'deleted' when k.state = 'revoked' then 'revoked'
           when k.expires_at <= $3 then 'expired'
           when exists (select 1 from usage_minutes u where u.key_id = k.id and u.minute >= $4
                          and u.code = 'rate_limited' and u.last_at > $5) then 'rate_limited'
           else 'active' end as status
         from keys k join account_tree t on t.account_id = k.account_id
         where t.ancestor_id = $1 and k.id = $2 and k.state <> 'deleted'",
    )
    .bind(holder)
    .bind(id)
    .bind(to_db(now))
    .bind(to_db(since / MINUTE))
    .bind(to_db(since))
    .fetch_optional(conn)
    .await
}

/// The status of a key at a time.
///
/// # Errors
/// When the rows can't be read.
pub async fn status(conn: &mut Conn, key: &Key, now: Millis) -> sqlx::Result<KeyStatus> {
    let unused = KeyStatus::unused(key, now);
    if unused != KeyStatus::Active {
        return Ok(unused);
    }
    let since = now.saturating_sub(THROTTLED_FOR);
    let throttled: Option<i64> = query(
        "select cast(1 as bigint) from usage_minutes
         where key_id = $1 and minute >= $2 and code = 'rate_limited' and last_at > $3 limit 1",
    )
    .bind(&key.id)
    .bind(to_db(since / MINUTE))
    .bind(to_db(since))
    .fetch_optional(conn)
    .await?;
    Ok(match throttled {
        Some(_) => KeyStatus::RateLimited,
        None => KeyStatus::Active,
    })
}

/// A pattern for `like … escape '\\'`: the text anywhere, in lower case.
pub fn like_pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.to_lowercase().chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}
