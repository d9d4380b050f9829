//! Why a request would pass or be refused: the gate's steps in the gate's order, each with what it saw.
//!
//! The decision is that of [`shared::decide`], on what the database holds. How much of a quota is left, the edges are asked;
//! where they can't be, it is told as not known.

use std::net::IpAddr;

use serde::Serialize;
use serde_json::{Value, json};
use shared::Millis;
use shared::account::AccountRecord;
use shared::decide::{self, CHECKS, Facts, NamedAccount};
use shared::denial::{Denial, InvalidKey};
use shared::record::{ApiRecord, Endpoint, KeyRecord};
use shared::route::{Matched, RouteTable};
use shared::token::KeyHash;

use utoipa::ToSchema;

use crate::left::Left;
use crate::openapi::schema::schema;
use crate::timestamp::Timestamp;

schema! {
    /// The step's name.
    StepName = word(&step_names());
    /// What the step looked at, under names of its own.
    Saw as "Saw" = any_object().examples([json!({"ip": "203.0.113.7", "allowedIps": ["203.0.113.0/24"]})]);
}

fn step_names() -> Vec<(&'static str, ())> {
    let checks = CHECKS.iter().map(|(name, _)| *name);
    let before = ["api", "credential", "key", "path"].into_iter();
    before
        .chain(checks)
        .chain(["route", "quota"])
        .map(|name| (name, ()))
        .collect()
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ExplainedStep)]
pub struct Step {
    /// Its name.
    #[schema(value_type = StepName)]
    pub step: &'static str,
    /// What it came to.
    pub outcome: Outcome,
    /// What it looked at.
    #[schema(value_type = Saw)]
    pub saw: Value,
    /// Why it failed, for the admin: more than callers are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = StepOutcome)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing against it.
    Passed,
    /// It refuses.
    Failed,
    /// Only the edge knows.
    Unknown,
    /// There was nothing to look at.
    Skipped,
}

/// The steps so far, and the first refusal among them, which is the answer.
#[derive(Debug, Default)]
pub struct Trace {
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// The answer, unless the request passes.
    pub denial: Option<Denial>,
}

/// A key's request, as far as the database tells of it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// When.
    pub at: Millis,
    /// The method, in upper case.
    pub method: &'a str,
    /// The path in canonical form.
    pub path: &'a str,
    /// The `Origin` header.
    pub origin: Option<&'a str>,
    /// The client's address.
    pub ip: Option<IpAddr>,
    /// The token's hash.
    pub hash: &'a KeyHash,
    /// The key.
    pub key: &'a KeyRecord,
    /// The API.
    pub api: &'a ApiRecord,
    /// Its endpoint for the host.
    pub endpoint: &'a Endpoint,
    /// Whether the key was refused for its limits within the last minute.
    pub is_throttled: bool,
    /// What the edges say is left of its quota, and when they were asked.
    pub left: &'a [Left],
    /// See above.
    pub asked_at: Millis,
}

impl Trace {
    /// Notes a step that passed.
    pub fn passed(&mut self, step: &'static str, saw: Value) {
        self.push(step, Outcome::Passed, saw, None);
    }

    /// Notes a step that has nothing to look at.
    pub fn skipped(&mut self, step: &'static str, why: &str) {
        self.push(step, Outcome::Skipped, json!({}), Some(why.to_owned()));
    }

    /// Notes a refusal.
    pub fn failed(&mut self, step: &'static str, saw: Value, denial: Denial) {
        let detail = match &denial {
            // Callers are not told which; admins are.
            Denial::InvalidKey(why) => format!("The key is {}", why.reason()),
            other => other.detail(),
        };
        self.push(step, Outcome::Failed, saw, Some(detail));
        self.denial.get_or_insert(denial);
    }

    fn push(&mut self, step: &'static str, outcome: Outcome, saw: Value, detail: Option<String>) {
        self.steps.push(Step {
            step,
            outcome,
            saw,
            detail,
        });
    }

    fn check(&mut self, step: &'static str, saw: Value, result: Result<(), Denial>) {
        match result {
            Ok(()) => self.passed(step, saw),
            Err(denial) => self.failed(step, saw, denial),
        }
    }

    /// The checks of the decision, every one of them, also after the first that fails; then route and quota. Gives the cost.
    pub fn decide(
        &mut self,
        request: &Request<'_>,
        routes: &RouteTable,
        find: impl FnOnce(&str) -> Option<AccountRecord>,
    ) -> u32 {
        let unlisted = request.api.unlisted;
        let routed = decide::route(routes, unlisted, request.method, request.path);
        let matched = routed.as_ref().ok().and_then(Option::as_ref);
        let named = matched.and_then(|m| m.account);
        let found = named.filter(|id| *id != request.key.account).map(find);
        let account = match (named, &found) {
            (_, Some(Some(record))) => NamedAccount::Known(record),
            (Some(id), Some(None)) => NamedAccount::Unknown(id),
            _ => NamedAccount::Own,
        };
        let facts = Facts {
            now: request.at,
            hash: request.hash,
            key: request.key,
            api: request.api,
            endpoint: request.endpoint,
            route: matched,
            account,
            ip: request.ip,
            origin: request.origin,
        };
        for (name, check) in CHECKS {
            self.check(name, saw(name, &facts), check(&facts));
        }
        let cost = decide::cost(matched);
        let saw = json!({
            "method": request.method, "path": request.path, "matched": matched.map(template),
            "unlisted": unlisted, "cost": cost,
        });
        self.check(
            "route",
            saw,
            routed.as_ref().map(drop).map_err(Clone::clone),
        );
        self.quota(request, cost);
        cost
    }

    fn quota(&mut self, request: &Request<'_>, cost: u32) {
        let limits = request.key.limits;
        let never = limits.below(cost);
        let saw = json!({
            "cost": cost, "rateLimits": limits, "enforcement": request.key.enforcement,
            "refusedInTheLastMinute": request.is_throttled,
            "edges": request.left.iter().map(|left| left.shown(request.asked_at)).collect::<Vec<_>>(),
        });
        let rooms: Vec<bool> = request
            .left
            .iter()
            .filter_map(|l| l.has_room(cost))
            .collect();
        let has_room = (!rooms.is_empty()).then(|| rooms.iter().all(|room| *room));
        let why = if !never.is_empty() {
            format!("The request costs {cost} units, more than a limit of the key: it never passes")
        } else if has_room == Some(true) {
            "Enough is left at the edge now".to_owned()
        } else if has_room == Some(false) {
            "Too little is left at the edge now".to_owned()
        } else if request.is_throttled {
            "The key was refused for its limits within the last minute; the edge counts, and knows what is left"
                .to_owned()
        } else if request.left.is_empty() {
            "The edge counts, and knows what is left".to_owned()
        } else {
            "The edge counts, and can't be asked what is left".to_owned()
        };
        let outcome = match has_room {
            _ if !never.is_empty() => Outcome::Failed,
            Some(true) => Outcome::Passed,
            Some(false) => Outcome::Failed,
            None => Outcome::Unknown,
        };
        self.push("quota", outcome, saw, Some(why));
    }
}

fn template(matched: &Matched<'_>) -> String {
    format!("{} {}", matched.route.method, matched.route.path)
}

/// What a check looks at.
fn saw(check: &str, facts: &Facts<'_>) -> Value {
    let Facts { key, route, .. } = facts;
    match check {
        "status" => {
            let credential = key.credential(facts.hash);
            json!({
                "state": key.state,
                "tokenIsOfThisKey": credential.is_some(),
                "tokenEndsAt": credential.and_then(|c| c.not_after).map(Timestamp),
            })
        }
        "tenant" => json!({"keyAccount": key.account, "accountsAbove": key.ancestors}),
        "expiry" => {
            json!({"expiresAt": key.expires_at.map(Timestamp), "at": Timestamp(facts.now)})
        }
        "environment" => json!({
            "keyCode": key.environment, "endpointCode": facts.endpoint.code,
            "endpointEnvironment": facts.endpoint.environment,
        }),
        "account" => json!({
            "named": route.and_then(|m| m.account), "keyAccount": key.account,
        }),
        "ip" => json!({"ip": facts.ip, "allowedIps": key.allowed_ips}),
        "origin" => json!({
            "origin": facts.origin, "allowedOrigins": key.allowed_origins,
            "allowMissingOrigin": key.allow_missing_origin,
        }),
        "permission" => json!({
            "needed": route.and_then(|m| m.route.permission.as_ref()),
            "keyPermissions": key.permissions, "rolePermissions": key.role_permissions,
        }),
        "resource" => json!({
            "named": route.and_then(|m| m.resource).map(|(kind, id)| format!("{kind}:{id}")),
            "resources": key.resources,
        }),
        _ => json!({}),
    }
}

/// The refusal for a key that nobody within reach has.
pub fn unknown_key() -> Denial {
    Denial::InvalidKey(InvalidKey::Unknown)
}
