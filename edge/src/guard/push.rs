//! Applying pushed records: a newer version replaces an older one, never the other way round.

use shared::Millis;
use shared::guard::replaces;
use shared::message::{Applied, GuardPush, GuardPushAnswer};
use shared::record::Record;
use shared::webhook::TOLERANCE_SECONDS;

use super::GuardCode;
use super::store::{first_number, first_texts, int, text};

/// How long a delivery is remembered: as long as its signature could be accepted again.
const DELIVERY_MEMORY_MS: Millis = 2 * TOLERANCE_SECONDS * 1_000 + 60_000;

impl GuardCode {
    /// Applies a push, whole or not at all.
    ///
    /// # Errors
    /// A sentence for the log; nothing is changed then.
    pub fn push(&mut self, message: &str, now: Millis) -> Result<String, String> {
        let push: GuardPush = serde_json::from_str(message).map_err(|e| e.to_string())?;
        let reply = if self.is_replay(&push.delivery, now)? {
            GuardPushAnswer::Replayed
        } else {
            let records = push.records.iter().map(|record| self.apply(record));
            GuardPushAnswer::Applied {
                records: records.collect::<Result<_, _>>()?,
            }
        };
        serde_json::to_string(&reply).map_err(|e| e.to_string())
    }

    fn is_replay(&self, delivery: &str, now: Millis) -> Result<bool, String> {
        let forget = now.saturating_sub(DELIVERY_MEMORY_MS);
        self.store.exec(
            "delete from deliveries where seen_at < ?",
            vec![int(forget)?],
        )?;
        let rows = self.store.exec(
            "insert into deliveries (delivery, seen_at) values (?, ?) on conflict do nothing returning seen_at",
            vec![text(delivery), int(now)?],
        )?;
        Ok(rows.is_empty())
    }

    fn apply(&self, record: &Record) -> Result<Applied, String> {
        let (kind, id, version) = (record.kind(), record.id(), record.version());
        let at_hand = first_number(&self.store.exec(
            "select version from records where kind = ? and id = ?",
            vec![text(kind), text(id)],
        )?)?;
        let newer = replaces(at_hand, version);
        if newer {
            self.replace(record)?;
        }
        // The same version again means that the push was cut off before KV had it.
        let current = newer || at_hand == Some(version);
        let names = |condition: &str| {
            if !current {
                return Ok(Vec::new());
            }
            let query = format!("select name from names where kind = ? and id = ? and {condition}");
            let mut values = vec![text(kind), text(id)];
            if condition.contains('?') {
                values.push(int(version)?);
            }
            first_texts(&self.store.exec(&query, values)?)
        };
        let kept = names("gone_at_version is null")?;
        let gone = names("gone_at_version = ?")?;
        Ok(match record {
            // KV's copies under a key's former hashes must say that they are former.
            Record::Key(_) => Applied {
                newer,
                names: kept.into_iter().chain(gone).collect(),
                forget: Vec::new(),
            },
            Record::Api(_) | Record::Account(_) => Applied {
                newer,
                names: kept,
                forget: gone,
            },
        })
    }

    fn replace(&self, record: &Record) -> Result<(), String> {
        let (kind, id, version) = (record.kind(), record.id(), record.version());
        let body = match record {
            Record::Key(key) => serde_json::to_string(key),
            Record::Api(api) => serde_json::to_string(api),
            Record::Account(account) => serde_json::to_string(account),
        }
        .map_err(|e| e.to_string())?;
        self.store.exec(
            "insert into records (kind, id, version, body) values (?, ?, ?, ?)
             on conflict (kind, id) do update set version = excluded.version, body = excluded.body",
            vec![text(kind), text(id), int(version)?, text(&body)],
        )?;
        self.store.exec(
            "update names set gone_at_version = ? where kind = ? and id = ? and gone_at_version is null",
            vec![int(version)?, text(kind), text(id)],
        )?;
        for name in names_of(record) {
            self.store.exec(
                "insert into names (name, kind, id) values (?, ?, ?)
                 on conflict (kind, name, id) do update set gone_at_version = null",
                vec![text(&name), text(kind), text(id)],
            )?;
        }
        let account = match record {
            Record::Key(key) => &key.account,
            Record::Api(api) => &api.account,
            Record::Account(_) => return Ok(()),
        };
        self.store.put_meta("account", account)
    }
}

/// The names that a record is looked up by.
fn names_of(record: &Record) -> Vec<String> {
    match record {
        Record::Key(key) => key.credentials.iter().map(|c| c.hash.to_hex()).collect(),
        Record::Api(api) if api.deleted => Vec::new(),
        Record::Api(api) => api.endpoints.iter().map(|e| e.host.clone()).collect(),
        Record::Account(account) => vec![account.id.clone()],
    }
}
