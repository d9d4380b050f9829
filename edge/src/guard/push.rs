//! Applying pushed records: a newer version replaces an older one, never the other way round.

use shared::Millis;
use shared::account::guard_name;
use shared::guard::{AtHand, place, replaces};
use shared::message::{GuardPush, GuardPushAnswer};
use shared::record::{KeyRecord, Record};
use shared::webhook::TOLERANCE_SECONDS;
use shared::write;

use super::GuardCode;
use super::store::{PLAN_ROW, first_numbers, first_texts, identity_row, int, text};
use crate::kv;

/// How long a delivery is remembered: as long as its signature could be accepted again.
const DELIVERY_MEMORY_MS: Millis = 2 * TOLERANCE_SECONDS * 1_000 + 60_000;

/// What KV must hold, by name; `None`: nothing.
type Writes = Vec<(String, Option<String>)>;

impl GuardCode {
    /// Applies a push, whole or not at all. Gives lines: the answer, then names and values (none: delete) that
    /// KV must have before the answer is sent.
    ///
    /// # Errors
    /// A sentence for the log; nothing is changed then.
    pub fn push(&mut self, message: &str, now: Millis) -> Result<String, String> {
        let push: GuardPush = shared::read::from_str(message).map_err(|e| e.to_string())?;
        let mut writes = Writes::new();
        self.lost_names.clear();
        let reply = if self.is_replay(&push.delivery, now)? {
            GuardPushAnswer::Replayed
        } else {
            let mut newer = Vec::with_capacity(push.records.len());
            for record in &push.records {
                let is_own = guard_name(record.account()).as_ref() == Some(&push.guard);
                newer.push(self.apply(record, is_own.then_some(&mut writes), now)?);
            }
            GuardPushAnswer::Applied { newer }
        };
        let mut lines = write::to_string(&reply);
        for (name, value) in writes {
            lines.push_str(&format!("\n{name}\n{}", value.unwrap_or_default()));
        }
        Ok(lines)
    }

    /// KV has what the last push planned. Names that records lost are gone from KV then, and another record may
    /// have them: to delete them once more, should the same version come again, would take them from it.
    ///
    /// # Errors
    /// A sentence for the log.
    pub fn pushed(&mut self) -> Result<(), String> {
        for (id, version) in std::mem::take(&mut self.lost_names) {
            self.store.exec(
                "delete from names where kind = 'api' and id = ? and gone_at_version <= ?",
                &[text(&id), int(version)],
            )?;
        }
        Ok(())
    }

    fn is_replay(&self, delivery: &str, now: Millis) -> Result<bool, String> {
        let forget = now.saturating_sub(DELIVERY_MEMORY_MS);
        self.store
            .exec("delete from deliveries where seen_at < ?", &[int(forget)])?;
        let rows = self.store.exec(
            "insert into deliveries (delivery, seen_at) values (?, ?) on conflict do nothing returning seen_at",
            &[text(delivery), int(now)],
        )?;
        Ok(rows.is_empty())
    }

    /// Keeps a record if it is newer; says whether it was.
    fn apply(
        &mut self,
        record: &Record,
        writes: Option<&mut Writes>,
        now: Millis,
    ) -> Result<bool, String> {
        let (kind, id, version) = (record.kind(), record.id(), record.version());
        let [known, is_owned, is_late, latest] = first_numbers(&self.store.exec(
            "select coalesce(max(version), 0), coalesce(max(body ->> 'owner' is not null), 0),
               exists (select 1 from late where kind = ?1 and id = ?2),
               (select coalesce(max(place), 0) from latest)
             from records where kind = ?1 and id = ?2",
            &[text(kind), text(id)],
        )?)?;
        let at_hand = AtHand {
            version: known,
            is_owned: is_owned > 0,
            is_late: is_late > 0,
        };
        let newer = replaces(Some(known), version);
        if newer {
            self.replace(record)?;
            if writes.is_some() {
                self.limit(record, now)?;
            }
            if let Some(place) = place(record, at_hand, latest) {
                let is_late = at_hand.is_late || place > version;
                self.store.put_place(kind, id, place, is_late)?;
            }
        }
        // The same version again means that the push was cut off before KV had it.
        if let Some(writes) = writes
            && (newer || known == version)
        {
            self.plan_writes(record, writes)?;
        }
        Ok(newer)
    }

    /// What KV must hold of a record; later records of a push replace earlier ones. Nobody looks for members, roles and
    /// identities there.
    fn plan_writes(&mut self, record: &Record, writes: &mut Writes) -> Result<(), String> {
        let kv_name: fn(&str) -> String = match record {
            Record::Key(_) => kv::key_name,
            Record::Api(_) => kv::host_name,
            Record::Account(_) => kv::account_name,
            Record::Member(_) | Record::Role(_) | Record::Identity(_) => return Ok(()),
        };
        let is_key = matches!(record, Record::Key(_));
        let names = |condition: &str, version: Option<u64>| {
            let query = format!("select name from names where kind = ? and id = ? and {condition}");
            let mut params = vec![text(record.kind()), text(record.id())];
            params.extend(version.map(int));
            first_texts(&self.store.exec(&query, &params)?)
        };
        // Of a key, the hashes that this version lost. Of an API, all that KV has not been told yet, unless another
        // API has the host by now.
        let gone = names(
            if is_key {
                "gone_at_version = ?"
            } else {
                "gone_at_version <= ? and not exists (select 1 from names o where o.kind = names.kind
                   and o.name = names.name and o.gone_at_version is null)"
            },
            Some(record.version()),
        )?;
        let kept = names("gone_at_version is null", None)?;
        let body = match (is_key, gone.first().or(kept.first())) {
            // As gates get it from here, so that a version is the same record wherever it comes from.
            (true, Some(hash)) => {
                let key = self.store.key_by_hash(hash)?;
                key.map(|key| write::to_string(&key))
            }
            _ => Some(body_of(record)),
        };
        if matches!(record, Record::Api(_)) && !gone.is_empty() {
            self.lost_names
                .push((record.id().to_owned(), record.version()));
        }
        for name in gone {
            // KV's copies under a key's former hashes stay, and say that they are former.
            put(writes, kv_name(&name), body.clone().filter(|_| is_key));
        }
        for name in kept {
            put(writes, kv_name(&name), body.clone());
        }
        Ok(())
    }

    fn replace(&self, record: &Record) -> Result<(), String> {
        let (kind, id, version) = (record.kind(), record.id(), record.version());
        let body = body_of(record);
        self.store.exec(
            "insert into records (kind, id, version, body) values (?, ?, ?, ?)
             on conflict (kind, id) do update set version = excluded.version, body = excluded.body",
            &[text(kind), text(id), int(version), text(&body)],
        )?;
        self.store.exec(
            "update names set gone_at_version = ? where kind = ? and id = ? and gone_at_version is null",
            &[int(version), text(kind), text(id)],
        )?;
        for name in names_of(record) {
            self.store.exec(
                "insert into names (name, kind, id) values (?, ?, ?)
                 on conflict (kind, name, id) do update set gone_at_version = null",
                &[text(&name), text(kind), text(id)],
            )?;
        }
        match record {
            Record::Account(_) => Ok(()),
            _ => self.store.put_meta("account", record.account()),
        }
    }
}

impl GuardCode {
    /// Puts a record's limits where grants look for them, from now on.
    fn limit(&self, record: &Record, now: Millis) -> Result<(), String> {
        let name = match record {
            Record::Api(_) | Record::Member(_) | Record::Role(_) => return Ok(()),
            Record::Key(key) => return self.adopt(key, now),
            Record::Account(_) => PLAN_ROW.to_owned(),
            Record::Identity(identity) => identity_row(&identity.id),
        };
        let known = self.store.shared(&name)?;
        let is_new = known.is_none();
        let mut shared = known.unwrap_or_default();
        match record {
            Record::Identity(identity) => shared.limit_identity(identity),
            // An account that never had a plan has no row, and so its keys read none.
            Record::Account(account) if !is_new || account.requests_per_month.is_some() => {
                shared.limit_plan(account.requests_per_month);
            }
            _ => return Ok(()),
        }
        self.store.put_shared(&name, &shared)
    }

    fn adopt(&self, key: &KeyRecord, now: Millis) -> Result<(), String> {
        let Some(credits) = &key.credits else {
            return Ok(());
        };
        let mut row = self.store.ledger(&key.id)?;
        row.ledger.adopt(credits, row.next_lease, now);
        self.store.put_ledger(&key.id, &row)
    }
}

/// Notes what KV must hold at a name; what was noted before does not matter any more.
fn put(writes: &mut Writes, name: String, value: Option<String>) {
    match writes.iter_mut().find(|(n, _)| *n == name) {
        Some((_, noted)) => *noted = value,
        None => writes.push((name, value)),
    }
}

/// A record as KV and storage hold it.
fn body_of(record: &Record) -> String {
    match record {
        Record::Key(key) => write::to_string(key),
        Record::Api(api) => write::to_string(api),
        Record::Account(account) => write::to_string(account),
        Record::Identity(identity) => write::to_string(identity),
        Record::Member(member) => write::to_string(member),
        Record::Role(role) => write::to_string(role),
    }
}

/// The names that a record is looked up by.
fn names_of(record: &Record) -> Vec<String> {
    match record {
        Record::Key(key) => key.credentials.iter().map(|c| c.hash.to_hex()).collect(),
        Record::Api(api) if api.deleted => Vec::new(),
        Record::Api(api) => api.endpoints.iter().map(|e| e.host.clone()).collect(),
        Record::Account(account) => vec![account.id.clone()],
        Record::Member(_) | Record::Role(_) | Record::Identity(_) => Vec::new(),
    }
}
