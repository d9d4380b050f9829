//! From a decision to a plan: headers, the way to the upstream, and the count of the outcome.

use shared::Millis;
use shared::assertion::{self, Claims};
use shared::cors;
use shared::denial::Denial;
use shared::permission;
use shared::ratelimit;

use super::decision::{Admitted, Refused, Step};
use super::head::Head;
use super::isolate::{Isolate, Outcome};
use super::plan::{Forward, Header, Plan, Ticket};

/// The request's id, for callers and upstreams.
pub const REQUEST_ID: &str = "x-keyward-request-id";

/// The refusal when no decision can be made.
pub fn unavailable() -> Step {
    Step::Refuse(Box::new(Refused {
        denial: Denial::GuardUnavailable,
        api: None,
        key: None,
        views: Vec::new(),
    }))
}

/// A refusal of which no API is known.
pub fn bare(denial: &Denial, request_id: &str, realm: &str) -> Plan {
    let refusal = denial.refusal(request_id, realm);
    let mut headers = refusal.headers;
    headers.push(("vary", "Origin".to_owned()));
    headers.push((REQUEST_ID, request_id.to_owned()));
    Plan::Answer {
        status: refusal.status,
        body: refusal.body,
        headers,
    }
}

impl Isolate {
    /// The plan for a decision that is made. Refusals of known keys are counted here, those that pass when
    /// the upstream answers.
    pub fn plan(&mut self, head: &Head, step: Step, now: Millis) -> Plan {
        let id = self.next_request_id();
        match step {
            Step::Pass(admitted) => self.forward(head, &admitted, id, now),
            Step::Refuse(refused) => self.refuse_caller(head, &refused, &id, now),
            Step::Preflight(api) => preflight(head, &api.record, &id),
            // A need that is left over means that the decision was not made.
            Step::Need(_) => bare(&Denial::GuardUnavailable, &id, ""),
        }
    }

    fn refuse_caller(&mut self, head: &Head, refused: &Refused, id: &str, now: Millis) -> Plan {
        self.count_refusal(refused, now);
        let realm = refused.api.as_ref().map_or("", |a| a.record.name.as_str());
        let mut plan = bare(&refused.denial, id, realm);
        if let (Plan::Answer { headers, .. }, Some(api)) = (&mut plan, &refused.api) {
            headers.extend(ratelimit::headers(&refused.views, now));
            headers.extend(cors::actual(&api.record.cors, head.origin.as_deref()));
        }
        plan
    }

    /// Counts a refusal, if the key is known.
    pub fn count_refusal(&mut self, refused: &Refused, now: Millis) {
        if let (Some(key), Some(api)) = (&refused.key, &refused.api) {
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
        }
    }

    fn forward(&mut self, head: &Head, admitted: &Admitted, id: String, now: Millis) -> Plan {
        let api = &admitted.api.record;
        let key = &admitted.key;
        let base = admitted.endpoint.upstream.as_ref().unwrap_or(&api.upstream);
        let url = format!("{}{}{}", base.trim_end_matches('/'), head.path, head.query);
        let permissions = permission::effective(&key.permissions, key.role_permissions.as_deref());
        let mut to_upstream: Vec<Header> = vec![
            ("x-keyward-key-id", key.id.clone()),
            ("x-keyward-account-id", key.account.clone()),
            (
                "x-keyward-environment",
                admitted.endpoint.environment.clone(),
            ),
            ("x-keyward-permissions", permissions.join(" ")),
            (REQUEST_ID, id.clone()),
            ("x-forwarded-host", head.host.clone()),
        ];
        if let Some(secret) = &self.config.assertion {
            let seconds = now / 1_000;
            let claims = Claims {
                iss: "keyward",
                aud: &api.id,
                sub: &key.id,
                account: &key.account,
                environment: &admitted.endpoint.environment,
                method: &head.method,
                path: &head.path,
                jti: &id,
                iat: seconds,
                exp: seconds.saturating_add(assertion::LIFETIME_SECONDS),
            };
            to_upstream.push(("x-keyward-assertion", assertion::sign(&claims, secret)));
        }
        let mut to_caller = ratelimit::headers(&admitted.views, now);
        to_caller.extend(cors::actual(&api.cors, head.origin.as_deref()));
        to_caller.push(("vary", "Origin".to_owned()));
        to_caller.push((REQUEST_ID, id.clone()));
        Plan::Forward(Box::new(Forward {
            url,
            timeout: api.upstream_timeout_ms,
            ticket: Ticket {
                key: key.id.clone(),
                account: key.account.clone(),
                api: api.id.clone(),
                realm: api.name.clone(),
                request: id,
                at: now,
                cost: admitted.cost,
            },
            to_upstream,
            to_caller,
        }))
    }

    /// Counts the outcome of a forwarded request. Gives its ticket, if it can be read.
    pub fn note(
        &mut self,
        ticket: &str,
        code: &str,
        status: u16,
        latency: Millis,
        now: Millis,
    ) -> Option<Ticket> {
        let ticket: Ticket = serde_json::from_str(ticket).ok()?;
        self.count(&Outcome {
            key: &ticket.key,
            account: &ticket.account,
            api: &ticket.api,
            code,
            status,
            cost: ticket.cost,
            latency,
            at: ticket.at.min(now),
        });
        Some(ticket)
    }
}

fn preflight(head: &Head, api: &shared::record::ApiRecord, id: &str) -> Plan {
    let origin = head.origin.as_deref().unwrap_or_default();
    let requested = head.request_headers.as_deref();
    let vary = ("vary", cors::PREFLIGHT_VARY.to_owned());
    let Some(mut headers) = cors::preflight(&api.cors, origin, requested) else {
        let denial = Denial::OriginNotAllowed {
            origin: Some(origin.to_owned()),
        };
        let mut plan = bare(&denial, id, &api.name);
        if let Plan::Answer { headers, .. } = &mut plan {
            headers.retain(|(name, _)| *name != "vary");
            headers.push(vary);
        }
        return plan;
    };
    headers.push(vary);
    headers.push((REQUEST_ID, id.to_owned()));
    Plan::Answer {
        status: 204,
        body: String::new(),
        headers,
    }
}
