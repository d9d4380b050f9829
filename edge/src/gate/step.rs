//! One step of a decision: as far as what the isolate remembers carries it, without I/O.
//!
//! A step ends in a plan, or names what must be fetched first. Then the same step is taken again, with what
//! was fetched in the isolate's memory or in the [`Memo`]. A hot request takes one step.

use std::rc::Rc;

use shared::Millis;
use shared::account::AccountRecord;
use shared::credential;
use shared::decide::{self, Facts, NamedAccount};
use shared::denial::{Denial, InvalidKey};
use shared::lease::{QuotaRefusal, Spend, WindowView};
use shared::path;
use shared::record::{Endpoint, KeyRecord, OnGuardFailure};
use shared::route::Matched;
use shared::token::{KeyHash, ParsedToken};

use super::decision::{Admitted, Memo, Need, Question, Refused, Step};
use super::head::Head;
use super::isolate::{Api, Isolate, Work};

/// How old an API's record may be before it is read again in the background.
pub const API_FRESH_MS: Millis = 5_000;
/// How old it may be before a request waits for a new one.
pub const API_USABLE_MS: Millis = 60_000;
/// How long "nothing answers for this host" is believed.
pub const NO_API_MS: Millis = 1_000;
/// How long an account's place in the tree is believed.
pub const ACCOUNT_FRESH_MS: Millis = 5_000;

impl Isolate {
    /// Takes a step.
    pub fn step(&mut self, head: &Head, memo: &Memo, now: Millis) -> Step {
        let Some(host) = shared::host::normalise(&head.host) else {
            return Refused::bare(bad_request("The Host header is not a host"));
        };
        let (api, endpoint) = match self.api_of(&host, memo, now) {
            Ok(Some(found)) => found,
            Ok(None) => return Refused::bare(Denial::UnknownApi),
            Err(step) => return step,
        };
        let request_method = head.request_method.as_deref();
        if shared::cors::is_preflight(&head.method, head.origin.as_deref(), request_method) {
            return Step::Preflight(api);
        }
        let token = match self.token_of(head, &endpoint) {
            Ok(token) => token,
            Err(denial) => return Refused::at(denial, Some(api)),
        };
        let record = match self.record_of(&token, memo, now) {
            Ok(record) => record,
            Err(Ok(need)) => return Step::Need(need),
            Err(Err(denial)) => return Refused::at(denial, Some(api)),
        };
        let path = match path::canonical(&head.path) {
            Ok(path) => path,
            Err(e) => return Refused::at(bad_request(&sentence(&e.to_string())), Some(api)),
        };
        let request = Request {
            api: &api,
            endpoint: &endpoint,
            key: &record,
            hash: token.hash,
        };
        self.judge(&request, head, &path, memo, now)
    }

    /// The API that answers for a host, if any; from memory, or else what to do.
    fn api_of(
        &mut self,
        host: &str,
        memo: &Memo,
        now: Millis,
    ) -> Result<Option<(Rc<Api>, Endpoint)>, Step> {
        let need = || Err(Step::Need(Need::Api(host.to_owned())));
        let Some(slot) = self.apis.get_mut(host) else {
            if memo.kv_failed {
                return Err(Refused::bare(Denial::GuardUnavailable));
            }
            return need();
        };
        let age = now.saturating_sub(slot.read_at);
        let usable = if slot.api.is_some() {
            API_USABLE_MS
        } else {
            NO_API_MS
        };
        // While KV fails, an old record serves on.
        if age >= usable && !memo.kv_failed {
            return need();
        }
        if age >= API_FRESH_MS && slot.api.is_some() && !slot.refreshing {
            slot.refreshing = true;
            self.work.push(Work::RefreshApi(host.to_owned()));
        }
        Ok(slot.api.clone())
    }

    /// The presented token, well-formed, genuine and for this environment: all without I/O.
    fn token_of(&self, head: &Head, endpoint: &Endpoint) -> Result<Token, Denial> {
        let presented =
            credential::presented(head.authorization.as_deref(), head.x_api_key.as_deref())?;
        let parsed = ParsedToken::parse(presented).map_err(|e| {
            Denial::MalformedCredential(match e {
                shared::token::TokenError::Grammar => "The API key has not the form of a key",
                shared::token::TokenError::Checksum => {
                    "The API key's checksum does not match: it is mistyped or cut off"
                }
            })
        })?;
        if !parsed.is_genuine(&self.config.tags) {
            return Err(Denial::InvalidKey(InvalidKey::Forged));
        }
        if parsed.env_code() != endpoint.code {
            return Err(Denial::WrongEnvironment {
                endpoint: endpoint.environment.clone(),
            });
        }
        Ok(Token {
            hash: parsed.hash(),
            account: shared::account::id_from_locator(parsed.locator()),
        })
    }

    /// The key's record: from memory, else KV, else the guard, for the token is genuine.
    fn record_of(
        &mut self,
        token: &Token,
        memo: &Memo,
        now: Millis,
    ) -> Result<Rc<KeyRecord>, Result<Need, Denial>> {
        if let Some(slot) = self.keys.get(&token.hash) {
            if let Some(record) = &slot.record {
                return Ok(Rc::clone(record));
            }
            if now < slot.absent_until || memo.confirmed == Some(0) {
                return Err(Err(Denial::InvalidKey(InvalidKey::Unknown)));
            }
        }
        if !memo.record_read {
            return Err(Ok(Need::Record(token.hash)));
        }
        if memo.guard_failed {
            return Err(Err(Denial::GuardUnavailable));
        }
        Err(Ok(Need::Guard(Question {
            account: token.account.clone(),
            hash: token.hash,
            version: 0,
            need: 0,
        })))
    }

    /// Decides, the record being at hand, and pays.
    fn judge(
        &mut self,
        request: &Request<'_>,
        head: &Head,
        path: &str,
        memo: &Memo,
        now: Millis,
    ) -> Step {
        let api = &request.api.record;
        let routed = decide::route(&request.api.routes, api.unlisted, &head.method, path);
        let matched = routed.as_ref().ok().and_then(Option::as_ref);
        let named = match self.named_account(request.key, matched, memo, now) {
            Ok(named) => named,
            Err(need) => return Step::Need(need),
        };
        let facts = Facts {
            now,
            hash: &request.hash,
            key: request.key,
            api,
            endpoint: request.endpoint,
            route: matched,
            account: named.as_named(),
            ip: head.ip,
            origin: head.origin.as_deref(),
        };
        let cost = decide::cost(matched);
        // A route that is not listed is told only to those whose key is good.
        let verdict = decide::decide(&facts).and(routed.as_ref().map(drop).map_err(Clone::clone));
        match verdict {
            Ok(()) => self.pay(request, cost, memo, now),
            Err(denial) => self.refuse(request, denial, memo, now),
        }
    }

    /// Refuses, once the guard has confirmed within the lease time that the state behind it is the newest.
    fn refuse(&mut self, request: &Request<'_>, denial: Denial, memo: &Memo, now: Millis) -> Step {
        let version = request.key.version;
        let known = memo.confirmed == Some(version)
            || memo
                .paid
                .is_some_and(|p| p.version == version && now < p.until)
            || self.slot(request.hash, now).purse.is_current(now);
        if !known && !memo.guard_failed {
            return Step::Need(Need::Guard(request.question(0)));
        }
        let denial = if known {
            denial
        } else {
            Denial::GuardUnavailable
        };
        request.refused(denial, Vec::new())
    }

    /// Pays from the purse, or has the guard asked.
    fn pay(&mut self, request: &Request<'_>, cost: u32, memo: &Memo, now: Millis) -> Step {
        let hash = request.hash;
        let paid = memo.paid.is_some_and(|paid| {
            paid.version == request.key.version && paid.cost == cost && now < paid.until
        });
        if paid {
            return self.pass(request, cost, now);
        }
        let spend = if request.key.is_strict() {
            Spend::Ask
        } else {
            self.slot(hash, now).purse.spend(now, cost)
        };
        match (spend, &memo.refused) {
            (Spend::Paid { renew }, _) => {
                if renew && self.slot(hash, now).purse.begin_renewal(now) {
                    self.work.push(Work::Renew(hash));
                }
                self.pass(request, cost, now)
            }
            (Spend::Refused(refusal), _) => self.limited(request, refusal, now),
            (Spend::Ask, Some(refusal)) => self.limited(request, refusal.clone(), now),
            (Spend::Ask, None) if !memo.guard_failed => {
                Step::Need(Need::Guard(request.question(cost)))
            }
            (Spend::Ask, None) => match request.api.record.on_guard_failure {
                OnGuardFailure::Allow => self.pass(request, cost, now),
                OnGuardFailure::Refuse => request.refused(Denial::GuardUnavailable, Vec::new()),
            },
        }
    }

    fn limited(&mut self, request: &Request<'_>, refusal: QuotaRefusal, now: Millis) -> Step {
        let views = self.slot(request.hash, now).purse.view(now);
        let limits = request.key.limits;
        request.refused(Denial::RateLimited { refusal, limits }, views)
    }

    fn pass(&mut self, request: &Request<'_>, cost: u32, now: Millis) -> Step {
        Step::Pass(Box::new(Admitted {
            api: Rc::clone(request.api),
            endpoint: request.endpoint.clone(),
            key: Rc::clone(request.key),
            cost,
            views: self.slot(request.hash, now).purse.view(now),
        }))
    }

    fn named_account(
        &mut self,
        key: &KeyRecord,
        matched: Option<&Matched<'_>>,
        memo: &Memo,
        now: Millis,
    ) -> Result<Named, Need> {
        let Some(id) = matched.and_then(|m| m.account.as_deref()) else {
            return Ok(Named::Own);
        };
        if id == key.account {
            return Ok(Named::Own);
        }
        // An id that is none needs no look-up.
        if shared::account::locator_of(id).is_none() {
            return Ok(Named::Unknown(id.to_owned()));
        }
        let found = memo.account.clone().or_else(|| {
            let slot = self.accounts.get(id)?;
            (now.saturating_sub(slot.read_at) < ACCOUNT_FRESH_MS).then(|| slot.record.clone())
        });
        match found {
            Some(Some(record)) => Ok(Named::Known(record)),
            Some(None) => Ok(Named::Unknown(id.to_owned())),
            None => Err(Need::Account {
                id: id.to_owned(),
                holder: key.account.clone(),
            }),
        }
    }
}

struct Token {
    hash: KeyHash,
    account: String,
}

struct Request<'a> {
    api: &'a Rc<Api>,
    endpoint: &'a Endpoint,
    key: &'a Rc<KeyRecord>,
    hash: KeyHash,
}

impl Request<'_> {
    fn question(&self, need: u32) -> Question {
        Question {
            account: self.key.account.clone(),
            hash: self.hash,
            version: self.key.version,
            need,
        }
    }

    fn refused(&self, denial: Denial, views: Vec<WindowView>) -> Step {
        Step::Refuse(Box::new(Refused {
            denial,
            api: Some(Rc::clone(self.api)),
            key: Some(Rc::clone(self.key)),
            views,
        }))
    }
}

enum Named {
    Own,
    Known(Rc<AccountRecord>),
    Unknown(String),
}

impl Named {
    fn as_named(&self) -> NamedAccount<'_> {
        match self {
            Self::Own => NamedAccount::Own,
            Self::Known(record) => NamedAccount::Known(record),
            Self::Unknown(id) => NamedAccount::Unknown(id),
        }
    }
}

fn bad_request(detail: &str) -> Denial {
    Denial::BadRequest {
        status: 400,
        detail: detail.to_owned(),
    }
}

/// An error's text as a sentence: its first letter in upper case.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}
