//! `POST /.keyward/verify`: the same decision for services that are not behind the Worker.

use std::net::IpAddr;

use serde::Deserialize;
use serde_json::{Value, json};
use shared::Millis;
use shared::cors;
use shared::lease::WindowView;
use shared::permission;
use shared::ratelimit;

use super::GateCode;
use super::control::{ControlRequest, ok_json};
use super::decision::{Admitted, Refused, Step};
use super::head::Head;
use super::isolate::{Isolate, Outcome};
use super::plan::Plan;

/// A request as another service saw it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Described {
    /// The token; the request's own credential headers when missing.
    key: Option<String>,
    /// `GET` when missing.
    method: Option<String>,
    /// With the query or without; `/` when missing.
    path: Option<String>,
    /// The guarded host; the request's own when missing.
    host: Option<String>,
    /// The `Origin` that the service saw.
    origin: Option<String>,
    /// The client's address that the service saw.
    ip: Option<String>,
}

impl GateCode {
    /// Decides a described request and spends its cost.
    pub async fn verify(&self, request: ControlRequest) -> Plan {
        let described: Described = match request.json_text().map(serde_json::from_str) {
            Err(refusal) => return refusal,
            Ok(Err(e)) => return request.bad_request(&plain(&e)),
            Ok(Ok(described)) => described,
        };
        if let Err(what) = described.check() {
            return request.bad_request(what);
        }
        let head = head_of(described, request.head);
        let (step, now) = self.settle(&head, None, request.now).await;
        self.with(|isolate| isolate.verdict(step, &request.id, now))
            .unwrap_or_else(super::not_configured)
    }
}

impl Described {
    /// What can't be a request at all is not decided about: it would be read in one way here and in another
    /// where it came from.
    fn check(&self) -> Result<(), &'static str> {
        if self.path.as_deref().is_some_and(|p| !p.starts_with('/')) {
            return Err("`path` begins with a slash");
        }
        if self.method.as_deref().is_some_and(|m| !cors::is_token(m)) {
            return Err("`method` is an HTTP method");
        }
        let ip = self.ip.as_deref().map(str::parse::<IpAddr>);
        if ip.is_some_and(|ip| ip.is_err()) {
            return Err("`ip` is an IPv4 or IPv6 address");
        }
        Ok(())
    }
}

/// A parse error without the input's own values: they may be keys.
fn plain(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Data => {
            "The body must be an object with `key`, `method`, `path`, `host`, `origin`, `ip`: texts"
        }
        _ => "The body is not valid JSON",
    };
    format!("{what} (line {}, column {})", error.line(), error.column())
}

fn head_of(described: Described, own: Head) -> Head {
    let path = described.path.unwrap_or_else(|| "/".to_owned());
    let host = described.host.unwrap_or_else(|| own.host.clone());
    let method = described
        .method
        .map_or_else(|| "GET".to_owned(), |m| m.to_ascii_uppercase());
    let own_headers = described.key.is_none();
    let bearer = described.key.map(|key| format!("Bearer {key}"));
    let path_end = path.find(['?', '#']).unwrap_or(path.len());
    let described_head = Head {
        method,
        host,
        path: path.get(..path_end).unwrap_or_default().to_owned(),
        ..Head::default()
    };
    described_head.with(
        bearer.or(own.authorization),
        own.x_api_key.filter(|_| own_headers),
        described.origin,
        described.ip,
        None,
        None,
    )
}

impl Isolate {
    fn verdict(&mut self, step: Step, id: &str, now: Millis) -> Plan {
        match step {
            Step::Pass(admitted) => {
                self.count_verified(&admitted, now);
                ok_json(
                    &valid(&admitted, id),
                    ratelimit::headers(&admitted.views, now),
                )
            }
            Step::Refuse(refused) => {
                self.count_refusal(&refused, now);
                ok_json(
                    &invalid(&refused, id),
                    ratelimit::headers(&refused.views, now),
                )
            }
            Step::Preflight(_) | Step::Need(_) => super::not_configured(),
        }
    }

    fn count_verified(&mut self, admitted: &Admitted, now: Millis) {
        self.count(&Outcome {
            key: &admitted.key.id,
            account: &admitted.key.account,
            api: &admitted.api.record.id,
            code: "ok",
            status: 200,
            cost: admitted.cost,
            latency: 0,
            at: now,
        });
    }
}

fn valid(admitted: &Admitted, id: &str) -> Value {
    let key = &admitted.key;
    json!({
        "valid": true,
        "status": 200,
        "code": "ok",
        "requestId": id,
        "keyId": key.id,
        "accountId": key.account,
        "ownerId": key.owner,
        "environment": admitted.endpoint.environment,
        "permissions": permission::effective(&key.permissions, key.role_permissions.as_deref()),
        "cost": admitted.cost,
        "windows": windows(&admitted.views),
    })
}

fn invalid(refused: &Refused, id: &str) -> Value {
    let mut value = serde_json::to_value(refused.denial.problem(id)).unwrap_or_default();
    if let Some(members) = value.as_object_mut() {
        members.insert("valid".into(), false.into());
        members.insert("windows".into(), windows(&refused.views));
    }
    value
}

fn windows(views: &[WindowView]) -> Value {
    views
        .iter()
        .map(|view| {
            json!({
                "window": view.window.name(),
                "limit": view.limit,
                "remaining": view.remaining,
                "resetSeconds": ratelimit::whole_seconds(view.reset_in),
            })
        })
        .collect()
}
