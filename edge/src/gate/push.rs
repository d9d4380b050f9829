//! `POST /.keyward/push`: records from the control plane, for the guards, which write them to KV in turn.

use std::cell::RefCell;

use shared::account::guard_name;
use shared::json::Object;
use shared::message::{GuardPush, GuardPushAnswer, MAX_PUSH_RECORDS, PushBatch};
use shared::record::Record;

use super::GateCode;
use super::control::{ControlRequest, ok_json};
use super::join::{self, Task};
use super::plan::Plan;
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
        let batch: PushBatch = match request.json_text().map(shared::read::from_str) {
            Err(refusal) => return refusal,
            Ok(Err(e)) => return request.bad_request(&e.to_string()),
            Ok(Ok(batch)) => batch,
        };
        if batch.records.len() > MAX_PUSH_RECORDS {
            let detail = format!("A push holds at most {MAX_PUSH_RECORDS} records");
            return request.refuse(413, "bad_request", "Payload too large", &detail);
        }
        for (index, record) in batch.records.iter().enumerate() {
            if let Err(e) = record.check() {
                return request.bad_request(&format!("records[{index}]: {e}"));
            }
        }
        match self.apply(&delivery, batch).await {
            Ok(Some(receipt)) => ok_json(receipt),
            Ok(None) => request.refuse(
                409,
                "replayed",
                "Replayed",
                "This delivery was applied before",
            ),
            Err(e) => {
                log(&format!("a push could not be applied: {}", e.0));
                request.refuse(
                    503,
                    "guard_unavailable",
                    "Temporarily unavailable",
                    "Send it again",
                )
            }
        }
    }

    /// `None`: a replay.
    async fn apply(&self, delivery: &str, batch: PushBatch) -> Result<Option<Object>, IoError> {
        let mut applied = 0;
        // Run after run, so that changes of different guards keep their order: a host may go from one API to
        // another within a batch.
        let runs = batch.records.chunk_by(|a, b| a.holders() == b.holders());
        for (index, run) in runs.enumerate() {
            let part = format!("{delivery}#{index}");
            let holders = run.first().map(Record::holders).unwrap_or_default();
            let answers = RefCell::new(Vec::with_capacity(holders.len()));
            let mut pushes: Vec<Task<'_>> = Vec::with_capacity(holders.len());
            for holder in &holders {
                pushes.push(Box::pin(async {
                    let answer = self.push_to_guard(holder, &part, run).await;
                    answers.borrow_mut().push(answer);
                }));
            }
            join::all(pushes).await;
            let mut newer = vec![false; run.len()];
            for answer in answers.into_inner() {
                let Some(of_guard) = answer? else {
                    return Ok(None);
                };
                for (one, of_guard) in newer.iter_mut().zip(of_guard) {
                    *one |= of_guard;
                }
            }
            applied += newer.iter().filter(|n| **n).count();
        }
        self.with(|isolate| {
            // This isolate, at least, need not wait until it reads its APIs again.
            if batch.records.iter().any(|r| matches!(r, Record::Api(_))) {
                isolate.forget_apis();
            }
        });
        let known = batch.records.len().saturating_sub(applied);
        // A `PushReceipt`.
        let mut receipt = Object::default();
        receipt
            .number("applied", applied as u64)
            .number("known", known as u64);
        Ok(Some(receipt))
    }

    async fn push_to_guard(
        &self,
        holder: &str,
        delivery: &str,
        records: &[Record],
    ) -> Result<Option<Vec<bool>>, IoError> {
        let guard =
            guard_name(holder).ok_or_else(|| IoError(format!("{holder} is no account id")))?;
        self.with(|isolate| isolate.counters.guard_calls += 1);
        let message = GuardPush::text(&guard, delivery, records);
        let answer = self.host.guard(&guard, "push", &message).await?;
        match shared::read::from_str(&answer).map_err(|e| IoError(e.to_string()))? {
            GuardPushAnswer::Applied { newer } => Ok(Some(newer)),
            GuardPushAnswer::Replayed => Ok(None),
        }
    }
}
