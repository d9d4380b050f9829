//! New keys, one or very many: a statement for some dozens of them.

use shared::Millis;
use shared::token::KeyHash;

use super::{Key, enforcement_name, interval_name, name_of};
use crate::store::sql::{Draft, Value};
use crate::store::{Conn, to_db, to_json};

/// How many rows a statement adds: of so many columns each, within what both databases bind.
const ROWS: usize = 50;
const DAY: Millis = 24 * 60 * 60 * 1000;

/// A key that is not in the database yet. It has neither been used nor rotated.
#[derive(Debug, Clone)]
pub struct Fresh {
    /// The key.
    pub key: Key,
    /// The hash of its token.
    pub hash: KeyHash,
    /// The import that it comes from, and the line there.
    pub origin: Option<(String, u64)>,
}

/// Adds keys with their hashes.
///
/// # Errors
/// When the rows can't be written.
pub async fn insert(conn: &mut Conn, keys: &[Fresh]) -> sqlx::Result<()> {
    for some in keys.chunks(ROWS) {
        // A connection keeps the statements for one key and for a full number: there are many of those.
        let is_usual = some.len() == 1 || some.len() == ROWS;
        let mut draft = Draft::default();
        let rows: sqlx::Result<Vec<String>> = some
            .iter()
            .map(|new| Ok(draft.put_row(columns(new)?)))
            .collect();
        let rows = rows?.join(", ");
        let text = format!(
            "insert into keys (id, account_id, owner_id, name, search_text, environment, environment_code, state, start,
               last8, permissions, resources, allowed_origins, allow_missing_origin, allowed_ips, requests_per_minute,
               requests_per_hour, requests_per_day, enforcement, expires_at, metadata, version, created_at, updated_at,
               usage_count, used_day, identity_id, credits_serial, credits_granted, refill_amount, refill_interval,
               import_id, import_line, token_created_at)
             values {rows}"
        );
        let adding = draft.finish(text).planned_for_itself(!is_usual);
        adding.execute(conn).await?;

        let mut draft = Draft::default();
        let hash = |new: &Fresh| draft.put_row([new.hash.to_hex().into(), (&new.key.id).into()]);
        let rows: Vec<String> = some.iter().map(hash).collect();
        let text = format!(
            "insert into key_hashes (hash, key_id) values {}",
            rows.join(", ")
        );
        let adding = draft.finish(text).planned_for_itself(!is_usual);
        adding.execute(conn).await?;
    }
    Ok(())
}

fn columns(new: &Fresh) -> sqlx::Result<[Value; 34]> {
    let key = &new.key;
    let s = &key.settings;
    let credits = s.credits.as_ref();
    let refill = credits.and_then(|c| c.refill);
    let (import, line) = match &new.origin {
        Some((import, line)) => (Some(import.as_str()), Some(to_db(*line))),
        None => (None, None),
    };
    Ok([
        (&key.id).into(),
        (&key.account_id).into(),
        (&s.owner_id).into(),
        (&s.name).into(),
        key.search_text().into(),
        (&key.environment.name).into(),
        (&key.environment.code).into(),
        name_of(key.state).into(),
        (&key.hints.start).into(),
        (&key.hints.last8).into(),
        to_json(&s.permissions)?.into(),
        to_json(&s.resources)?.into(),
        to_json(&s.allowed_origins)?.into(),
        i64::from(s.allow_missing_origin).into(),
        to_json(&s.allowed_ips)?.into(),
        s.limits.requests_per_minute.map(i64::from).into(),
        s.limits.requests_per_hour.map(i64::from).into(),
        s.limits.requests_per_day.map(i64::from).into(),
        enforcement_name(s.enforcement).into(),
        s.expires_at.map(to_db).into(),
        to_json(&s.metadata)?.into(),
        to_db(key.version).into(),
        to_db(key.created_at).into(),
        to_db(key.updated_at).into(),
        to_db(key.usage_count).into(),
        to_db(key.created_at / DAY).into(),
        (&s.identity_id).into(),
        credits.map(|c| to_db(c.serial)).into(),
        credits.map(|c| to_db(c.granted)).into(),
        refill.map(|r| to_db(r.amount)).into(),
        refill.map(|r| interval_name(r.interval)).into(),
        import.into(),
        line.into(),
        to_db(key.token_created_at).into(),
    ])
}
