//! Tokens that were found in public: their keys are revoked.

pub mod github;

use shared::Millis;
use shared::record::KeyState;
use shared::token::KeyHash;

use crate::audit::Act;
use crate::routes::keys::KeyView;
use crate::store::keys::{self, Key};
use crate::store::{Change, Conn};

/// The longest URL that is kept, in bytes.
pub const MAX_URL: usize = 2_048;

/// Where a token was found, as far as it was told.
#[derive(Debug, Clone, Copy)]
pub struct Finding<'a> {
    /// Who found it: `github`, or `possession` for whoever held it.
    pub source: &'a str,
    /// Where it is.
    pub url: Option<&'a str>,
}

/// What a reported token comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It is in use, and opens this key.
    InUse(Box<Key>),
    /// It is a token of ours that opens nothing any more.
    Ended,
    /// It is none of ours.
    Unknown,
}

/// Looks a reported token up. A token whose grace after a rotation is still running is in use: whoever holds it can use it.
///
/// # Errors
/// When rows can't be read.
pub async fn examine(conn: &mut Conn, token: &str, now: Millis) -> sqlx::Result<Verdict> {
    let hash = KeyHash::of(token);
    let Some(key) = keys::by_hash_anywhere(conn, &hash).await? else {
        return Ok(Verdict::Unknown);
    };
    let credentials = keys::credentials(conn, &key.id).await?;
    let credential = credentials.iter().find(|c| c.hash == hash);
    let is_open = |end: Option<Millis>| end.is_none_or(|end| now < end);
    let in_use = key.state == KeyState::Active
        && is_open(key.settings.expires_at)
        && credential.is_some_and(|c| is_open(c.not_after));
    Ok(if in_use {
        Verdict::InUse(Box::new(key))
    } else {
        Verdict::Ended
    })
}

/// Revokes the key of a token, if that is in use still, and notes the finding on it: the act, if it was. The key as a whole is
/// stopped: with one token in public, its owner has to look after the other of a rotation as well.
///
/// # Errors
/// When rows can't be read or written.
pub async fn revoke(
    change: &mut Change,
    token: &str,
    finding: Finding<'_>,
) -> anyhow::Result<Option<Act>> {
    let now = change.now();
    let Verdict::InUse(mut key) = examine(change.conn(), token, now).await? else {
        return Ok(None);
    };
    let before = KeyView::in_log((*key).clone(), now);
    keys::note_leak(change.conn(), &key.id, finding, now).await?;
    key.state = KeyState::Revoked;
    key.version = change.next_version();
    key.updated_at = now;
    keys::update(change.conn(), &key).await?;
    change.publish_key(&key).await?;
    key.leak = Some(keys::Leak {
        at: now,
        source: finding.source.to_owned(),
        url: finding.url.map(str::to_owned),
    });
    let after = KeyView::in_log(*key, now);
    Ok(Some(Act::change("revoke", &before, &after)?))
}
