//! `POST /.keyward/push`: records from the control plane, into the guards first, then into KV.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use serde_json::json;
use shared::account::guard_name;
use shared::message::{
    Applied, GuardPush, GuardPushAnswer, MAX_PUSH_RECORDS, PushBatch, PushReceipt,
};
use shared::record::Record;

use super::GateCode;
use super::control::{ControlRequest, ok_json, refuse};
use super::plan::Plan;
use super::resolve::{account_name, host_name, key_name};
use crate::boundary::{IoError, log};

impl GateCode {
    /// Applies a push. 200 only when every record is in force; else it must be sent again.
    pub async fn push(&self, request: ControlRequest) -> Plan {
        let Some(secret) = self.with(|isolate| isolate.config.push.clone()) else {
            return super::not_configured();
        };
        // The signature first: nothing of an unsigned body is looked at.
        let delivery = match request.delivery(&secret) {
            Ok(delivery) => delivery,
            Err(refusal) => return refusal,
        };
        let batch: PushBatch = match request.json_text().map(serde_json::from_str) {
            Err(refusal) => return refusal,
            Ok(Err(e)) => return refuse(400, "bad_request", "Bad request", &e.to_string()),
            Ok(Ok(batch)) => batch,
        };
        if batch.records.len() > MAX_PUSH_RECORDS {
            let detail = format!("A push holds at most {MAX_PUSH_RECORDS} records");
            return refuse(413, "bad_request", "Payload too large", &detail);
        }
        match self.apply(&delivery, batch).await {
            Ok(Some(receipt)) => ok_json(&json!(receipt), Vec::new()),
            Ok(None) => refuse(
                409,
                "replayed",
                "Replayed",
                "This delivery was applied before",
            ),
            Err(e) => {
                log(&format!("a push could not be applied: {}", e.0));
                refuse(
                    503,
                    "guard_unavailable",
                    "Temporarily unavailable",
                    "Send it again",
                )
            }
        }
    }

    /// `None`: a replay.
    async fn apply(
        &self,
        delivery: &str,
        batch: PushBatch,
    ) -> Result<Option<PushReceipt>, IoError> {
        let mut by_guard: BTreeMap<String, Vec<Record>> = BTreeMap::new();
        for record in &batch.records {
            for holder in record.holders() {
                let name = guard_name(holder)
                    .ok_or_else(|| IoError(format!("{holder} is no account id")))?;
                by_guard.entry(name).or_default().push(record.clone());
            }
        }
        let pushes = by_guard
            .iter()
            .map(|(name, records)| self.push_to_guard(name, delivery, records));
        let mut newer = BTreeSet::new();
        let mut of_own_guard = BTreeMap::new();
        for ((name, records), answer) in by_guard.iter().zip(join_all(pushes).await) {
            let Some(applied) = answer? else {
                return Ok(None);
            };
            for (record, applied) in records.iter().zip(applied) {
                if applied.newer {
                    newer.insert(identity(record));
                }
                if own_guard(record).as_deref() == Some(name) {
                    of_own_guard.insert(identity(record), applied);
                }
            }
        }
        // KV follows the guard of a record's own account, in the order of the changes: a host may have gone
        // from one API to another.
        let mut writes = BTreeMap::new();
        for record in &batch.records {
            if let Some(applied) = of_own_guard.get(&identity(record)) {
                plan_writes(&mut writes, record, applied);
            }
        }
        self.write(writes).await?;
        self.with(|isolate| {
            // This isolate, at least, need not wait until it reads its APIs again.
            if batch.records.iter().any(|r| matches!(r, Record::Api(_))) {
                isolate.apis.clear();
            }
        });
        let applied = newer.len();
        let known = batch.records.len().saturating_sub(applied);
        Ok(Some(PushReceipt { applied, known }))
    }

    async fn push_to_guard(
        &self,
        name: &str,
        delivery: &str,
        records: &[Record],
    ) -> Result<Option<Vec<Applied>>, IoError> {
        self.with(|isolate| isolate.counters.guard_calls += 1);
        let push = GuardPush {
            delivery: delivery.to_owned(),
            records: records.to_vec(),
        };
        let message = serde_json::to_string(&push).map_err(|e| IoError(e.to_string()))?;
        let answer = self.host.guard(name, "push", &message).await?;
        match serde_json::from_str(&answer).map_err(|e| IoError(e.to_string()))? {
            GuardPushAnswer::Applied { records } => Ok(Some(records)),
            GuardPushAnswer::Replayed => Ok(None),
        }
    }

    async fn write(&self, writes: BTreeMap<String, Option<String>>) -> Result<(), IoError> {
        self.with(|isolate| isolate.counters.kv_writes += writes.len() as u64);
        let all = join_all(writes.iter().map(async |(name, value)| match value {
            Some(value) => self.host.kv_put(name, value).await,
            None => self.host.kv_delete(name).await,
        }));
        all.await.into_iter().collect()
    }
}

fn identity(record: &Record) -> (&'static str, &str, u64) {
    (record.kind(), record.id(), record.version())
}

/// The guard of the account that a record belongs to.
fn own_guard(record: &Record) -> Option<String> {
    guard_name(match record {
        Record::Key(key) => &key.account,
        Record::Api(api) => &api.account,
        Record::Account(account) => &account.id,
    })
}

/// What KV must hold, by name; later records of a batch replace earlier ones.
fn plan_writes(writes: &mut BTreeMap<String, Option<String>>, record: &Record, applied: &Applied) {
    let value = match record {
        Record::Key(key) => serde_json::to_string(key),
        Record::Api(api) => serde_json::to_string(api),
        Record::Account(account) => serde_json::to_string(account),
    }
    .ok();
    let kv_name = |name: &String| match record {
        Record::Key(_) => shared::token::KeyHash::from_hex(name).map(|hash| key_name(&hash)),
        Record::Api(_) => Some(host_name(name)),
        Record::Account(_) => Some(account_name(name)),
    };
    for name in applied.forget.iter().filter_map(kv_name) {
        writes.insert(name, None);
    }
    for name in applied.names.iter().filter_map(kv_name) {
        writes.insert(name, value.clone());
    }
}
