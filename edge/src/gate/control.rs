//! `/.keyward/…`, reserved on every guarded host: `health`, `verify`, `push`, `state`.

use serde_json::json;
use shared::Millis;
use shared::problem::{MEDIA_TYPE, Problem};
use shared::secret::Secret;
use shared::webhook::{self, SignedHeaders};

use super::GateCode;
use super::RESERVED;
use super::answer::REQUEST_ID;
use super::head::Head;
use super::plan::{Header, Plan};

/// A request to a reserved path, with its body.
pub struct ControlRequest {
    /// The request's id.
    pub id: String,
    /// Method, host, path, credential headers.
    pub head: Head,
    /// `None` when it was too large.
    pub body: Option<Vec<u8>>,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `webhook-id`.
    pub webhook_id: Option<String>,
    /// `webhook-timestamp`.
    pub webhook_timestamp: Option<String>,
    /// `webhook-signature`.
    pub webhook_signature: Option<String>,
    /// When it arrived.
    pub now: Millis,
}

impl ControlRequest {
    /// A refusal of a reserved path's own.
    pub fn refuse(&self, status: u16, code: &str, title: &str, detail: &str) -> Plan {
        let problem = Problem::new(status, code, title, detail).with_request_id(&self.id);
        Plan::Answer {
            status,
            body: problem.to_json(),
            headers: vec![
                ("content-type", MEDIA_TYPE.to_owned()),
                ("cache-control", "no-store".to_owned()),
                (REQUEST_ID, self.id.clone()),
            ],
        }
    }

    /// 400.
    pub fn bad_request(&self, detail: &str) -> Plan {
        self.refuse(400, "bad_request", "Bad request", detail)
    }

    /// The body as the text of a JSON object, as far as its first character tells.
    ///
    /// # Errors
    /// The plan to answer with: 413, 415 or 400.
    pub fn json_text(&self) -> Result<&str, Plan> {
        let body = self.body.as_deref().ok_or_else(|| {
            self.refuse(
                413,
                "bad_request",
                "Payload too large",
                "The body is larger than 4 MiB",
            )
        })?;
        let is_json = self.content_type.as_deref().is_some_and(|t| {
            let media = t.split(';').next().unwrap_or_default().trim();
            media.eq_ignore_ascii_case("application/json")
        });
        if !is_json {
            let detail = "Send the body as application/json";
            return Err(self.refuse(415, "bad_request", "Unsupported media type", detail));
        }
        let text = std::str::from_utf8(body)
            .map_err(|_| self.bad_request("The body is not valid UTF-8"))?;
        // Without this, serde would also read a list, as the fields in their order.
        if text.trim_start().starts_with('[') {
            return Err(self.bad_request("The body must be a JSON object"));
        }
        Ok(text)
    }

    /// The webhook's id and timestamp, its signature being good for this body.
    ///
    /// # Errors
    /// The plan to answer with: 401, or 413 when the body was too large to check.
    pub fn delivery(&self, secret: &Secret) -> Result<String, Plan> {
        let Some(body) = self.body.as_deref() else {
            return self.json_text().map(str::to_owned);
        };
        let headers = SignedHeaders {
            id: self.webhook_id.as_deref(),
            timestamp: self.webhook_timestamp.as_deref(),
            signature: self.webhook_signature.as_deref(),
        };
        webhook::verify(secret, headers, body, self.now / 1_000).map_err(|e| {
            self.refuse(
                401,
                "invalid_signature",
                "Invalid signature",
                &e.to_string(),
            )
        })
    }
}

/// A 200 with JSON.
pub fn ok_json(value: &serde_json::Value, more: Vec<Header>) -> Plan {
    let mut headers = vec![
        ("content-type", "application/json".to_owned()),
        ("cache-control", "no-store".to_owned()),
    ];
    headers.extend(more);
    Plan::Answer {
        status: 200,
        body: value.to_string(),
        headers,
    }
}

impl GateCode {
    /// Serves a reserved path.
    pub async fn control(&self, request: ControlRequest) -> Plan {
        let path = shared::path::canonical(&request.head.path).unwrap_or_default();
        let name = path.strip_prefix(RESERVED).unwrap_or_default();
        let methods: &[&str] = match name {
            "health" => &["GET", "HEAD"],
            "state" => &["GET"],
            "verify" | "push" => &["POST"],
            _ => {
                let detail = "There is nothing here";
                return request.refuse(404, "unknown_route", "Unknown route", detail);
            }
        };
        if !methods.contains(&request.head.method.as_str()) {
            let detail = format!("This path takes {}", methods.join(", "));
            let mut plan = request.refuse(405, "unknown_route", "Method not allowed", &detail);
            if let Plan::Answer { headers, .. } = &mut plan {
                headers.push(("allow", methods.join(", ")));
            }
            return plan;
        }
        match name {
            "health" => self.health(),
            "state" => self.state(&request),
            "verify" => self.verify(request).await,
            _ => self.push(request).await,
        }
    }

    /// Says that the Worker runs, and whether it is configured; never with what.
    fn health(&self) -> Plan {
        let configured = self.with(|_| ()).is_some();
        let health = json!({
            "status": if configured { "ok" } else { "not configured" },
            "version": env!("CARGO_PKG_VERSION"),
        });
        let mut plan = ok_json(&health, Vec::new());
        if let (Plan::Answer { status, .. }, false) = (&mut plan, configured) {
            *status = 503;
        }
        plan
    }

    /// This isolate's counters, for the control plane.
    fn state(&self, request: &ControlRequest) -> Plan {
        let Some(secret) = self.with(|isolate| isolate.config.push.clone()) else {
            return super::not_configured();
        };
        if let Err(refusal) = request.delivery(&secret) {
            return refusal;
        }
        let state = self.with(|i| json!({ "gate": i.id, "counters": i.counters }));
        ok_json(&state.unwrap_or_default(), Vec::new())
    }
}
