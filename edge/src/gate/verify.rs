//! `POST /.keyward/verify`: the same decision for services that are not behind the Worker.

use serde::Deserialize;
use serde_json::{Value, json};
use shared::Millis;
use shared::lease::WindowView;
use shared::permission;
use shared::ratelimit;

use super::GateCode;
use super::control::{ControlRequest, ok_json, refuse};
use super::head::Head;
use super::isolate::{Isolate, Outcome};
use super::plan::Plan;
use super::step::{Admitted, Refused, Step};

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
            Ok(Err(e)) => return refuse(400, "bad_request", "Bad request", &plain(&e)),
            Ok(Ok(described)) => described,
        };
        let head = head_of(described, request.head);
        let (step, now) = self.settle(&head, None, request.now).await;
        self.with(|isolate| isolate.verdict(step, now))
            .unwrap_or_else(super::not_configured)
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
    let read = Head::read(&path, method);
    // `read` takes what stands before the first slash for a host; a path has nothing there.
    Head { host, ..read }.with(
        bearer.or(own.authorization),
        own.x_api_key.filter(|_| own_headers),
        described.origin,
        described.ip,
        None,
        None,
    )
}

impl Isolate {
    fn verdict(&mut self, step: Step, now: Millis) -> Plan {
        let id = self.next_request_id();
        match step {
            Step::Pass(admitted) => {
                self.count_verified(&admitted, now);
                ok_json(
                    &valid(&admitted, &id),
                    ratelimit::headers(&admitted.views, now),
                )
            }
            Step::Refuse(refused) => {
                self.count_refusal(&refused, now);
                ok_json(
                    &invalid(&refused, &id),
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
