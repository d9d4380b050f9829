//! From a decision to a plan: header fields, the way to the upstream, and the count of the outcome.

use std::borrow::Cow;

use shared::Millis;
use shared::assertion::{self, Claims};
use shared::cors;
use shared::denial::{Denial, InvalidKey};
use shared::fields::Fields;
use shared::lease::{PolicyView, QuotaRefusal};
use shared::path;
use shared::ratelimit;
use shared::record::ApiRecord;
use shared::text;

use super::decision::{Admitted, Refused, Step};
use super::head::Head;
use super::isolate::{Isolate, Outcome};
use super::kept::Fixed;
use super::plan::{Forward, Plan, Ticket};
use crate::boundary::log;

/// The request's id, for callers and upstreams.
pub const REQUEST_ID: &str = "x-keyward-request-id";
/// How often the log is told why a key opens nothing.
const LOG_EVERY_MS: Millis = 60_000;

/// The refusal when no decision can be made.
pub fn unavailable() -> Step {
    Refused::bare(Denial::GuardUnavailable)
}

/// A refusal of which no API is known.
pub fn bare(denial: &Denial, request_id: &str) -> Plan {
    refusal(denial, request_id, "", "Origin")
}

fn refusal(denial: &Denial, request_id: &str, realm: &str, vary: &str) -> Plan {
    let mut refusal = denial.refusal(request_id, realm);
    refusal.fields.put("vary", vary);
    refusal.fields.put(REQUEST_ID, request_id);
    Plan::answer(refusal.status, refusal.body, refusal.fields)
}

/// Adds who the caller is.
pub fn put_identity(fields: &mut Fields, admitted: &Admitted) {
    let key = &admitted.key.record;
    fields.put("x-keyward-key-id", &key.id);
    fields.put("x-keyward-account-id", &key.account);
    fields.put("x-keyward-environment", &admitted.api.endpoint.environment);
    fields.put("x-keyward-permissions", &admitted.key.permissions);
}

/// The golden ratio's bits: a multiplier that spreads what it is given over all of a number.
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

/// `about`, with what [`ratelimit::put_limits`] depends on. Limits that the key shares change without its record, so
/// they are mixed in.
pub fn about_views(about: u64, views: &[PolicyView]) -> u64 {
    let tightest = ratelimit::tightest(views).map_or(0, |place| place + 1);
    let mut mixed = (about << 4) | tightest as u64;
    for view in views {
        let limit = (view.limit << 4) | view.policy.place();
        mixed = (mixed.rotate_left(23) ^ limit).wrapping_mul(MIX);
    }
    mixed
}

/// `about`, with what the body of a refusal for quota depends on, beside limits and the time until a retry.
fn about_refusal(about: u64, cost: u32, refusal: &QuotaRefusal) -> u64 {
    let mut full = u64::from(refusal.is_final());
    for policy in &refusal.violated {
        full |= 2 << policy.place();
    }
    (about.rotate_left(23) ^ (full << 32) ^ u64::from(cost)).wrapping_mul(MIX)
}

/// Adds what lets scripts read the answer.
pub fn put_cors(fields: &mut Fields, api: &ApiRecord, origin: Option<&str>) {
    for (name, value) in cors::actual(&api.cors, origin) {
        fields.put(name, &value);
    }
}

impl Isolate {
    /// The plan for a decision that is made. Refusals of known keys are counted here, those that pass when
    /// the upstream answers.
    pub fn plan(&mut self, head: &Head<'_>, step: Step, now: Millis) -> Plan {
        let id = self.next_request_id();
        match step {
            Step::Pass(admitted) => self.forward(head, &admitted, &id, now),
            Step::Refuse(refused) => self.refuse_caller(head, &refused, false, &id, now),
            Step::Preflight(api) => preflight(head, &api.record, &id),
            // A need that is left over means that the decision was not made.
            Step::Need(_) => bare(&Denial::GuardUnavailable, &id),
        }
    }

    /// The answer to a request that is refused; `asked`: to a proxy that asks about it.
    pub fn refuse_caller(
        &mut self,
        head: &Head<'_>,
        refused: &Refused,
        asked: bool,
        id: &str,
        now: Millis,
    ) -> Plan {
        self.count_refusal(refused, now);
        let denial = &refused.denial;
        let mut fields = Fields::with_capacity(512);
        fields.put(REQUEST_ID, id);
        denial.put_occurrence(&mut fields);
        ratelimit::put_state(&mut fields, &refused.views, now);
        let fixed = self.fixed_of_refusal(head, refused, asked);
        let body = match fixed {
            // JavaScript has it, but for the id and the seconds to wait.
            Fixed::Kept(_) => String::new(),
            _ => denial.problem(id).finish(),
        };
        Plan::Answer {
            status: denial.status(),
            body,
            fixed,
            fields,
        }
    }

    /// The fields of a refusal that are the same each time.
    fn fixed_of_refusal(&mut self, head: &Head<'_>, refused: &Refused, asked: bool) -> Fixed {
        let denial = &refused.denial;
        let api = refused.api.as_deref();
        let write = |fields: &mut Fields| {
            denial.put_kind(fields, api.map_or("", |a| a.record.name.as_str()));
            ratelimit::put_limits(fields, &refused.views);
            if let Some(api) = api {
                put_cors(fields, &api.record, head.origin);
            }
            fields.put("vary", "Origin");
            if asked {
                fields.put_number("x-keyward-status", u64::from(denial.status()));
                fields.put("x-keyward-code", denial.code());
            }
        };
        let constant = denial.constant().filter(|_| head.origin.is_none());
        match (api, constant) {
            (Some(api), Some(constant)) => {
                let about = (api.serial << 1) | u64::from(asked);
                match (denial.quota(), &refused.key) {
                    (None, _) => self.kept.fixed(&api.mark(constant, asked), about, write),
                    // What is about a key's limits is remembered with the key.
                    (Some((cost, refusal)), Some(key)) => {
                        let about = about_views(about, &refused.views);
                        let about = about_refusal(about, cost, refusal);
                        self.kept.fixed(&key.limited, about, write)
                    }
                    (Some(_), None) => Fixed::once(write),
                }
            }
            _ => Fixed::once(write),
        }
    }

    /// Counts a refusal, if the key is known.
    pub fn count_refusal(&mut self, refused: &Refused, now: Millis) {
        let (Some(key), Some(api)) = (&refused.key, &refused.api) else {
            return;
        };
        let key = &key.record;
        self.count(&Outcome {
            key: &key.id,
            account: &key.account,
            api: &api.record.id,
            code: refused.denial.code(),
            status: refused.denial.status(),
            cost: 0,
            latency: 0,
            at: now,
        });
        if let Denial::InvalidKey(why) = refused.denial {
            self.log_why(refused, why, now);
        }
    }

    /// Tells the log what callers are not told: why a key that exists opens nothing.
    fn log_why(&mut self, refused: &Refused, why: InvalidKey, now: Millis) {
        let Some(key) = refused.key.as_ref().map(|k| &k.record) else {
            return;
        };
        for credential in &key.credentials {
            if let Some(slot) = self.keys.peek_mut(&credential.hash) {
                let told = slot
                    .logged_at
                    .is_some_and(|at| now.abs_diff(at) < LOG_EVERY_MS);
                if !told {
                    slot.logged_at = Some(now);
                    log(&format!("refused {}: {}", key.id, why.reason()));
                }
            }
        }
    }

    /// Adds what tells an upstream that this request, and no other, was guarded. `base` comes before its path there.
    pub fn put_proof(
        &self,
        fields: &mut Fields,
        head: &Head<'_>,
        admitted: &Admitted,
        base: &str,
        id: &str,
        now: Millis,
    ) {
        fields.put(REQUEST_ID, id);
        if let Some(signer) = &self.config.assertion {
            let seconds = now / 1_000;
            let key = &admitted.key.record;
            let written = path::written(head.path);
            let path = match base {
                "" => written,
                base => Cow::Owned(text::join(&[base, &written], "")),
            };
            let claims = Claims {
                iss: "keyward",
                aud: &admitted.api.record.id,
                sub: &key.id,
                account: &key.account,
                environment: &admitted.api.endpoint.environment,
                method: head.method,
                path: &path,
                jti: id,
                iat: seconds,
                exp: seconds.saturating_add(assertion::LIFETIME_SECONDS),
            };
            fields.put("x-keyward-assertion", &signer.sign(&claims));
        }
    }

    fn forward(&self, head: &Head<'_>, admitted: &Admitted, id: &str, now: Millis) -> Plan {
        let api = &admitted.api.record;
        let key = &admitted.key.record;
        let mut to_upstream = Fields::with_capacity(1_024);
        put_identity(&mut to_upstream, admitted);
        let base = admitted.api.base_path();
        self.put_proof(&mut to_upstream, head, admitted, base, id, now);
        to_upstream.put("x-forwarded-host", head.host);
        let mut to_caller = Fields::with_capacity(512);
        ratelimit::put_fields(&mut to_caller, &admitted.views, now);
        put_cors(&mut to_caller, api, head.origin);
        to_caller.put("vary", "Origin");
        to_caller.put(REQUEST_ID, id);
        let ticket = Ticket {
            key: &key.id,
            account: &key.account,
            api: &api.id,
            request: id,
            at: now,
            cost: admitted.cost,
            realm: &api.name,
        };
        Plan::Forward(Box::new(Forward {
            url: text::join(&[admitted.api.upstream(), head.path, head.query], ""),
            timeout: api.upstream_timeout_ms,
            ticket: ticket.write(),
            to_upstream,
            to_caller,
        }))
    }

    /// Counts the outcome of a forwarded request.
    pub fn note(
        &mut self,
        ticket: &Ticket<'_>,
        code: &str,
        status: u16,
        latency: Millis,
        now: Millis,
    ) {
        self.count(&Outcome {
            key: ticket.key,
            account: ticket.account,
            api: ticket.api,
            code,
            status,
            cost: ticket.cost,
            latency,
            at: ticket.at.min(now),
        });
    }

    /// The answer when the upstream gave none.
    pub fn upstream_failed(&mut self, ticket: &str, late: bool, now: Millis) -> Plan {
        let denial = if late {
            Denial::UpstreamTimeout
        } else {
            Denial::UpstreamUnreachable
        };
        match Ticket::read(ticket) {
            None => bare(&denial, &self.next_request_id()),
            Some(ticket) => {
                self.note(&ticket, denial.code(), denial.status(), 0, now);
                refusal(&denial, ticket.request, ticket.realm, "Origin")
            }
        }
    }
}

/// The answer to a preflight.
pub fn preflight(head: &Head<'_>, api: &ApiRecord, id: &str) -> Plan {
    let origin = head.origin.unwrap_or_default();
    let Some(allowed) = cors::preflight(&api.cors, origin, head.request_headers) else {
        let denial = Denial::OriginNotAllowed {
            origin: Some(origin.to_owned()),
        };
        return refusal(&denial, id, &api.name, cors::PREFLIGHT_VARY);
    };
    let mut fields = Fields::with_capacity(512);
    for (name, value) in allowed {
        fields.put(name, &value);
    }
    fields.put("vary", cors::PREFLIGHT_VARY);
    fields.put(REQUEST_ID, id);
    Plan::answer(204, String::new(), fields)
}
