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
use shared::lease::{QuotaRefusal, Spend, Views};
use shared::path;
use shared::record::{Endpoint, OnGuardFailure};
use shared::route::Matched;
use shared::token::{KeyHash, ParsedToken, TokenError};

use super::decision::{Admitted, Memo, Need, Question, Refused, Step};
use super::head::Head;
use super::isolate::{Api, Isolate, Key, Work};

/// How old an API's record may be before it is read again in the background.
pub const API_FRESH_MS: Millis = 5_000;
/// How long after a failed read of it another is tried.
pub const API_RETRY_MS: Millis = 1_000;
/// How old it may be before a request waits for a new one.
pub const API_USABLE_MS: Millis = 60_000;
/// How long "nothing answers for this host" is believed.
pub const NO_API_MS: Millis = 1_000;
/// An upstream that answers it sends the request back (RFC 9110, section 9.3.8), the signed assertion with it.
const TRACE: &str = "TRACE";
/// What is told instead.
const ALLOWED: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// How long an account's place in the tree is believed.
pub const ACCOUNT_FRESH_MS: Millis = 5_000;

impl Isolate {
    /// Takes a step.
    pub fn step(&mut self, head: &Head<'_>, memo: &Memo, now: Millis) -> Step {
        let found = match self.recognised(head, now) {
            Some(found) => found,
            None => match self.look_up(head, memo, now) {
                Ok(found) => found,
                Err(step) => return step,
            },
        };
        let path = match path::canonical(head.path) {
            Ok(path) => path,
            Err(e) => return Refused::at(bad_request(&sentence(e.to_string())), Some(found.api)),
        };
        self.judge(&found, head, &path, memo, now)
    }

    /// The API and the key of a caller that was recognised before, both still in memory.
    fn recognised(&mut self, head: &Head<'_>, now: Millis) -> Option<Request> {
        // Answered without a key: a preflight, and what no upstream shall echo.
        if head.method == "OPTIONS" || head.method == TRACE {
            return None;
        }
        let caller = self.callers.get(self.callers.tag(head), now)?;
        let (api, hash) = (Rc::clone(&caller.api), caller.hash);
        let key = Rc::clone(self.keys.get(&hash)?.key.as_ref()?);
        Some(Request { api, key, hash })
    }

    /// The API and the key of a caller.
    fn look_up(&mut self, head: &Head<'_>, memo: &Memo, now: Millis) -> Result<Request, Step> {
        let Some(host) = shared::host::normalise(head.host) else {
            return Err(Refused::bare(bad_request("The Host header is not a host")));
        };
        let is_preflight =
            shared::cors::is_preflight(head.method, head.origin, head.request_method);
        let (api, fresh_until) = match self.api_of(&host, memo, now) {
            Known::Yes { api, fresh_until } => (api, fresh_until),
            Known::No => return Err(Refused::bare(Denial::UnknownApi)),
            Known::Failed => return Err(Refused::bare(Denial::GuardUnavailable)),
            Known::Ask { last } => {
                return Err(match self.presented(head) {
                    Ok(_) => Step::Need(Need::Api(host.into())),
                    Err(_) if self.keyless.may_read(now) => Step::Need(Need::Api(host.into())),
                    Err(_) if is_preflight => Refused::bare(Denial::GuardUnavailable),
                    Err(denial) => Refused::at(denial, last),
                });
            }
        };
        if is_preflight {
            return Err(Step::Preflight(api));
        }
        if head.method == TRACE {
            let allow = ALLOWED.map(str::to_owned).to_vec();
            return Err(Refused::at(Denial::MethodNotAllowed { allow }, Some(api)));
        }
        let token = match self.presented(head) {
            Ok(token) if token.env_code == api.endpoint.code => token,
            Ok(_) => return Err(Refused::at(wrong_environment(&api.endpoint), Some(api))),
            Err(denial) => return Err(Refused::at(denial, Some(api))),
        };
        let hash = token.hash;
        match self.key_of(&token, memo, now) {
            Ok(key) => {
                let tag = self.callers.tag(head);
                self.callers.remember(tag, &api, hash, fresh_until);
                Ok(Request { api, key, hash })
            }
            Err(Ok(need)) => Err(Step::Need(need)),
            Err(Err(denial)) => Err(Refused::at(denial, Some(api))),
        }
    }

    /// The API that answers for a host, as far as memory tells.
    fn api_of(&mut self, host: &str, memo: &Memo, now: Millis) -> Known {
        let Some(slot) = self.apis.get_mut(host) else {
            return if memo.kv_failed {
                Known::Failed
            } else {
                Known::Ask { last: None }
            };
        };
        let age = now.saturating_sub(slot.read_at);
        let usable = if slot.api.is_some() {
            API_USABLE_MS
        } else {
            NO_API_MS
        };
        // While KV fails, an old record serves on.
        if age >= usable && !memo.kv_failed {
            let last = slot.api.clone();
            return Known::Ask { last };
        }
        if age >= API_FRESH_MS && slot.api.is_some() && !slot.refreshing {
            slot.refreshing = true;
            self.work.push(Work::RefreshApi(host.to_owned()));
        }
        let fresh_until = slot.read_at.saturating_add(API_FRESH_MS);
        match slot.api.clone() {
            Some(api) => Known::Yes { api, fresh_until },
            None => Known::No,
        }
    }

    /// The presented token, well-formed and genuine: without I/O.
    fn presented<'h>(&self, head: &Head<'h>) -> Result<Token<'h>, Denial> {
        let text = credential::presented(head.authorization, head.x_api_key)?;
        let hash = KeyHash::of(text);
        // A key in memory was checked before it came there, and the same hash means the same token.
        let known = self.keys.peek(&hash).is_some_and(|slot| slot.key.is_some());
        let token = if known {
            ParsedToken::of_known(text)
        } else {
            ParsedToken::parse(text)
        };
        let token = token.map_err(|e| {
            Denial::MalformedCredential(match e {
                TokenError::Grammar => "The API key has not the form of a key",
                TokenError::Checksum => {
                    "The API key's checksum does not match: it is mistyped or cut off"
                }
            })
        })?;
        if !known && !token.is_genuine(&self.config.tags) {
            return Err(Denial::InvalidKey(InvalidKey::Forged));
        }
        Ok(Token {
            hash,
            env_code: token.env_code(),
            locator: token.locator(),
        })
    }

    /// The key: from memory, else KV, else the guard, for the token is genuine.
    fn key_of(
        &mut self,
        token: &Token<'_>,
        memo: &Memo,
        now: Millis,
    ) -> Result<Rc<Key>, Result<Need, Denial>> {
        if let Some(slot) = self.keys.get(&token.hash) {
            if let Some(key) = &slot.key {
                return Ok(Rc::clone(key));
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
            account: shared::account::id_from_locator(token.locator),
            hash: token.hash,
            version: 0,
            need: 0,
        })))
    }

    /// Decides, the record being at hand, and pays.
    fn judge(
        &mut self,
        request: &Request,
        head: &Head<'_>,
        path: &str,
        memo: &Memo,
        now: Millis,
    ) -> Step {
        let api = &request.api.record;
        let routed = decide::route(&request.api.routes, api.unlisted, head.method, path);
        let matched = routed.as_ref().ok().and_then(Option::as_ref);
        let named = match self.named_account(&request.key.record, matched, memo, now) {
            Ok(named) => named,
            Err(need) => return Step::Need(need),
        };
        // Most keys may be used from anywhere: then the address need not be read.
        let ip = (!request.key.record.allowed_ips.is_empty()).then_some(());
        let facts = Facts {
            now,
            hash: &request.hash,
            key: &request.key.record,
            api,
            endpoint: &request.api.endpoint,
            route: matched,
            account: named.as_named(),
            ip: ip.and_then(|()| head.ip()),
            origin: head.origin,
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
    fn refuse(&mut self, request: &Request, denial: Denial, memo: &Memo, now: Millis) -> Step {
        let version = request.key.record.version;
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
        request.refused(denial, Views::default())
    }

    /// Pays from the purse, or has the guard asked.
    fn pay(&mut self, request: &Request, cost: u32, memo: &Memo, now: Millis) -> Step {
        let hash = request.hash;
        let paid = memo.paid.is_some_and(|paid| {
            paid.version == request.key.record.version && paid.cost == cost && now < paid.until
        });
        if paid {
            return self.pass(request, cost, now);
        }
        let spend = if request.key.record.is_strict() {
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
            (Spend::Refused(refusal), _) => self.limited(request, cost, refusal, now),
            (Spend::Ask, Some(refusal)) => self.limited(request, cost, refusal.clone(), now),
            (Spend::Ask, None) if !memo.guard_failed => {
                Step::Need(Need::Guard(request.question(cost)))
            }
            (Spend::Ask, None) => match request.api.record.on_guard_failure {
                OnGuardFailure::Allow => self.pass(request, cost, now),
                OnGuardFailure::Refuse => {
                    request.refused(Denial::GuardUnavailable, Views::default())
                }
            },
        }
    }

    fn limited(
        &mut self,
        request: &Request,
        cost: u32,
        refusal: QuotaRefusal,
        now: Millis,
    ) -> Step {
        let views = self.slot(request.hash, now).purse.view(now);
        let limits = request.key.record.limits;
        let denial = Denial::RateLimited {
            cost,
            refusal,
            limits,
        };
        request.refused(denial, views)
    }

    fn pass(&mut self, request: &Request, cost: u32, now: Millis) -> Step {
        Step::Pass(Admitted {
            api: Rc::clone(&request.api),
            key: Rc::clone(&request.key),
            cost,
            views: self.slot(request.hash, now).purse.view(now),
        })
    }

    fn named_account(
        &mut self,
        key: &shared::record::KeyRecord,
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

/// What memory says of a host.
enum Known {
    /// This API answers for it, and need not be read again before a moment.
    Yes { api: Rc<Api>, fresh_until: Millis },
    /// None does.
    No,
    /// KV has to be asked; the API that answered last, if any.
    Ask { last: Option<Rc<Api>> },
    /// KV has to be asked, but can't be.
    Failed,
}

struct Token<'h> {
    hash: KeyHash,
    env_code: &'h str,
    locator: &'h str,
}

/// A request whose API and key are known.
struct Request {
    api: Rc<Api>,
    key: Rc<Key>,
    hash: KeyHash,
}

impl Request {
    fn question(&self, need: u32) -> Question {
        let record = &self.key.record;
        Question {
            account: record.account.clone(),
            hash: self.hash,
            version: record.version,
            need,
        }
    }

    fn refused(&self, denial: Denial, views: Views) -> Step {
        Step::Refuse(Refused {
            denial,
            api: Some(Rc::clone(&self.api)),
            key: Some(Rc::clone(&self.key)),
            views,
        })
    }
}

fn wrong_environment(endpoint: &Endpoint) -> Denial {
    Denial::WrongEnvironment {
        endpoint: endpoint.environment.clone(),
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
fn sentence(mut text: String) -> String {
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}
