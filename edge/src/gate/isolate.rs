//! What an isolate remembers, all of it bounded.
//!
//! Nothing here is borrowed across an `.await`: requests of one isolate interleave there.

use std::cell::RefCell;
use std::rc::Rc;

use shared::Millis;
use shared::account::AccountRecord;
use shared::base62;
use shared::by_name::ByName;
use shared::lease::Desk;
use shared::permission;
use shared::record::{ApiRecord, Endpoint, KeyRecord};
use shared::report::Reporter;
use shared::route::RouteTable;
use shared::text;
use shared::token::KeyHash;
use shared::usage::{CellRef, Tally};

use super::budget::{Budget, Misses};
use super::cache::Cache;
use super::kept::{KeptSets, Mark};
use super::recognise::Callers;
use crate::config::Config;

const MAX_KEYS: usize = 20_000;
const MAX_APIS: usize = 1_000;
const MAX_ACCOUNTS: usize = 10_000;
const MAX_REPORTERS: usize = 1_000;

/// An API at one of its hosts, compiled.
#[derive(Debug)]
pub struct Api {
    /// As pushed.
    pub record: ApiRecord,
    /// The endpoint that names the host.
    pub endpoint: Endpoint,
    /// Its routes.
    pub routes: RouteTable,
    /// Tells this from every other that the isolate compiled.
    pub serial: u64,
    /// For the refusals that name nothing of the request: by what they have in common, and whether a proxy asked.
    pub marks: RefCell<Vec<(&'static str, bool, Rc<Mark>)>>,
}

impl Api {
    /// What the upstream's URL puts before the path of a request.
    pub fn base_path(&self) -> &str {
        let url = self.upstream();
        let rest = url.split_once(':').map_or(url, |(_, rest)| rest);
        let host = rest.strip_prefix("//").unwrap_or(url);
        let path_at = host.find('/').unwrap_or(host.len());
        host.get(path_at..).unwrap_or_default()
    }

    /// Remembers the fields of a refusal.
    pub fn mark(&self, constant: &'static str, asked: bool) -> Rc<Mark> {
        let Ok(mut marks) = self.marks.try_borrow_mut() else {
            return Rc::default();
        };
        let known = marks.iter().find(|(c, a, _)| *c == constant && *a == asked);
        if let Some((_, _, mark)) = known {
            return Rc::clone(mark);
        }
        let mark = Rc::<Mark>::default();
        marks.push((constant, asked, Rc::clone(&mark)));
        mark
    }

    /// Where its requests go, without a slash at the end.
    pub fn upstream(&self) -> &str {
        let of_endpoint = self.endpoint.upstream.as_ref();
        of_endpoint
            .unwrap_or(&self.record.upstream)
            .trim_end_matches('/')
    }
}

/// A key, ready for use.
#[derive(Debug)]
pub struct Key {
    /// As pushed.
    pub record: KeyRecord,
    /// What it may do under its owner's role, joined with spaces: for upstreams.
    pub permissions: String,
    /// Remembers the fields of `verify`'s answer.
    pub mark: Mark,
    /// Remembers those of a refusal for quota.
    pub limited: Mark,
}

impl Key {
    fn new(record: KeyRecord) -> Self {
        let effective =
            permission::effective(&record.permissions, record.role_permissions.as_deref());
        Self {
            permissions: text::join(&effective, " "),
            mark: Mark::default(),
            limited: Mark::default(),
            record,
        }
    }
}

/// The API of a host, as last seen in KV.
#[derive(Debug, Clone)]
pub struct ApiSlot {
    /// The API, unless nothing answers for the host.
    pub api: Option<Rc<Api>>,
    /// When it was read.
    pub read_at: Millis,
    /// Whether it is being read again.
    pub refreshing: bool,
}

/// What is known of a key.
#[derive(Debug, Default)]
pub struct KeySlot {
    /// The key, if there is one.
    pub key: Option<Rc<Key>>,
    /// What is decided about it here.
    pub desk: Desk,
    /// When the log was last told why it opens nothing.
    pub logged_at: Option<Millis>,
}

impl KeySlot {
    /// The version of the record at hand; 0: none.
    pub fn version(&self) -> u64 {
        self.key.as_ref().map_or(0, |k| k.record.version)
    }
}

/// What is known of an account that a path named.
#[derive(Debug, Clone)]
pub struct AccountSlot {
    /// Its record, if it exists.
    pub record: Option<Rc<AccountRecord>>,
    /// When it was read.
    pub read_at: Millis,
}

/// What an isolate counts of its own doing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counters {
    /// Requests seen.
    pub requests: u64,
    /// Reads of KV.
    pub kv_reads: u64,
    /// Calls of guards.
    pub guard_calls: u64,
}

/// Something to do after the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Ask for the next lease of a key.
    Renew(KeyHash),
    /// Read the API of a host again.
    RefreshApi(String),
}

/// An isolate's memory.
pub struct Isolate {
    /// The Worker's configuration.
    pub config: Config,
    /// This gate's id.
    pub id: String,
    /// By host.
    pub apis: Cache<String, ApiSlot>,
    /// By hash of the token.
    pub keys: Cache<KeyHash, KeySlot>,
    /// By id.
    pub accounts: Cache<String, AccountSlot>,
    /// Keys of which leases are held, in order.
    holding: Vec<KeyHash>,
    /// To do after the answer.
    pub work: Vec<Work>,
    /// When the flusher that runs was started.
    pub flusher: Option<Millis>,
    /// Its counts.
    pub counters: Counters,
    reporters: ByName<Reporter>,
    last_seq: u64,
    request_prefix: String,
    /// For requests that show no key.
    pub keyless: Budget,
    /// For keys of other forms than ours that are nobody's.
    pub misses: Misses,
    /// Callers that were recognised.
    pub callers: Callers,
    /// Fields that JavaScript keeps.
    pub kept: KeptSets,
    compiled: u64,
}

impl Isolate {
    /// An empty memory; `secret` is drawn by the isolate for itself.
    pub fn new(config: Config, id: &str, secret: &[u8; 16]) -> Self {
        Self {
            config,
            id: id.to_owned(),
            apis: Cache::new(MAX_APIS, secret),
            keys: Cache::new(MAX_KEYS, secret),
            accounts: Cache::new(MAX_ACCOUNTS, secret),
            holding: Vec::new(),
            work: Vec::new(),
            flusher: None,
            counters: Counters::default(),
            reporters: ByName::default(),
            last_seq: 0,
            keyless: Budget::of_reads(),
            misses: Misses::new(secret),
            callers: Callers::new(secret),
            kept: KeptSets::default(),
            compiled: 0,
            request_prefix: ["req_"]
                .into_iter()
                .flat_map(str::chars)
                .chain(id.chars().filter(|c| *c != '-').take(12))
                .collect(),
        }
    }

    /// Notes what answers for a host.
    pub fn put_api(&mut self, host: &str, slot: ApiSlot) {
        self.callers.forget_all();
        self.apis.put(host.to_owned(), slot);
    }

    /// Forgets what answers for hosts.
    pub fn forget_apis(&mut self) {
        self.callers.forget_all();
        self.apis.clear();
    }

    /// A number that no other compiled API has.
    pub fn next_serial(&mut self) -> u64 {
        self.compiled += 1;
        self.compiled
    }

    /// An id for a request: unique by the gate's own id and a count. Not a secret.
    pub fn next_request_id(&mut self) -> String {
        self.counters.requests += 1;
        let mut id = self.request_prefix.clone();
        id.extend(base62::digits::<8>(self.counters.requests).map(char::from));
        id
    }

    /// Whether a key is in memory.
    pub fn has(&mut self, hash: &KeyHash) -> bool {
        self.keys
            .peek_mut(hash)
            .is_some_and(|slot| slot.key.is_some())
    }

    /// The slot of a key, made if it is missing. A slot that is pushed out reports its leases first.
    pub fn slot(&mut self, hash: KeyHash, now: Millis) -> &mut KeySlot {
        let (place, gone) = self.keys.place(hash, KeySlot::default);
        if let Some((old, slot)) = gone {
            self.let_go(old, slot, now);
        }
        self.keys.at(place)
    }

    fn let_go(&mut self, hash: KeyHash, mut slot: KeySlot, now: Millis) {
        self.holds_no_more(&hash);
        slot.desk.clear();
        if let Some(key) = slot.key {
            let over = slot.desk.take_over(now);
            let record = &key.record;
            self.reporter(&record.account).settle(&record.id, over);
        }
    }

    /// Puts a newer record into a key's slot; what was held under the old one ends.
    pub fn install(&mut self, hash: KeyHash, record: KeyRecord, now: Millis) {
        let slot = self.slot(hash, now);
        if slot.version() >= record.version {
            return;
        }
        slot.desk.clear();
        slot.key = Some(Rc::new(Key::new(record)));
        self.settle(hash, now);
    }

    /// Notes that leases of a key are held.
    pub fn holds(&mut self, hash: KeyHash) {
        if let Err(place) = self.holding.binary_search(&hash) {
            self.holding.insert(place, hash);
        }
    }

    fn holds_no_more(&mut self, hash: &KeyHash) {
        if let Ok(place) = self.holding.binary_search(hash) {
            self.holding.remove(place);
        }
    }

    /// Hands a key's ended leases to the reporter of its guard.
    pub fn settle(&mut self, hash: KeyHash, now: Millis) {
        if !self.settle_one(&hash, now) {
            self.holds_no_more(&hash);
        }
    }

    /// Hands over the ended leases of every key. All at once: to take each key out by itself would move the others up
    /// each time.
    pub fn settle_all(&mut self, now: Millis) {
        let mut holding = std::mem::take(&mut self.holding);
        holding.retain(|hash| self.settle_one(hash, now));
        self.holding = holding;
    }

    /// Hands a key's ended leases over. Whether it holds others.
    fn settle_one(&mut self, hash: &KeyHash, now: Millis) -> bool {
        let Some(slot) = self.keys.peek_mut(hash) else {
            return false;
        };
        let over = slot.desk.take_over(now);
        let (key, holds) = (slot.key.clone(), slot.desk.holds());
        if let Some(key) = key
            && !over.is_empty()
        {
            let record = &key.record;
            self.reporter(&record.account).settle(&record.id, over);
        }
        holds
    }

    /// What there is to report to the guard of an account.
    pub fn reporter(&mut self, account: &str) -> &mut Reporter {
        if self.reporters.len() >= MAX_REPORTERS && self.reporters.get_mut(account).is_none() {
            let last_seq = &mut self.last_seq;
            // Numbers must go on growing when a dropped reporter is made again.
            self.reporters.retain(|r| {
                *last_seq = (*last_seq).max(r.seq());
                !r.is_empty()
            });
        }
        self.reporters
            .get_or_insert_with(account, || Reporter::resume(self.last_seq))
    }

    /// The accounts to whose guards there is something to report.
    pub fn to_report(&self) -> Vec<String> {
        let pending = self.reporters.iter().filter(|(_, r)| !r.is_empty());
        pending.map(|(account, _)| account.to_owned()).collect()
    }

    /// Whether anything waits to be settled or reported.
    pub fn is_settled(&self) -> bool {
        self.holding.is_empty() && self.reporters.iter().all(|(_, r)| r.is_empty())
    }

    /// Counts the outcome of a request of a known key.
    pub fn count(&mut self, outcome: &Outcome<'_>) {
        let cell = CellRef {
            key: outcome.key,
            api: outcome.api,
            minute: outcome.at / 60_000,
            code: outcome.code,
            class: u8::try_from(outcome.status / 100).unwrap_or(0),
        };
        let tally = Tally {
            count: 1,
            cost: u64::from(outcome.cost),
            latency_ms: outcome.latency,
            last_at: outcome.at,
        };
        self.reporter(outcome.account).count(cell, &tally);
    }
}

/// The outcome of a request.
pub struct Outcome<'a> {
    /// The key.
    pub key: &'a str,
    /// Its account.
    pub account: &'a str,
    /// The API.
    pub api: &'a str,
    /// `ok`, or the code of the refusal.
    pub code: &'a str,
    /// The status that the caller got.
    pub status: u16,
    /// Units.
    pub cost: u32,
    /// Milliseconds until the upstream's answer began.
    pub latency: Millis,
    /// When the request arrived.
    pub at: Millis,
}

#[cfg(test)]
#[path = "isolate_tests.rs"]
mod tests;
