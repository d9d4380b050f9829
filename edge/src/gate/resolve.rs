//! Fetching what a step needs.

use std::cell::RefCell;
use std::rc::Rc;

use shared::Millis;
use shared::account::{AccountRecord, guard_name};
use shared::denial::{Denial, InvalidKey};
use shared::lease::{Asked, Effect, Wait};
use shared::message::{GuardAnswer, GuardCall, KeyAnswer, KeyAsk};
use shared::read;
use shared::record::{ApiRecord, KeyRecord};
use shared::route::RouteTable;
use shared::token::KeyHash;
use shared::write;

use super::GateCode;
use super::decision::{Import, Memo, Need, Question};
use super::isolate::{AccountSlot, Api, ApiSlot, Isolate};
use super::look_up::{API_FRESH_MS, API_RETRY_MS, NO_KEY_MS};
use crate::boundary::{self, IoError, log};
use crate::kv::{account_name, host_name, key_name};

/// How long a key is believed to be nobody's of which only KV was asked, and not the guard.
const KV_HAS_NO_KEY_MS: Millis = 1_000;

impl GateCode {
    /// Fetches what is needed into the isolate's memory or the memo.
    pub async fn resolve(&self, need: Need, memo: &mut Memo) {
        match need {
            Need::Api(host) => self.read_api(&host, memo).await,
            Need::Record(hash) => {
                memo.record_read = true;
                // If it can't be read, the guard is asked instead.
                let _ = self.read_record(hash).await;
            }
            Need::Import(import) => self.look_for(&import, memo).await,
            Need::Guard(question) => self.ask(&question, true, &mut memo.wait).await,
            Need::Account { id, holder } => self.read_account(&id, &holder, memo).await,
        }
    }

    /// Reads the API of a host: the first of the host's candidates that KV knows.
    pub async fn read_api(&self, host: &str, memo: &mut Memo) {
        let mut found = None;
        let serial = self.with(Isolate::next_serial).unwrap_or(0);
        for candidate in shared::host::candidates(host) {
            match self.kv_get(&host_name(&candidate)).await {
                Err(e) => return self.no_api(host, memo, &format!("KV can't be read: {}", e.0)),
                Ok(None) => {}
                Ok(Some(text)) => match compile(&text, &candidate, serial) {
                    Ok(api) => found = api,
                    Err(e) => return self.no_api(host, memo, &e),
                },
            }
            if found.is_some() {
                break;
            }
        }
        let now = boundary::now();
        self.with(|isolate| {
            let slot = ApiSlot {
                api: found,
                read_at: now,
                refreshing: false,
            };
            isolate.put_api(host, slot);
        });
    }

    /// The API could not be found out: another one must not answer in its place.
    fn no_api(&self, host: &str, memo: &mut Memo, why: &str) {
        log(why);
        memo.kv_failed = true;
        self.with(|isolate| {
            if let Some(slot) = isolate.apis.peek_mut(host) {
                slot.refreshing = false;
                // It serves on meanwhile, and is read again in the background: else every request would wait
                // for KV as long as KV is away.
                let age = API_FRESH_MS.saturating_sub(API_RETRY_MS);
                slot.read_at = boundary::now().saturating_sub(age);
            }
        });
    }

    /// Reads a key's record from KV. Whether what stands there could be understood.
    ///
    /// # Errors
    /// When KV can't be read.
    async fn read_record(&self, hash: KeyHash) -> Result<bool, IoError> {
        let text = self.kv_get(&key_name(&hash.to_hex())).await;
        let text = text.inspect_err(|e| log(&format!("KV can't be read: {}", e.0)))?;
        match text.as_deref().map(read::from_str::<KeyRecord>) {
            None => {}
            Some(Ok(record)) => {
                self.with(|isolate| isolate.install(hash, record, boundary::now()));
            }
            Some(Err(e)) => {
                log(&format!("a record in KV can't be read: {e}"));
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Looks for a key that may have been imported: in KV, and at the guard of the API's account, since KV may not
    /// have it yet. No token says whose guard has it; keys of accounts below the API's are there when KV has them.
    async fn look_for(&self, import: &Import, memo: &mut Memo) {
        let hash = import.hash;
        let drawn = self.with(|isolate| isolate.misses.draw(import.client, boundary::now()));
        if let Some(Err(denial)) = drawn {
            memo.not_imported = Some(denial);
            return;
        }
        memo.not_imported = Some(Denial::GuardUnavailable);
        let is_read = self.read_record(hash).await.unwrap_or(false);
        let asks = |isolate: &mut Isolate| {
            !isolate.has(&hash) && isolate.misses.may_ask_guard(boundary::now())
        };
        let asks = self.with(asks).unwrap_or(false);
        if asks {
            let question = Question {
                account: import.account.clone(),
                hash,
                version: 0,
                need: 0,
            };
            self.ask(&question, true, &mut memo.wait).await;
        }
        // What was not asked for certain is not known to be nobody's.
        let is_certain = is_read && !memo.wait.has_failed();
        let missed =
            self.with(|isolate| isolate.looked_for(import, asks, is_certain, boundary::now()));
        if missed == Some(true) && is_certain {
            memo.not_imported = Some(Denial::InvalidKey(InvalidKey::Unknown));
        }
    }

    async fn read_account(&self, id: &str, holder: &str, memo: &mut Memo) {
        let from_kv = self.kv_get(&account_name(id)).await;
        let mut record: Option<AccountRecord> = from_kv
            .ok()
            .flatten()
            .and_then(|text| read::from_str(&text).ok());
        if record.is_none() {
            // The guard of the key's account holds every account that the key reaches.
            let call = GuardCall {
                account: Some(id.to_owned()),
                ..self.empty_call()
            };
            match self.call_guard(holder, &call).await {
                Ok(answer) => record = answer.account,
                Err(_) => {
                    memo.wait.fail();
                    return;
                }
            }
        }
        let record = record.map(Rc::new);
        memo.account = Some(record.clone());
        let read_at = boundary::now();
        self.with(|isolate| {
            let slot = AccountSlot { record, read_at };
            isolate.accounts.put(id.to_owned(), slot);
        });
    }

    /// Asks the guard about a key and takes its answer in: for a request that waits, or as a renewal.
    async fn ask(&self, question: &Question, waits: bool, wait: &mut Wait) {
        let asked = self.with(|isolate| isolate.question(question, waits, boundary::now()));
        let Some(asked) = asked else {
            return wait.fail();
        };
        let call = GuardCall {
            ask: Some(asked.ask.clone()),
            ..self.empty_call()
        };
        let answer = self.call_guard(&question.account, &call).await;
        let answer = answer.ok().and_then(|answer| answer.key);
        self.with(|isolate| isolate.take_in(&asked, answer, wait, boundary::now()));
    }

    /// Asks for the next lease of a key, ahead of its need.
    pub async fn renew(&self, hash: KeyHash) {
        let question = self.with(|isolate| {
            let slot = isolate.keys.peek_mut(&hash)?;
            let Some(key) = &slot.key else {
                slot.desk.end_renewal();
                return None;
            };
            Some(Question {
                account: key.record.account.clone(),
                hash,
                version: key.record.version,
                need: 1,
            })
        });
        if let Some(question) = question.flatten() {
            self.ask(&question, false, &mut Wait::default()).await;
        }
    }

    /// Reports to the guard of an account what there is to report.
    pub async fn report(&self, account: &str) {
        // A failure is noted by the call; the report is repeated with the next.
        let _ = self.call_guard(account, &self.empty_call()).await;
    }

    fn empty_call(&self) -> GuardCall {
        GuardCall {
            gate: self.with(|isolate| isolate.id.clone()).unwrap_or_default(),
            ..GuardCall::default()
        }
    }

    /// Calls the guard of an account; what there is to report rides along.
    async fn call_guard(&self, account: &str, call: &GuardCall) -> Result<GuardAnswer, IoError> {
        let name = guard_name(account).ok_or_else(|| IoError("no account id".to_owned()))?;
        let report = self.with(|isolate| {
            isolate.counters.guard_calls += 1;
            isolate.reporter(account).take(boundary::now())
        });
        let call = GuardCall {
            report: report.flatten(),
            ..call.clone()
        };
        let message = write::to_string(&call);
        let answer = self.host.guard(&name, "call", &message).await;
        let answer = answer.and_then(|text| {
            read::from_str::<GuardAnswer>(&text).map_err(|e| IoError(e.to_string()))
        });
        if let Err(e) = &answer {
            log(&format!("the guard can't be asked: {}", e.0));
        }
        if call.report.is_some() {
            let acknowledged = answer.as_ref().ok().and_then(|a| a.acknowledged);
            self.with(|isolate| match acknowledged {
                Some(seq) => isolate.reporter(account).acknowledge(seq),
                None => isolate.reporter(account).fail(),
            });
        }
        answer
    }

    async fn kv_get(&self, name: &str) -> Result<Option<String>, IoError> {
        self.with(|isolate| isolate.counters.kv_reads += 1);
        self.host.kv_get(name).await
    }
}

/// An API's record and the endpoint that a candidate host names, if the API still has it.
///
/// # Errors
/// What is wrong with a record that can't be read or used.
fn compile(text: &str, candidate: &str, serial: u64) -> Result<Option<Rc<Api>>, String> {
    let record: ApiRecord =
        read::from_str(text).map_err(|e| format!("a record in KV can't be read: {e}"))?;
    let endpoint = record.endpoints.iter().find(|e| e.host == candidate);
    let Some(endpoint) = endpoint.filter(|_| !record.deleted).cloned() else {
        return Ok(None);
    };
    let routes = RouteTable::compile(&record.routes)
        .map_err(|e| format!("{}: its route {} can't be used", record.id, e.index))?;
    Ok(Some(Rc::new(Api {
        record,
        endpoint,
        routes,
        serial,
        marks: RefCell::default(),
    })))
}

impl Isolate {
    /// A question that is sent now.
    fn question(&mut self, question: &Question, waits: bool, now: Millis) -> Asked {
        self.settle(question.hash, now);
        let lease_ms = self.config.lease_ms;
        let ask = KeyAsk {
            hash: question.hash,
            version: question.version,
            want: question.need,
            need: question.need,
        };
        let desk = &mut self.slot(question.hash, now).desk;
        desk.question(now, lease_ms, ask, waits)
    }

    /// A key that may have been imported was looked for; whether it was not found.
    fn looked_for(&mut self, import: &Import, asked: bool, is_certain: bool, now: Millis) -> bool {
        let slot = self.slot(import.hash, now);
        let is_missing = slot.key.is_none();
        if is_missing {
            // What only KV was asked about may be there in a moment: KV lags.
            let for_ms = if asked { NO_KEY_MS } else { KV_HAS_NO_KEY_MS };
            let until = now.saturating_add(for_ms);
            slot.desk.absent(if is_certain { until } else { 0 });
        } else {
            self.misses.found(import.client, asked);
        }
        is_missing
    }

    /// Takes in what the guard answered, if anything.
    fn take_in(&mut self, asked: &Asked, answer: Option<KeyAnswer>, wait: &mut Wait, now: Millis) {
        let hash = asked.ask.hash;
        let lease_ms = self.config.lease_ms;
        let desk = &mut self.slot(hash, now).desk;
        match desk.take_in(now, lease_ms, asked, answer, wait) {
            Effect::None => {}
            Effect::Holds => self.holds(hash),
            Effect::Install(record) => self.install(hash, *record, now),
            Effect::Gone => {
                self.settle(hash, now);
                self.slot(hash, now).key = None;
            }
        }
    }
}
