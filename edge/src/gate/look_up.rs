//! Whom a request calls, and who calls: the API of its host, and the key that it shows. From memory, or else what must
//! be fetched first.

use std::rc::Rc;

use shared::Millis;
use shared::credential;
use shared::denial::{Denial, InvalidKey};
use shared::record::Endpoint;
use shared::token::{KeyHash, ParsedToken, TokenError};

use super::decision::{Memo, Need, Question, Refused, Step};
use super::head::Head;
use super::isolate::{Api, Isolate, Key, Work};
use super::step::{Request, bad_request};

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

impl Isolate {
    /// The API and the key of a caller that was recognised before, both still in memory.
    pub fn recognised(&mut self, head: &Head<'_>, now: Millis) -> Option<Request> {
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
    ///
    /// # Errors
    /// How the step ends instead.
    pub fn look_up(
        &mut self,
        head: &Head<'_>,
        memo: &Memo,
        now: Millis,
    ) -> Result<Request, Box<Step>> {
        let stop = |step| Err(Box::new(step));
        let Some(host) = shared::host::normalise(head.host) else {
            return stop(Refused::bare(bad_request("The Host header is not a host")));
        };
        let is_preflight =
            shared::cors::is_preflight(head.method, head.origin, head.request_method);
        let (api, fresh_until) = match self.api_of(&host, memo, now) {
            Known::Yes { api, fresh_until } => (api, fresh_until),
            Known::No => return stop(Refused::bare(Denial::UnknownApi)),
            Known::Failed => return stop(Refused::bare(Denial::GuardUnavailable)),
            Known::Ask { last } => {
                return stop(match self.presented(head) {
                    Ok(_) => Step::Need(Need::Api(host.into())),
                    Err(_) if self.keyless.may_read(now) => Step::Need(Need::Api(host.into())),
                    Err(_) if is_preflight => Refused::bare(Denial::GuardUnavailable),
                    Err(denial) => Refused::at(denial, last),
                });
            }
        };
        if is_preflight {
            return stop(Step::Preflight(api));
        }
        if head.method == TRACE {
            let allow = ALLOWED.map(str::to_owned).to_vec();
            return stop(Refused::at(Denial::MethodNotAllowed { allow }, Some(api)));
        }
        let token = match self.presented(head) {
            Ok(token) if token.env_code == api.endpoint.code => token,
            Ok(_) => return stop(Refused::at(wrong_environment(&api.endpoint), Some(api))),
            Err(denial) => return stop(Refused::at(denial, Some(api))),
        };
        let hash = token.hash;
        match self.key_of(&token, memo, now) {
            Ok(key) => {
                let tag = self.callers.tag(head);
                self.callers.remember(tag, &api, hash, fresh_until);
                Ok(Request { api, key, hash })
            }
            Err(Ok(need)) => stop(Step::Need(need)),
            Err(Err(denial)) => stop(Refused::at(denial, Some(api))),
        }
    }

    /// The API that answers for a host, as far as memory tells.
    fn api_of(&mut self, host: &str, memo: &Memo, now: Millis) -> Known {
        let Some(slot) = self.apis.get(host) else {
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
        let token = ParsedToken::parse(text).map_err(|e| {
            Denial::MalformedCredential(match e {
                TokenError::Grammar => "The API key has not the form of a key",
                TokenError::Checksum => {
                    "The API key's checksum does not match: it is mistyped or cut off"
                }
            })
        })?;
        if !token.is_genuine(&self.config.tags) {
            return Err(Denial::InvalidKey(InvalidKey::Forged));
        }
        Ok(Token {
            hash: token.hash(),
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
            if slot.desk.is_absent(now, &memo.wait) {
                return Err(Err(Denial::InvalidKey(InvalidKey::Unknown)));
            }
        }
        if !memo.record_read {
            return Err(Ok(Need::Record(token.hash)));
        }
        if memo.wait.has_failed() {
            return Err(Err(Denial::GuardUnavailable));
        }
        Err(Ok(Need::Guard(Question {
            account: shared::account::id_from_locator(token.locator),
            hash: token.hash,
            version: 0,
            need: 0,
        })))
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

fn wrong_environment(endpoint: &Endpoint) -> Denial {
    Denial::WrongEnvironment {
        endpoint: endpoint.environment.clone(),
    }
}
