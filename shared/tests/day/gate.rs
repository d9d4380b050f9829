//! A gate: an isolate with the records that it knows, a desk for each token, and what it has to report.

use std::collections::BTreeMap;

use shared::Millis;
use shared::decide::{Facts, NamedAccount, decide};
use shared::lease::{Asked, Desk, Effect, Known, Needs, Pay, Turn, Wait};
use shared::message::{KeyAnswer, KeyAsk, Report};
use shared::policy::Policy;
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
    desk: Desk,
    /// What its purse should hold.
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
    wait: Wait,
    /// The last grant that it waited for, as the log calls it.
    grant: Option<usize>,
    /// What it lacks.
    lacks: Needs,
    needs: u32,
}

impl Request {
    /// One that has just arrived.
    pub fn new(key: usize, token: KeyHash, cost: u32) -> Self {
        Self {
            key,
            token,
            cost,
            wait: Wait::default(),
            grant: None,
            lacks: Needs::State,
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
    /// It is refused for quota: of these.
    Limited(Vec<Policy>),
    /// The guard can't be asked.
    Unavailable,
    /// It asks the guard for so many units; 0: for the key's state.
    Ask(u32),
    /// It waits for another that asks.
    Wait,
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
        let Some(record) = slot.record.clone() else {
            return Ok(match slot.desk.is_absent(now, &request.wait) {
                true => Step::BadKey(0),
                false if request.wait.has_failed() => Step::Unavailable,
                false => slot.need(request, Needs::State, now),
            });
        };
        let facts = Facts {
            now,
            hash: &request.token,
            key: &record,
            api,
            endpoint: &api.endpoints[0],
            route: None,
            account: NamedAccount::Own,
            ip: None,
            origin: None,
        };
        match decide(&facts) {
            Ok(()) => slot.pay(request, &record, now),
            Err(_) => Ok(slot.refuse(request, record.version, now)),
        }
    }

    /// Whether a request that waits for another goes on waiting.
    pub fn waits(&mut self, request: &mut Request, now: Millis) -> bool {
        let slot = self.slot(&request.token);
        let awaited =
            slot.desk
                .awaited(now, &mut request.wait, request.lacks, slot.record.as_ref());
        awaited.is_some()
    }

    /// The question of a request, or of a renewal, and what is reported with it.
    pub fn ask(
        &mut self,
        token: KeyHash,
        need: u32,
        waits: bool,
        now: Millis,
    ) -> (Asked, Option<Report>) {
        self.settle(now);
        let slot = self.slot(&token);
        let ask = KeyAsk {
            hash: token,
            version: slot.record.as_ref().map_or(0, |r| r.version),
            want: need,
            need,
        };
        let asked = slot.desk.question(now, LEASE_MS, ask, waits);
        (asked, self.reporter.take(now))
    }

    /// Takes in an answer, or that the call failed; `request` waits for it, and `grant` is what the log calls the grant.
    pub fn take_in(
        &mut self,
        asked: &Asked,
        request: Option<&mut Request>,
        answer: Option<KeyAnswer>,
        grant: Option<usize>,
        now: Millis,
    ) {
        let slot = self.slot(&asked.ask.hash);
        if let (Some(KeyAnswer::Granted { units, ttl, .. }), Some(grant)) = (&answer, grant) {
            let late = now.saturating_sub(asked.sent_at) >= LEASE_MS;
            let paid = match asked.waits && !late {
                true => asked.ask.need,
                false => 0,
            };
            let end = asked.sent_at + ttl;
            slot.naive
                .take_in(grant, asked.sent_at, end, units - paid, now);
        }
        let mut nobody = Wait::default();
        let wait = match request {
            Some(request) => {
                request.grant = grant.or(request.grant);
                &mut request.wait
            }
            None => &mut nobody,
        };
        match slot.desk.take_in(now, LEASE_MS, asked, answer, wait) {
            Effect::None | Effect::Holds => {}
            Effect::Install(record) => slot.install(*record),
            Effect::Gone => {
                slot.naive.clear();
                slot.record = None;
            }
        }
        slot.desk.end_asking(wait);
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
            let over = slot.desk.take_over(now);
            self.reporter.settle(&slot.key.to_string(), over);
        }
    }
}

impl Slot {
    fn install(&mut self, record: KeyRecord) {
        let old = self.record.as_ref();
        if old.is_none_or(|old| old.version < record.version) {
            self.desk.clear();
            self.naive.clear();
            self.key = record.id.parse().unwrap();
            self.record = Some(record);
        }
    }

    fn pay(
        &mut self,
        request: &mut Request,
        record: &KeyRecord,
        now: Millis,
    ) -> Result<Step, String> {
        let (cost, version) = (request.cost, record.version);
        Ok(match self.desk.pay(now, &request.wait, record, cost) {
            Pay::Passed { renew } => Step::Paid {
                version,
                parts: self
                    .naive
                    .pay(now, cost)
                    .ok_or_else(|| format!("{cost} units spent that were not held"))?,
                renew,
            },
            Pay::PaidByAnswer => Step::Granted {
                version,
                grant: request
                    .grant
                    .ok_or("paid by an answer that granted nothing")?,
            },
            Pay::Refused(refusal) => Step::Limited(refusal.violated),
            Pay::Ask => self.need(request, Needs::Units(cost), now),
            Pay::Unavailable => Step::Unavailable,
        })
    }

    fn refuse(&mut self, request: &mut Request, version: u64, now: Millis) -> Step {
        match self.desk.knows(now, &request.wait, version) {
            Known::Yes => Step::BadKey(version),
            Known::Ask => self.need(request, Needs::State, now),
            Known::Unavailable => Step::Unavailable,
        }
    }

    /// A request asks for what it lacks, or waits for another that does.
    fn need(&mut self, request: &mut Request, lacks: Needs, now: Millis) -> Step {
        if request.needs >= MAX_NEEDS {
            return Step::Unavailable;
        }
        request.lacks = lacks;
        let record = self.record.as_ref();
        match self.desk.turn(now, &mut request.wait, lacks, record) {
            Turn::Wait { .. } => Step::Wait,
            Turn::Ask => {
                request.needs += 1;
                Step::Ask(match lacks {
                    Needs::Units(units) => units,
                    Needs::State | Needs::Record => 0,
                })
            }
        }
    }
}
