//! Lists of keys: filtered, newest first, each with the status that people see.

use shared::Millis;
use shared::record::KeyState;

use crate::http::page::PageRequest;
use crate::store::keys::Key;
use crate::store::{Conn, FromRow, Row, query, to_db};

/// A key counts as throttled for this long after a refusal for its limits, in milliseconds.
const THROTTLED_FOR: Millis = 60_000;

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
    query(
        "select * from (
           select k.*, case
             when k.state = 'deleted' then 'deleted'
             when k.state = 'revoked' then 'revoked'
             when k.expires_at <= $2 then 'expired'
             when exists (select 1 from usage_minutes u where u.key_id = k.id and u.minute >= $3
                            and u.code = 'rate_limited' and u.last_at > $4) then 'rate_limited'
             else 'active' end as status
           from keys k
           where (case when k.state = 'deleted' then 1 else 0 end) =
                 (case when $12 = 'deleted' then 1 else 0 end)
             and k.account_id in (select account_id from account_tree where ancestor_id = $1)
             and (cast($5 as text) is null or k.account_id = $5)
             and (cast($6 as text) is null or k.environment = $6)
             and (cast($7 as text) is null or k.owner_id = $7)
             and (cast($8 as text) is null or k.search_text like $8 escape '\\')
             and (cast($9 as bigint) is null or coalesce(k.last_used_at, k.created_at) < $9)
             and (cast($10 as bigint) is null or k.created_at < $10 or (k.created_at = $10 and k.id < $11))
         ) as found
         where (cast($12 as text) is null or status = $12)
           and (cast($14 as bigint) is null or (status in ('active', 'rate_limited')
                and coalesce(token_created_at, created_at) + 86400000 * (
                  select e.rotate_after_days from environments e join account_tree s on s.ancestor_id = e.account_id
                  where s.account_id = found.account_id and e.name = environment and e.code = environment_code
                  order by s.depth limit 1) <= $14))
         order by created_at desc, id desc limit $13",
    )
    .bind(holder)
    .bind(to_db(now))
    .bind(to_db(now.saturating_sub(THROTTLED_FOR) / 60_000))
    .bind(to_db(now.saturating_sub(THROTTLED_FOR)))
    .bind(&filter.account)
    .bind(&filter.environment)
    .bind(&filter.owner)
    .bind(filter.text.as_deref().map(like_pattern))
    .bind(filter.unused_since.map(to_db))
    .bind(page.after.as_ref().map(|p| to_db(p.created_at)))
    .bind(page.after.as_ref().map(|p| p.id.as_str()))
    .bind(filter.status.map(KeyStatus::name))
    .bind(page.fetch())
    .bind(filter.due_by.map(to_db))
    .fetch_all(conn)
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
    .bind(to_db(since / 60_000))
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
