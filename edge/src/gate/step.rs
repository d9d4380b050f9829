//! One step of a decision: as far as what the isolate remembers carries it, without I/O.
//!
//! A step ends in a plan, or names what must be fetched first. Then the same step is taken again, with what
//! was fetched in the isolate's memory or in the [`Memo`]. A hot request takes one step.

use std::rc::Rc;

use shared::Millis;
use shared::account::AccountRecord;
use shared::decide::{self, Facts, NamedAccount};
use shared::denial::Denial;
use shared::lease::{Known, Pay, QuotaRefusal, Views};
use shared::path;
use shared::record::OnGuardFailure;
use shared::route::Matched;
use shared::token::KeyHash;

use super::decision::{Admitted, Memo, Need, Question, Refused, Step};
use super::head::Head;
use super::isolate::{Api, Isolate, Key, Work};

/// How long an account's place in the tree is believed.
pub const ACCOUNT_FRESH_MS: Millis = 5_000;

impl Isolate {
    /// Takes a step.
    pub fn step(&mut self, head: &Head<'_>, memo: &Memo, now: Millis) -> Step {
        let found = match self.recognised(head, now) {
            Some(found) => found,
            None => match self.look_up(head, memo, now) {
                Ok(found) => found,
                Err(step) => return *step,
            },
        };
        let path = match path::canonical(head.path) {
            Ok(path) => path,
            Err(e) => return Refused::at(bad_request(&sentence(e.message())), Some(found.api)),
        };
        self.judge(&found, head, &path, memo, now)
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
        let desk = &mut self.slot(request.hash, now).desk;
        let denial = match desk.knows(now, &memo.wait, version) {
            Known::Yes => denial,
            Known::Ask => return Step::Need(Need::Guard(request.question(0))),
            Known::Unavailable => Denial::GuardUnavailable,
        };
        request.refused(denial, Views::default())
    }

    /// Pays, or has the guard asked.
    fn pay(&mut self, request: &Request, cost: u32, memo: &Memo, now: Millis) -> Step {
        let desk = &mut self.slot(request.hash, now).desk;
        match desk.pay(now, &memo.wait, &request.key.record, cost) {
            Pay::Passed { renew } => {
                let views = desk.view(now);
                if renew {
                    self.work.push(Work::Renew(request.hash));
                }
                request.pass(cost, views)
            }
            Pay::PaidByAnswer => request.pass(cost, desk.view(now)),
            Pay::Refused(refusal) => request.limited(cost, refusal, &desk.view(now)),
            Pay::Ask => Step::Need(Need::Guard(request.question(cost))),
            Pay::Unavailable => match request.api.record.on_guard_failure {
                OnGuardFailure::Allow => request.pass(cost, desk.view(now)),
                OnGuardFailure::Refuse => {
                    request.refused(Denial::GuardUnavailable, Views::default())
                }
            },
        }
    }

    fn named_account(
        &mut self,
        key: &shared::record::KeyRecord,
        matched: Option<&Matched<'_>>,
        memo: &Memo,
        now: Millis,
    ) -> Result<Named, Need> {
        let Some(id) = matched.and_then(|m| m.account) else {
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

/// A request whose API and key are known.
pub struct Request {
    /// The API.
    pub api: Rc<Api>,
    /// The key.
    pub key: Rc<Key>,
    /// The token's hash.
    pub hash: KeyHash,
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

    fn pass(&self, cost: u32, views: Views) -> Step {
        Step::Pass(Admitted {
            api: Rc::clone(&self.api),
            key: Rc::clone(&self.key),
            cost,
            views,
        })
    }

    fn limited(&self, cost: u32, refusal: QuotaRefusal, views: &Views) -> Step {
        let views = views.of_refusal(cost, &refusal);
        let limits = self.key.record.limits;
        let denial = Denial::limited(cost, refusal, limits);
        self.refused(denial, views)
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

/// 400.
pub fn bad_request(detail: &str) -> Denial {
    Denial::BadRequest {
        status: 400,
        detail: detail.to_owned(),
    }
}

/// An error's text as a sentence: its first letter in upper case.
fn sentence(text: &str) -> String {
    let mut text = text.to_owned();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}
