//! A gate: an isolate with the records that it knows, a purse for each token, and what it has to report.

use std::collections::BTreeMap;

use shared::Millis;
use shared::decide::{Facts, NamedAccount, decide};
use shared::lease::{Granted, Purse, QuotaRefusal, Spend, longest_wait};
use shared::message::{KeyAnswer, KeyAsk, Report};
use shared::record::{ApiRecord, KeyRecord};
use shared::report::Reporter;
use shared::token::KeyHash;
use shared::usage::{CellRef, Tally};

use super::record::LEASE_MS;
use crate::purse::NaivePurse;

/// How often a request may need the guard.
const MAX_NEEDS: u32 = 12;

/// A gate.
#[derive(Debug)]
pub struct Gate {
    /// Drawn when it starts.
    pub id: u64,
    slots: BTreeMap<String, Slot>,
    /// What it has to report.
    pub reporter: Reporter,
    /// Its clock less true time.
    pub ahead: Millis,
}

#[derive(Debug, Default)]
struct Slot {
    key: usize,
    record: Option<KeyRecord>,
    absent_until: Millis,
    purse: Purse,
    /// What the purse should hold.
    naive: NaivePurse,
}

/// A request under way.
#[derive(Debug, Clone)]
pub struct Request {
    /// The key that it is meant for.
    pub key: usize,
    /// Its token.
    pub token: KeyHash,
    /// Its cost.
    pub cost: u32,
    confirmed: Option<u64>,
    paid: Option<(u64, Millis, usize)>,
    refused: Option<QuotaRefusal>,
    /// The guard could not be asked.
    pub failed: bool,
    was_late: bool,
    needs: u32,
}

impl Request {
    /// One that has just arrived.
    pub fn new(key: usize, token: KeyHash, cost: u32) -> Self {
        Self {
            key,
            token,
            cost,
            confirmed: None,
            paid: None,
            refused: None,
            failed: false,
            was_late: false,
            needs: 0,
        }
    }
}

/// What a request comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// It passes on a version of the record, paid from leases: units by grant.
    Paid {
        version: u64,
        parts: Vec<(usize, u32)>,
        renew: bool,
    },
    /// It passes on a version, paid by the guard's answer: a grant.
    Granted { version: u64, grant: usize },
    /// It is refused for the key's state: no key, or this version.
    BadKey(u64),
    /// It is refused for quota.
    Limited,
    /// The guard can't be asked.
    Unavailable,
    /// It asks the guard for so many units; 0: for the key's state.
    Ask(u32),
}

/// A question as sent.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// The token.
    pub token: KeyHash,
    /// The version at hand.
    pub version: u64,
    /// What was asked for.
    pub need: u32,
    /// When, on the gate's clock.
    pub sent_at: Millis,
}

impl Gate {
    /// An isolate that has just started, with a clock so far ahead of true time.
    pub fn new(id: u64, ahead: Millis) -> Self {
        Self {
            id,
            slots: BTreeMap::new(),
            reporter: Reporter::default(),
            ahead,
        }
    }

    fn slot(&mut self, token: &KeyHash) -> &mut Slot {
        self.slots.entry(token.to_hex()).or_default()
    }

    /// Takes a step with a request.
    pub fn step(
        &mut self,
        request: &mut Request,
        api: &ApiRecord,
        now: Millis,
    ) -> Result<Step, String> {
        let slot = self.slots.entry(request.token.to_hex()).or_default();
        let step = match &slot.record {
            None if now < slot.absent_until || request.confirmed == Some(0) => Step::BadKey(0),
            None if request.failed => Step::Unavailable,
            None => Step::Ask(0),
            Some(record) => {
                let facts = Facts {
                    now,
                    hash: &request.token,
                    key: record,
                    api,
                    endpoint: &api.endpoints[0],
                    route: None,
                    account: NamedAccount::Own,
                    ip: None,
                    origin: None,
                };
                let (version, strict) = (record.version, record.is_strict());
                match decide(&facts) {
                    Ok(()) => pay(slot, request, version, strict, now)?,
                    Err(_) => refuse(slot, request, version, now),
                }
            }
        };
        if matches!(step, Step::Ask(_)) {
            request.needs += 1;
            if request.needs > MAX_NEEDS {
                return Ok(Step::Unavailable);
            }
        }
        Ok(step)
    }

    /// The question of a request, or of a renewal, and what is reported with it.
    pub fn ask(
        &mut self,
        token: KeyHash,
        need: u32,
        now: Millis,
    ) -> (Asked, KeyAsk, Option<Report>) {
        self.settle(now);
        let slot = self.slot(&token);
        let version = slot.record.as_ref().map_or(0, |r| r.version);
        let ask = KeyAsk {
            hash: token,
            version,
            want: slot.purse.want(LEASE_MS).max(need),
            need,
        };
        let asked = Asked {
            token,
            version,
            need,
            sent_at: now,
        };
        (asked, ask, self.reporter.take(now))
    }

    /// A renewal is over.
    pub fn end_renewal(&mut self, token: &KeyHash) {
        self.slot(token).purse.end_renewal();
    }

    /// Takes an answer in; `request` waits for it, and `grant` is what the log calls the grant.
    pub fn take_in(
        &mut self,
        asked: &Asked,
        request: Option<&mut Request>,
        answer: &KeyAnswer,
        grant: Option<usize>,
        now: Millis,
    ) {
        let slot = self.slot(&asked.token);
        let sent_at = asked.sent_at;
        match answer {
            KeyAnswer::Unknown { ttl } => {
                slot.purse.clear();
                slot.naive.clear();
                slot.absent_until = sent_at + ttl;
                slot.record = None;
                request.into_iter().for_each(|r| r.confirmed = Some(0));
            }
            KeyAnswer::Stale { record } => slot.install(record),
            KeyAnswer::Current { ttl } => {
                slot.purse.confirmed(sent_at, now, *ttl);
                let confirmed = Some(asked.version);
                request.into_iter().for_each(|r| r.confirmed = confirmed);
            }
            KeyAnswer::Granted {
                lease,
                units,
                ttl,
                standing,
            } => {
                let bound = longest_wait(LEASE_MS, *ttl);
                let late = request.is_some() && now.saturating_sub(sent_at) >= bound;
                let need = match &request {
                    Some(_) if !late => asked.need,
                    _ => 0,
                };
                if let (Some(request), Some(grant)) = (request, grant) {
                    request.failed |= late && request.was_late;
                    request.was_late |= late;
                    request.paid = (!late).then_some((asked.version, sent_at + bound, grant));
                    request.confirmed = (!late).then_some(asked.version);
                }
                let granted = Granted {
                    lease: *lease,
                    units: *units,
                    ttl: *ttl,
                    need,
                };
                slot.purse.granted(sent_at, now, &granted, standing);
                if let Some(grant) = grant {
                    let end = sent_at + ttl;
                    slot.naive.take_in(grant, sent_at, end, units - need, now);
                }
            }
            KeyAnswer::Exhausted {
                retry_in,
                violated,
                ttl,
                standing,
            } => {
                let refusal = QuotaRefusal {
                    retry_in: *retry_in,
                    violated: violated.clone(),
                };
                slot.purse
                    .exhausted(sent_at, now, asked.need, &refusal, *ttl, standing);
                if let Some(request) = request {
                    request.confirmed = Some(asked.version);
                    request.refused = Some(refusal);
                }
            }
        }
    }

    /// Counts what became of a request.
    pub fn count(&mut self, request: &Request, step: &Step, now: Millis) {
        let (code, cost) = match step {
            Step::Paid { .. } | Step::Granted { .. } => ("ok", request.cost),
            Step::BadKey(_) => ("invalid_key", 0),
            _ => ("rate_limited", 0),
        };
        let cell = CellRef {
            key: &request.key.to_string(),
            api: "api_1",
            minute: now / 60_000,
            code,
            class: 2,
        };
        let tally = Tally {
            count: 1,
            cost: u64::from(cost),
            latency_ms: 0,
            last_at: now,
        };
        self.reporter.count(cell, &tally);
    }

    /// Hands the leases that are over to the reporter.
    pub fn settle(&mut self, now: Millis) {
        for slot in self.slots.values_mut() {
            let over = slot.purse.take_over(now);
            self.reporter.settle(&slot.key.to_string(), over);
        }
    }
}

impl Slot {
    fn install(&mut self, record: &KeyRecord) {
        if self
            .record
            .as_ref()
            .is_none_or(|r| r.version < record.version)
        {
            self.purse.clear();
            self.naive.clear();
            self.key = record.id.parse().unwrap();
            self.record = Some(record.clone());
        }
    }
}

fn pay(
    slot: &mut Slot,
    request: &mut Request,
    version: u64,
    strict: bool,
    now: Millis,
) -> Result<Step, String> {
    if let Some((_, _, grant)) = request
        .paid
        .filter(|(v, until, _)| *v == version && now < *until)
    {
        return Ok(Step::Granted { version, grant });
    }
    let spend = match strict {
        true => Spend::Ask,
        false => slot.purse.spend(now, request.cost),
    };
    Ok(match spend {
        Spend::Paid { renew } => Step::Paid {
            version,
            parts: slot
                .naive
                .pay(now, request.cost)
                .ok_or_else(|| format!("{} units spent that were not held", request.cost))?,
            renew: renew && slot.purse.begin_renewal(now),
        },
        Spend::Refused(_) => Step::Limited,
        Spend::Ask if request.refused.is_some() => Step::Limited,
        Spend::Ask if request.failed => Step::Unavailable,
        Spend::Ask => Step::Ask(request.cost),
    })
}

fn refuse(slot: &mut Slot, request: &Request, version: u64, now: Millis) -> Step {
    let paid = request
        .paid
        .is_some_and(|(v, until, _)| v == version && now < until);
    if request.confirmed == Some(version) || paid || slot.purse.is_current(now) {
        Step::BadKey(version)
    } else if request.failed {
        Step::Unavailable
    } else {
        Step::Ask(0)
    }
}
