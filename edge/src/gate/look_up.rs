//! Whom a request calls, and who calls: the API of its host, and the key that it shows. From memory, or else what must
//! be fetched first.

use std::rc::Rc;

use shared::Millis;
use shared::credential::{self, Form};
use shared::denial::{Denial, InvalidKey};
use shared::record::ApiRecord;
use shared::token::{KeyHash, ParsedToken};

use super::decision::{Import, Memo, Need, Question, Refused, Step};
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
/// How long it is believed that a key was not imported.
pub const NO_KEY_MS: Millis = 5_000;
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
                    Ok(token) if token.is_own() => Step::Need(Need::Api(host.into())),
                    _ if self.keyless.take(now) => Step::Need(Need::Api(host.into())),
                    // The API may take keys of this form.
                    Ok(_) => Refused::bare(Denial::GuardUnavailable),
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
        let admitted = self.presented(head).and_then(|token| {
            token.form.admit(&api.record, &api.endpoint)?;
            Ok(token)
        });
        let token = match admitted {
            Ok(token) => token,
            Err(denial) => return stop(Refused::at(denial, Some(api))),
        };
        let hash = KeyHash::of(token.text);
        let found = match &token.form {
            Form::Own(own) => self.key_of(hash, own, memo, now),
            Form::Foreign(_) => self.imported_key(hash, &api.record, head, memo, now),
        };
        match found {
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

    /// The presented token, if it is not forged: without I/O.
    fn presented<'h>(&self, head: &Head<'h>) -> Result<Token<'h>, Denial> {
        let text = credential::presented(head.authorization, head.x_api_key)?;
        let form = Form::of(text, &self.config.tags)?;
        Ok(Token { text, form })
    }

    /// The key that memory holds, or that there is none, if that is known.
    fn remembered(
        &mut self,
        hash: &KeyHash,
        memo: &Memo,
        now: Millis,
    ) -> Option<Result<Rc<Key>, Result<Need, Denial>>> {
        let slot = self.keys.get(hash)?;
        if let Some(key) = &slot.key {
            return Some(Ok(Rc::clone(key)));
        }
        let is_absent = slot.desk.is_absent(now, &memo.wait);
        is_absent.then_some(Err(Err(Denial::InvalidKey(InvalidKey::Unknown))))
    }

    /// A key that may have been imported: from memory, or else it has to be looked up, on the client's budget.
    fn imported_key(
        &mut self,
        hash: KeyHash,
        api: &ApiRecord,
        head: &Head<'_>,
        memo: &Memo,
        now: Millis,
    ) -> Result<Rc<Key>, Result<Need, Denial>> {
        match (&memo.not_imported, self.remembered(&hash, memo, now)) {
            (_, Some(Ok(key))) => return Ok(key),
            (Some(denial), _) => return Err(Err(denial.clone())),
            (None, Some(known)) => return known,
            (None, None) => {}
        }
        let client = self.misses.client(head.ip(), head.is_described);
        self.misses.check(client, now).map_err(Err)?;
        Err(Ok(Need::Import(Import {
            hash,
            account: api.account.clone(),
            client,
        })))
    }

    /// The key of a token of ours: from memory, else KV, else the guard, for the token is genuine.
    fn key_of(
        &mut self,
        hash: KeyHash,
        token: &ParsedToken<'_>,
        memo: &Memo,
        now: Millis,
    ) -> Result<Rc<Key>, Result<Need, Denial>> {
        if let Some(known) = self.remembered(&hash, memo, now) {
            return known;
        }
        if !memo.record_read {
            return Err(Ok(Need::Record(hash)));
        }
        if memo.wait.has_failed() {
            return Err(Err(Denial::GuardUnavailable));
        }
        Err(Ok(Need::Guard(Question {
            account: shared::account::id_from_locator(token.locator()),
            hash,
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
    text: &'h str,
    form: Form<'h>,
}

impl Token<'_> {
    fn is_own(&self) -> bool {
        matches!(self.form, Form::Own(_))
    }
}
