//! Keys and the hashes of their tokens.

use std::collections::HashMap;

use serde_json::{Map, Value};
use shared::Millis;
use shared::ip::IpRange;
use shared::origin::OriginPattern;
use shared::permission::Permission;
use shared::record::{
    Credential, Credits, Enforcement, Interval, KeyRecord, KeyState, RateLimits, Refill,
};
use shared::resource::ResourceScope;
use shared::token::{Hints, KeyHash};

use crate::environment::Environment;
use crate::leaks::Finding;
use crate::store::{Conn, FromRow, Row, from_db, query, time_from_db, to_db, to_json};

mod fresh;

pub use fresh::{Fresh, insert};

/// A key.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// `key_…`
    pub id: String,
    /// The account it belongs to.
    pub account_id: String,
    /// Where it may be used.
    pub environment: Environment,
    /// Whether it may be used; its end is apart, in `expires_at` of the settings.
    pub state: KeyState,
    /// What people see of its current token.
    pub hints: Hints,
    /// When its current token was made.
    pub token_created_at: Millis,
    /// Its last rotation with a grace, under way or over.
    pub rotation: Option<Rotation>,
    /// What an admin sets.
    pub settings: KeySettings,
    /// Grows by every change.
    pub version: u64,
    /// When it was made.
    pub created_at: Millis,
    /// When it was last changed.
    pub updated_at: Millis,
    /// When it was last presented.
    pub last_used_at: Option<Millis>,
    /// How often it was presented, refusals included.
    pub usage_count: u64,
    /// Where a token of it was found in public, the last time.
    pub leak: Option<Leak>,
}

/// A token that was found in public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leak {
    /// When it was told.
    pub at: Millis,
    /// By whom.
    pub source: String,
    /// Where it was found.
    pub url: Option<String>,
}

/// A change of tokens during which both work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// When the new token was made.
    pub started_at: Millis,
    /// When the old token ends.
    pub ends_at: Millis,
    /// What people see of the old token; `None` if that was not kept.
    pub old: Option<Hints>,
    /// When the old token was made; `None` if that was not kept.
    pub old_created_at: Option<Millis>,
}

/// What an admin sets of a key, at its making and later.
#[derive(Debug, Clone, PartialEq)]
pub struct KeySettings {
    /// For people.
    pub name: String,
    /// The member who owns it.
    pub owner_id: Option<String>,
    /// What it may do.
    pub permissions: Vec<Permission>,
    /// The resources it is bound to.
    pub resources: Vec<ResourceScope>,
    /// The origins it may be used from; empty: all.
    pub allowed_origins: Vec<OriginPattern>,
    /// Whether it may be used without an `Origin` although it has allowed ones.
    pub allow_missing_origin: bool,
    /// The addresses it may be used from; empty: all.
    pub allowed_ips: Vec<IpRange>,
    /// Its limits.
    pub limits: RateLimits,
    /// The identity whose limits it shares.
    pub identity_id: Option<String>,
    /// What it may spend in all; `None`: not limited.
    pub credits: Option<Credits>,
    /// How exactly it is followed.
    pub enforcement: Enforcement,
    /// When it stops working by itself.
    pub expires_at: Option<Millis>,
    /// Whatever the admin wants to remember.
    pub metadata: Map<String, Value>,
}

impl FromRow for Key {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        let limit = |name: &str| -> sqlx::Result<Option<u32>> {
            Ok(row
                .get::<Option<i64>>(name)?
                .map(|n| u32::try_from(n).unwrap_or(u32::MAX)))
        };
        Ok(Self {
            id: row.get("id")?,
            account_id: row.get("account_id")?,
            environment: Environment {
                name: row.get("environment")?,
                code: row.get("environment_code")?,
            },
            state: state_of(&row.get::<String>("state")?),
            hints: Hints {
                start: row.get("start")?,
                last8: row.get("last8")?,
            },
            token_created_at: match time_from_db(row.get("token_created_at")?) {
                Some(at) => at,
                None => from_db(row.get("created_at")?),
            },
            rotation: rotation_of(row)?,
            settings: KeySettings {
                name: row.get("name")?,
                owner_id: row.get("owner_id")?,
                permissions: row.json("permissions")?,
                resources: row.json("resources")?,
                allowed_origins: row.json("allowed_origins")?,
                allow_missing_origin: row.get::<i64>("allow_missing_origin")? != 0,
                allowed_ips: row.json("allowed_ips")?,
                limits: RateLimits {
                    requests_per_minute: limit("requests_per_minute")?,
                    requests_per_hour: limit("requests_per_hour")?,
                    requests_per_day: limit("requests_per_day")?,
                },
                identity_id: row.get("identity_id")?,
                credits: credits_of(row)?,
                enforcement: match row.get::<String>("enforcement")?.as_str() {
                    "leased" => Enforcement::Leased,
                    _ => Enforcement::Strict,
                },
                expires_at: time_from_db(row.get("expires_at")?),
                metadata: row.json("metadata")?,
            },
            version: from_db(row.get("version")?),
            created_at: from_db(row.get("created_at")?),
            updated_at: from_db(row.get("updated_at")?),
            last_used_at: time_from_db(row.get("last_used_at")?),
            usage_count: from_db(row.get("usage_count")?),
            leak: match time_from_db(row.get("leaked_at")?) {
                None => None,
                Some(at) => Some(Leak {
                    at,
                    source: row
                        .get::<Option<String>>("leak_source")?
                        .unwrap_or_default(),
                    url: row.get("leak_url")?,
                }),
            },
        })
    }
}

fn credits_of(row: &Row) -> sqlx::Result<Option<Credits>> {
    let number = |name: &str| -> sqlx::Result<Option<u64>> {
        Ok(row.get::<Option<i64>>(name)?.map(from_db))
    };
    let (serial, granted) = (number("credits_serial")?, number("credits_granted")?);
    let (Some(serial), Some(granted)) = (serial, granted) else {
        return Ok(None);
    };
    let interval: Option<String> = row.get("refill_interval")?;
    let refill = number("refill_amount")?.zip(interval);
    Ok(Some(Credits {
        serial,
        granted,
        refill: refill.map(|(amount, interval)| Refill {
            amount,
            interval: match interval.as_str() {
                "daily" => Interval::Daily,
                _ => Interval::Monthly,
            },
        }),
    }))
}

fn rotation_of(row: &Row) -> sqlx::Result<Option<Rotation>> {
    let started_at = time_from_db(row.get("rotation_started_at")?);
    let ends_at = time_from_db(row.get("rotation_ends_at")?);
    let (Some(started_at), Some(ends_at)) = (started_at, ends_at) else {
        return Ok(None);
    };
    let start: Option<String> = row.get("rotation_old_start")?;
    let last8: Option<String> = row.get("rotation_old_last8")?;
    let old = start
        .zip(last8)
        .map(|(start, last8)| Hints { start, last8 });
    Ok(Some(Rotation {
        started_at,
        ends_at,
        old,
        old_created_at: time_from_db(row.get("rotation_old_created_at")?),
    }))
}

fn state_of(name: &str) -> KeyState {
    match name {
        "active" => KeyState::Active,
        "revoked" => KeyState::Revoked,
        _ => KeyState::Deleted,
    }
}

fn name_of(state: KeyState) -> &'static str {
    match state {
        KeyState::Active => "active",
        KeyState::Revoked => "revoked",
        // A guard's word on a key that is kept as active.
        KeyState::OwnerRemoved => "active",
        KeyState::Deleted => "deleted",
    }
}

impl Key {
    /// As the edge knows it.
    pub fn record(&self, ancestors: Vec<String>, credentials: Vec<Credential>) -> KeyRecord {
        let settings = self.settings.clone();
        KeyRecord {
            id: self.id.clone(),
            version: self.version,
            account: self.account_id.clone(),
            ancestors,
            owner: settings.owner_id,
            environment: self.environment.code.clone(),
            state: self.state,
            credentials,
            expires_at: settings.expires_at,
            permissions: settings.permissions,
            role_permissions: None,
            resources: settings.resources,
            allowed_origins: settings.allowed_origins,
            allow_missing_origin: settings.allow_missing_origin,
            allowed_ips: settings.allowed_ips,
            limits: settings.limits,
            enforcement: settings.enforcement,
            credits: settings.credits,
            identity: settings.identity_id,
        }
    }

    /// The rotation that is under way at a time.
    pub fn rotation_at(&self, now: Millis) -> Option<&Rotation> {
        self.rotation.as_ref().filter(|r| now < r.ends_at)
    }

    /// What partial matches are looked up in. Case is folded here, since databases fold it each in its own way.
    fn search_text(&self) -> String {
        let Hints { start, last8 } = &self.hints;
        format!("{} {} {start} {last8}", self.settings.name, self.id).to_lowercase()
    }
}

fn enforcement_name(enforcement: Enforcement) -> &'static str {
    match enforcement {
        Enforcement::Leased => "leased",
        Enforcement::Strict => "strict",
    }
}

fn interval_name(interval: Interval) -> &'static str {
    match interval {
        Interval::Daily => "daily",
        Interval::Monthly => "monthly",
    }
}

/// Writes a key's changed fields.
///
/// # Errors
/// When the row can't be written.
pub async fn update(conn: &mut Conn, key: &Key) -> sqlx::Result<()> {
    let s = &key.settings;
    let rotation = key.rotation.as_ref();
    let old = rotation.and_then(|r| r.old.as_ref());
    let credits = s.credits.as_ref();
    let refill = credits.and_then(|c| c.refill);
    query(
        "update keys set name = $2, owner_id = $3, search_text = $4, state = $5, start = $6, last8 = $7,
           permissions = $8, resources = $9, allowed_origins = $10, allow_missing_origin = $11, allowed_ips = $12,
           requests_per_minute = $13, requests_per_hour = $14, requests_per_day = $15, enforcement = $16,
           expires_at = $17, metadata = $18, version = $19, updated_at = $20, rotation_started_at = $21,
           rotation_ends_at = $22, rotation_old_start = $23, rotation_old_last8 = $24,
           identity_id = $25, credits_serial = $26, credits_granted = $27, refill_amount = $28, refill_interval = $29,
           token_created_at = $30, rotation_old_created_at = $31
         where id = $1",
    )
    .bind(&key.id)
    .bind(&s.name)
    .bind(&s.owner_id)
    .bind(key.search_text())
    .bind(name_of(key.state))
    .bind(&key.hints.start)
    .bind(&key.hints.last8)
    .bind(to_json(&s.permissions)?)
    .bind(to_json(&s.resources)?)
    .bind(to_json(&s.allowed_origins)?)
    .bind(i64::from(s.allow_missing_origin))
    .bind(to_json(&s.allowed_ips)?)
    .bind(s.limits.requests_per_minute.map(i64::from))
    .bind(s.limits.requests_per_hour.map(i64::from))
    .bind(s.limits.requests_per_day.map(i64::from))
    .bind(enforcement_name(s.enforcement))
    .bind(s.expires_at.map(to_db))
    .bind(to_json(&s.metadata)?)
    .bind(to_db(key.version))
    .bind(to_db(key.updated_at))
    .bind(rotation.map(|r| to_db(r.started_at)))
    .bind(rotation.map(|r| to_db(r.ends_at)))
    .bind(old.map(|hints| hints.start.as_str()))
    .bind(old.map(|hints| hints.last8.as_str()))
    .bind(&s.identity_id)
    .bind(credits.map(|c| to_db(c.serial)))
    .bind(credits.map(|c| to_db(c.granted)))
    .bind(refill.map(|r| to_db(r.amount)))
    .bind(refill.map(|r| interval_name(r.interval)))
    .bind(to_db(key.token_created_at))
    .bind(rotation.and_then(|r| r.old_created_at).map(to_db))
    .execute(conn)
    .await?;
    Ok(())
}

/// The key `id`, if its account is `holder` or below it and it is not deleted.
///
/// # Errors
/// When the row can't be read.
pub async fn find(conn: &mut Conn, holder: &str, id: &str) -> sqlx::Result<Option<Key>> {
    query(
        "select k.* from keys k join account_tree t on t.account_id = k.account_id
         where t.ancestor_id = $1 and k.id = $2 and k.state <> 'deleted'",
    )
    .bind(holder)
    .bind(id)
    .fetch_optional(conn)
    .await
}

/// The key `id`, as [`find`] gives it, and also when it is deleted.
///
/// # Errors
/// When the row can't be read.
pub async fn find_with_deleted(
    conn: &mut Conn,
    holder: &str,
    id: &str,
) -> sqlx::Result<Option<Key>> {
    query(
        "select k.* from keys k join account_tree t on t.account_id = k.account_id
         where t.ancestor_id = $1 and k.id = $2",
    )
    .bind(holder)
    .bind(id)
    .fetch_optional(conn)
    .await
}

/// The key that has a token with this hash, in whatever account; a deleted one, too.
///
/// # Errors
/// When the row can't be read.
pub async fn by_hash_anywhere(conn: &mut Conn, hash: &KeyHash) -> sqlx::Result<Option<Key>> {
    query("select k.* from key_hashes h join keys k on k.id = h.key_id where h.hash = $1")
        .bind(hash.to_hex())
        .fetch_optional(conn)
        .await
}

/// Notes that a token of a key was found in public.
///
/// # Errors
/// When the row can't be written.
pub async fn note_leak(
    conn: &mut Conn,
    key_id: &str,
    finding: Finding<'_>,
    at: Millis,
) -> sqlx::Result<()> {
    query("update keys set leaked_at = $2, leak_source = $3, leak_url = $4 where id = $1")
        .bind(key_id)
        .bind(to_db(at))
        .bind(finding.source)
        .bind(finding.url)
        .execute(conn)
        .await?;
    Ok(())
}

/// The key that has a token with this hash, if its account is `holder` or below it; a deleted one, too.
///
/// # Errors
/// When the row can't be read.
pub async fn by_hash(conn: &mut Conn, holder: &str, hash: &KeyHash) -> sqlx::Result<Option<Key>> {
    query(
        "select k.* from key_hashes h join keys k on k.id = h.key_id
         join account_tree t on t.account_id = k.account_id
         where h.hash = $1 and t.ancestor_id = $2",
    )
    .bind(hash.to_hex())
    .bind(holder)
    .fetch_optional(conn)
    .await
}

/// A key with the hash of its current token, in hexadecimal digits.
#[derive(Debug, Clone, PartialEq)]
pub struct Exported {
    /// The key.
    pub key: Key,
    /// The hash.
    pub hash: Option<String>,
}

impl FromRow for Exported {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        Ok(Self {
            key: Key::from_row(row)?,
            hash: row.get("current_hash")?,
        })
    }
}

/// The keys of `holder` and of the accounts below it, or of one account alone, that are not deleted, after a place in the
/// order of ids.
///
/// # Errors
/// When the rows can't be read.
pub async fn after(
    conn: &mut Conn,
    holder: &str,
    account: Option<&str>,
    id: &str,
    limit: u32,
) -> sqlx::Result<Vec<Exported>> {
    query(
        "select k.*, (select min(h.hash) from key_hashes h where h.key_id = k.id and h.not_after is null) as current_hash
         from keys k
         where k.id > $3 and k.state <> 'deleted'
           and k.account_id in (select account_id from account_tree where ancestor_id = $1)
           and (cast($2 as text) is null or k.account_id = $2)
         order by k.id limit $4",
    )
    .bind(holder)
    .bind(account)
    .bind(id)
    .bind(i64::from(limit))
    .fetch_all(conn)
    .await
}

/// The hashes of a key's tokens, the current one first.
///
/// # Errors
/// When the rows can't be read.
pub async fn credentials(conn: &mut Conn, key_id: &str) -> sqlx::Result<Vec<Credential>> {
    let rows: Vec<(String, Option<i64>)> = query(
        "select hash, not_after from key_hashes where key_id = $1
         order by case when not_after is null then 0 else 1 end, not_after desc",
    )
    .bind(key_id)
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|(hash, not_after)| credential(&hash, not_after))
        .collect()
}

/// The hashes of the tokens of all keys after one id and up to another, by key, the current one first.
///
/// # Errors
/// When the rows can't be read.
pub async fn credentials_between(
    conn: &mut Conn,
    after: &str,
    last: &str,
) -> sqlx::Result<HashMap<String, Vec<Credential>>> {
    let rows: Vec<(String, String, Option<i64>)> = query(
        "select key_id, hash, not_after from key_hashes where key_id > $1 and key_id <= $2
         order by key_id, case when not_after is null then 0 else 1 end, not_after desc",
    )
    .bind(after)
    .bind(last)
    .fetch_all(conn)
    .await?;
    let mut by_key: HashMap<String, Vec<Credential>> = HashMap::new();
    for (key, hash, not_after) in rows {
        let of_key = by_key.entry(key).or_default();
        of_key.push(credential(&hash, not_after)?);
    }
    Ok(by_key)
}

fn credential(hash: &str, not_after: Option<i64>) -> sqlx::Result<Credential> {
    let hash = KeyHash::from_hex(hash).ok_or_else(|| sqlx::Error::ColumnDecode {
        index: "hash".to_owned(),
        source: "not 64 hex digits".into(),
    })?;
    Ok(Credential {
        hash,
        not_after: time_from_db(not_after),
    })
}

/// Makes `hash` the current token of a key. The one that was current works until `old_ends`, or no longer at all;
/// one that was in an earlier grace is dropped.
///
/// # Errors
/// When the rows can't be written.
pub async fn set_credential(
    conn: &mut Conn,
    key_id: &str,
    hash: &KeyHash,
    old_ends: Option<Millis>,
) -> sqlx::Result<()> {
    query("delete from key_hashes where key_id = $1 and (not_after is not null or cast($2 as bigint) is null)")
        .bind(key_id)
        .bind(old_ends.map(to_db))
        .execute(conn)
        .await?;
    query("update key_hashes set not_after = $2 where key_id = $1")
        .bind(key_id)
        .bind(old_ends.map(to_db))
        .execute(conn)
        .await?;
    query("insert into key_hashes (hash, key_id) values ($1, $2)")
        .bind(hash.to_hex())
        .bind(key_id)
        .execute(conn)
        .await?;
    Ok(())
}

/// Ends the token before the current one.
///
/// # Errors
/// When the row can't be written.
pub async fn drop_old_credential(conn: &mut Conn, key_id: &str) -> sqlx::Result<()> {
    query("delete from key_hashes where key_id = $1 and not_after is not null")
        .bind(key_id)
        .execute(conn)
        .await?;
    Ok(())
}

/// Ends the current token, and makes the one before it the current one again.
///
/// # Errors
/// When the rows can't be written.
pub async fn restore_old_credential(conn: &mut Conn, key_id: &str) -> sqlx::Result<()> {
    query("delete from key_hashes where key_id = $1 and not_after is null")
        .bind(key_id)
        .execute(conn)
        .await?;
    query("update key_hashes set not_after = null where key_id = $1")
        .bind(key_id)
        .execute(conn)
        .await?;
    Ok(())
}
