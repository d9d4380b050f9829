//! The guard: the Durable Object of one account, the authority on its keys' state, ledgers and unreported usage.
//!
//! Every method runs to its end without an `.await`, inside one storage transaction that JavaScript opens
//! (`transactionSync`), and keeps nothing in memory that it would need again: what is answered has been
//! written before, and a restart changes nothing.

mod push;
mod store;
mod usage;

use js_sys::wasm_bindgen::JsValue;
use shared::Millis;
use shared::by_name::ByName;
use shared::guard::{Shares, answer, is_new_report};
use shared::ledger::{Closed, Shared};
use shared::message::{GuardAnswer, GuardCall, KeyAnswer, KeyAsk, Report, Settled};
use shared::policy::Holder;

use crate::boundary::Sql;
use crate::config::Config;
use store::{LedgerRow, PLAN_ROW, Rows, Store, identity_row};
use usage::Outbox;

/// How long a gate that is not heard of is remembered: far longer than a report is repeated.
const GATE_MEMORY_MS: Millis = 24 * 3_600_000;

/// A guard.
pub struct GuardCode {
    config: Config,
    store: Store,
    outbox: Outbox,
    /// APIs, and the versions at which they lost hosts, of the push that is being written to KV.
    lost_names: Vec<(String, u64)>,
}

impl GuardCode {
    /// Opens the storage; `id` names this guard if it is new.
    ///
    /// # Errors
    /// A sentence for the log.
    pub fn open(sql: Sql, env: &JsValue, id: &str) -> Result<Self, String> {
        Ok(Self {
            config: Config::from_env(env)?,
            store: Store::open(sql, id)?,
            outbox: Outbox::default(),
            lost_names: Vec::new(),
        })
    }

    /// Answers a gate.
    ///
    /// # Errors
    /// A sentence for the log; nothing is changed then.
    pub fn call(&mut self, message: &str, now: Millis) -> Result<String, String> {
        let call: GuardCall = shared::read::from_str(message).map_err(|e| e.to_string())?;
        let mut reply = GuardAnswer::default();
        // What comes back counts for what is asked in the same call.
        if let Some(report) = &call.report {
            self.take_report(&call.gate, report, now)?;
            reply.acknowledged = Some(report.seq);
        }
        if let Some(id) = &call.account {
            reply.account = self.store.account(id)?;
        }
        if let Some(ask) = &call.ask {
            reply.key = Some(self.answer(ask, now)?);
        }
        Ok(shared::write::to_string(&reply))
    }

    fn answer(&mut self, ask: &KeyAsk, now: Millis) -> Result<KeyAnswer, String> {
        let record = self.store.key_by_hash(&ask.hash.to_hex())?;
        let mut rows = match &record {
            Some(record) if ask.need > 0 => self.store.rows(record)?,
            _ => Rows::default(),
        };
        let Rows {
            key: LedgerRow { next_lease, ledger },
            identity,
            plan,
        } = &mut rows;
        let lease_ms = self.config.lease_ms;
        let shares = Shares {
            identity: identity.as_deref_mut(),
            plan: plan.as_deref_mut(),
        };
        let record = record.as_ref();
        let reply = answer(record, ledger, shares, ask, *next_lease, now, lease_ms);
        if let (KeyAnswer::Granted { .. }, Some(record)) = (&reply, record) {
            *next_lease += 1;
            self.store.put_rows(record, &rows)?;
        }
        Ok(reply)
    }

    /// Takes a gate's report in, once.
    fn take_report(&mut self, gate: &str, report: &Report, now: Millis) -> Result<(), String> {
        let last = self.store.last_report(gate)?;
        if !is_new_report(last, report.seq) {
            return Ok(());
        }
        if last.is_none() {
            let forget = now.saturating_sub(GATE_MEMORY_MS);
            self.store.forget_gates(forget)?;
        }
        self.store.put_last_report(gate, report.seq, now)?;
        let mut settled = ByName::<Vec<&Settled>>::default();
        for one in &report.settled {
            settled.get_or_insert_with(&one.key, Vec::new).push(one);
        }
        let mut shared = Vec::new();
        for (key, of_key) in settled.iter() {
            let mut row = self.store.ledger(key)?;
            for one in of_key {
                let Some(lease) = row.ledger.close(one.lease, now, one.spent) else {
                    continue;
                };
                if let Some(id) = &lease.identity {
                    self.give_back(&mut shared, identity_row(id), &lease, now)?;
                }
                if lease.plan {
                    self.give_back(&mut shared, PLAN_ROW.to_owned(), &lease, now)?;
                }
            }
            self.store.put_ledger(key, &row)?;
        }
        for (name, row) in &shared {
            self.store.put_shared(name, row)?;
        }
        for row in &report.usage {
            self.store.add_usage(row)?;
        }
        if !report.usage.is_empty() {
            self.outbox.filled(now, self.config.usage_interval_ms);
        }
        Ok(())
    }

    /// Gives back what was not spent of a lease that was debited to what keys share. `rows` are those that were read for
    /// this report; they are kept when all of it is taken in.
    fn give_back(
        &self,
        rows: &mut Vec<(String, Box<Shared>)>,
        name: String,
        lease: &Closed,
        now: Millis,
    ) -> Result<(), String> {
        let holder = match name.as_str() {
            PLAN_ROW => Holder::Plan,
            _ => Holder::Identity,
        };
        if let Some((_, row)) = rows.iter_mut().find(|(known, _)| *known == name) {
            row.take_back(holder, lease, now);
        } else {
            let mut row = self.store.shared(&name)?.unwrap_or_default();
            row.take_back(holder, lease, now);
            rows.push((name, row));
        }
        Ok(())
    }

    /// When the alarm is to be set, if it must be.
    pub fn take_alarm(&mut self) -> Option<Millis> {
        self.outbox.take_alarm()
    }
}
