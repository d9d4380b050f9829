//! What an isolate remembers, all of it bounded.
//!
//! Nothing here is borrowed across an `.await`: requests of one isolate interleave there.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::rc::Rc;

use lru::LruCache;
use shared::Millis;
use shared::account::AccountRecord;
use shared::base62;
use shared::lease::Purse;
use shared::record::{ApiRecord, Endpoint, KeyRecord};
use shared::report::Reporter;
use shared::route::RouteTable;
use shared::token::KeyHash;
use shared::usage::{Tally, UsageCell};

use crate::config::Config;

const MAX_KEYS: NonZeroUsize = at_least_one(20_000);
const MAX_APIS: NonZeroUsize = at_least_one(1_000);
const MAX_ACCOUNTS: NonZeroUsize = at_least_one(10_000);
const MAX_REPORTERS: usize = 1_000;

const fn at_least_one(n: usize) -> NonZeroUsize {
    match NonZeroUsize::new(n) {
        Some(n) => n,
        None => NonZeroUsize::MIN,
    }
}

/// An API, compiled.
#[derive(Debug)]
pub struct Api {
    /// As pushed.
    pub record: ApiRecord,
    /// Its routes.
    pub routes: RouteTable,
}

/// The API of a host, as last seen in KV.
#[derive(Debug, Clone)]
pub struct ApiSlot {
    /// The API and its endpoint, unless nothing answers for the host.
    pub api: Option<(Rc<Api>, Endpoint)>,
    /// When it was read.
    pub read_at: Millis,
    /// Whether it is being read again.
    pub refreshing: bool,
}

/// What is known of a key.
#[derive(Debug, Default)]
pub struct KeySlot {
    /// Its record, if there is one.
    pub record: Option<Rc<KeyRecord>>,
    /// Until when the guard's word that there is none may be relied on.
    pub absent_until: Millis,
    /// What this gate holds of its quota.
    pub purse: Purse,
    /// Whether the guard's last answer left nothing for another request.
    pub scarce: bool,
    /// Since when a request asks about it while others wait.
    pub asked_at: Option<Millis>,
}

impl KeySlot {
    /// The version of the record at hand; 0: none.
    pub fn version(&self) -> u64 {
        self.record.as_ref().map_or(0, |r| r.version)
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
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
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
    pub apis: LruCache<String, ApiSlot>,
    /// By hash of the token.
    pub keys: LruCache<KeyHash, KeySlot>,
    /// By id.
    pub accounts: LruCache<String, AccountSlot>,
    /// Keys of which leases are held.
    pub holding: HashSet<KeyHash>,
    /// To do after the answer.
    pub work: Vec<Work>,
    /// When the flusher that runs was started.
    pub flusher: Option<Millis>,
    /// Its counts.
    pub counters: Counters,
    reporters: HashMap<String, Reporter>,
    last_seq: u64,
}

impl Isolate {
    /// An empty memory.
    pub fn new(config: Config, id: &str) -> Self {
        Self {
            config,
            id: id.to_owned(),
            apis: LruCache::new(MAX_APIS),
            keys: LruCache::new(MAX_KEYS),
            accounts: LruCache::new(MAX_ACCOUNTS),
            holding: HashSet::new(),
            work: Vec::new(),
            flusher: None,
            counters: Counters::default(),
            reporters: HashMap::new(),
            last_seq: 0,
        }
    }

    /// An id for a request: unique by the gate's own id and a count. Not a secret.
    pub fn next_request_id(&mut self) -> String {
        self.counters.requests += 1;
        let gate: String = self.id.chars().filter(|c| *c != '-').take(12).collect();
        format!(
            "req_{gate}{}",
            base62::encode_u64(self.counters.requests, 8)
        )
    }

    /// The slot of a key, made if it is missing. A slot that is pushed out reports its leases first.
    pub fn slot(&mut self, hash: KeyHash, now: Millis) -> &mut KeySlot {
        if !self.keys.contains(&hash)
            && let Some((old, mut slot)) = self.keys.push(hash, KeySlot::default())
        {
            self.holding.remove(&old);
            slot.purse.clear();
            if let Some(record) = slot.record {
                let over = slot.purse.take_over(now);
                self.reporter(&record.account).settle(&record.id, over);
            }
        }
        self.keys.get_or_insert_mut(hash, KeySlot::default)
    }

    /// Puts a newer record into a key's slot; what was held under the old one ends.
    pub fn install(&mut self, hash: KeyHash, record: KeyRecord, now: Millis) {
        let slot = self.slot(hash, now);
        if slot.version() >= record.version {
            return;
        }
        slot.purse.clear();
        slot.record = Some(Rc::new(record));
        self.settle(hash, now);
    }

    /// Hands a key's ended leases to the reporter of its guard.
    pub fn settle(&mut self, hash: KeyHash, now: Millis) {
        let Some(slot) = self.keys.peek_mut(&hash) else {
            self.holding.remove(&hash);
            return;
        };
        let over = slot.purse.take_over(now);
        if slot.purse.last_end().is_none() {
            self.holding.remove(&hash);
        }
        if let Some(record) = slot.record.clone()
            && !over.is_empty()
        {
            self.reporter(&record.account).settle(&record.id, over);
        }
    }

    /// Hands over the ended leases of every key.
    pub fn settle_all(&mut self, now: Millis) {
        let holding: Vec<KeyHash> = self.holding.iter().copied().collect();
        for hash in holding {
            self.settle(hash, now);
        }
    }

    /// What there is to report to the guard of an account.
    pub fn reporter(&mut self, account: &str) -> &mut Reporter {
        if self.reporters.len() >= MAX_REPORTERS && !self.reporters.contains_key(account) {
            let last_seq = &mut self.last_seq;
            // Numbers must go on growing when a dropped reporter is made again.
            self.reporters.retain(|_, r| {
                *last_seq = (*last_seq).max(r.seq());
                !r.is_empty()
            });
        }
        self.reporters
            .entry(account.to_owned())
            .or_insert_with(|| Reporter::resume(self.last_seq))
    }

    /// The accounts to whose guards there is something to report.
    pub fn to_report(&self) -> Vec<String> {
        let pending = self.reporters.iter().filter(|(_, r)| !r.is_empty());
        pending.map(|(account, _)| account.clone()).collect()
    }

    /// Whether anything waits to be settled or reported.
    pub fn is_settled(&self) -> bool {
        self.holding.is_empty() && self.reporters.values().all(Reporter::is_empty)
    }

    /// Counts the outcome of a request of a known key.
    pub fn count(&mut self, outcome: &Outcome<'_>) {
        let cell = UsageCell {
            key: outcome.key.to_owned(),
            api: outcome.api.to_owned(),
            minute: outcome.at / 60_000,
            code: outcome.code.to_owned(),
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
