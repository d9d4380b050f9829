//! The guard's outbox: usage is kept until the control plane has it.
//!
//! One batch is sealed at a time, under the next number, and sent until it is acknowledged. What is counted
//! meanwhile adds up in the `usage` table, by minute; so an outage of days costs rows, not loss.

use shared::Millis;
use shared::message::{MAX_USAGE_ROWS, UsageBatch};
use shared::webhook;

use super::GuardCode;
use super::store::{Value, int, text};

/// The longest pause between two attempts.
const MAX_PAUSE_MS: Millis = 60_000;

/// When to post next. Only timing is kept here: what is to be posted is in storage.
#[derive(Debug, Default)]
pub struct Outbox {
    alarm_at: Option<Millis>,
    alarm_set: bool,
    failures: u32,
}

impl Outbox {
    /// Notes that there is something to post.
    pub fn filled(&mut self, now: Millis, interval: Millis) {
        if !self.alarm_set && self.alarm_at.is_none() {
            self.alarm_at = Some(now.saturating_add(interval));
        }
    }

    /// The alarm to set, once.
    pub fn take_alarm(&mut self) -> Option<Millis> {
        let at = self.alarm_at.take()?;
        self.alarm_set = true;
        Some(at)
    }
}

impl GuardCode {
    /// The next batch to post, as lines; `None` when there is none, or nowhere to post to.
    ///
    /// # Errors
    /// A sentence for the log.
    pub fn seal(&mut self, now: Millis) -> Result<Option<String>, String> {
        // This runs in the alarm: it is no longer set.
        self.outbox.alarm_set = false;
        let Some(control_plane) = self.config.control_plane.clone() else {
            return Ok(None);
        };
        let Some((seq, body)) = self.sealed_batch()? else {
            return Ok(None);
        };
        let id = format!("usage_{}_{seq}", self.guard_id()?);
        let seconds = now / 1_000;
        let signature = webhook::sign(&self.config.push, &id, seconds, body.as_bytes());
        let url = format!("{control_plane}/v1/edge/usage");
        Ok(Some(shared::text::join(
            &[url, id, seconds.to_string(), signature, body],
            "\n",
        )))
    }

    /// The batch that is sealed, or a new one.
    fn sealed_batch(&self) -> Result<Option<(u64, String)>, String> {
        let rows = self
            .store
            .exec("select seq, body from sealed order by seq limit 1", &[])?;
        if let Some(row) = rows.first() {
            return match row.as_slice() {
                [Value::Int(seq), Value::Text(body)] => Ok(Some((*seq, body.clone()))),
                _ => Err("a sealed batch can't be read".to_owned()),
            };
        }
        let rows = self.store.take_usage(MAX_USAGE_ROWS)?;
        if rows.is_empty() {
            return Ok(None);
        }
        let last: u64 = match self.store.meta("last_batch")? {
            None => 0,
            Some(n) => n
                .parse()
                .map_err(|_| "the batch number can't be read".to_owned())?,
        };
        let seq = last + 1;
        let batch = UsageBatch {
            guard: self.guard_id()?,
            account: self.store.meta("account")?.unwrap_or_default(),
            seq,
            rows,
        };
        let body = shared::write::to_string(&batch);
        self.store.put_meta("last_batch", &seq.to_string())?;
        self.store.exec(
            "insert into sealed (seq, body) values (?, ?)",
            &[int(seq), text(&body)],
        )?;
        Ok(Some((seq, body)))
    }

    fn guard_id(&self) -> Result<String, String> {
        let id = self.store.meta("guard")?;
        id.ok_or_else(|| "the guard has no id".to_owned())
    }

    /// Forgets the sealed batch, or sees to it that it is posted again.
    ///
    /// # Errors
    /// A sentence for the log.
    pub fn sealed_was_kept(&mut self, kept: bool, now: Millis) -> Result<(), String> {
        if kept {
            self.outbox.failures = 0;
            return self.store.exec("delete from sealed", &[]).map(drop);
        }
        let doublings = self.outbox.failures.min(16);
        self.outbox.failures += 1;
        let pause = self
            .config
            .usage_interval_ms
            .saturating_mul(1 << doublings)
            .min(MAX_PAUSE_MS);
        self.outbox.alarm_at = Some(now.saturating_add(pause));
        Ok(())
    }
}
