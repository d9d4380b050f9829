//! `/.keyward/…`, reserved on every guarded host: `health`, `verify`, `push`, `state`.

use shared::Millis;
use shared::fields::Fields;
use shared::json::Object;
use shared::problem::{Kind, MEDIA_TYPE};
use shared::secret::Secret;
use shared::text;
use shared::webhook::{self, SignedHeaders};

use super::GateCode;
use super::RESERVED;
use super::answer::REQUEST_ID;
use super::head::Head;
use super::plan::Plan;

/// A request to a reserved path, with its body.
pub struct ControlRequest {
    /// The request's id.
    pub id: String,
    /// What [`Head::read`] reads.
    pub facts: String,
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
        let kind = Kind {
            status,
            code,
            title,
        };
        let mut plan = answer(status, MEDIA_TYPE, kind.object(detail, detail, &self.id));
        if let Plan::Answer { fields, .. } = &mut plan {
            fields.put(REQUEST_ID, &self.id);
        }
        plan
    }

    /// 400.
    pub fn bad_request(&self, detail: &str) -> Plan {
        self.refuse(400, "bad_request", "Bad request", detail)
    }

    /// The body as a text that says it is JSON.
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
        std::str::from_utf8(body).map_err(|_| self.bad_request("The body is not valid UTF-8"))
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
        webhook::verify(secret, headers, body, self.now / 1_000)
            .map_err(|e| self.refuse(401, "invalid_signature", "Invalid signature", e.message()))
    }
}

/// A 200 with JSON.
pub fn ok_json(value: Object) -> Plan {
    answer(200, "application/json", value)
}

fn answer(status: u16, media_type: &str, body: Object) -> Plan {
    let mut fields = Fields::with_capacity(512);
    fields.put("content-type", media_type);
    fields.put("cache-control", "no-store");
    Plan::answer(status, body.finish(), fields)
}

impl GateCode {
    /// Serves a reserved path.
    pub async fn control(&self, request: ControlRequest) -> Plan {
        let (head, _) = Head::read(&request.facts);
        let path = shared::path::canonical(head.path).unwrap_or_default();
        let name = path.strip_prefix(RESERVED).unwrap_or_default();
        let methods: &[&str] = match name {
            "health" => &["GET", "HEAD"],
            "state" => &["GET", "POST"],
            "verify" => &["GET", "HEAD", "POST"],
            "push" => &["POST"],
            _ => {
                let detail = "There is nothing here";
                return request.refuse(404, "unknown_route", "Unknown route", detail);
            }
        };
        if !methods.contains(&head.method) {
            let methods = text::join(methods, ", ");
            let detail = format!("This path takes {methods}");
            let mut plan = request.refuse(405, "unknown_route", "Method not allowed", &detail);
            if let Plan::Answer { fields, .. } = &mut plan {
                fields.put("allow", &methods);
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
        let mut health = Object::default();
        health
            .text("status", if configured { "ok" } else { "not configured" })
            .text("version", env!("CARGO_PKG_VERSION"));
        let mut plan = ok_json(health);
        if let (Plan::Answer { status, .. }, false) = (&mut plan, configured) {
            *status = 503;
        }
        plan
    }

    /// For the control plane: this isolate's counters, or, to a question in the body, that a guard is to be asked.
    fn state(&self, request: &ControlRequest) -> Plan {
        let Some(secret) = self.with(|isolate| isolate.config.push.clone()) else {
            return super::not_configured();
        };
        if let Err(refusal) = request.delivery(&secret) {
            return refusal;
        }
        if request.body.as_ref().is_some_and(|body| !body.is_empty()) {
            let mut ask = Object::default();
            // JavaScript looks for this very text.
            ask.text("ask", "guard");
            return ok_json(ask);
        }
        let state = self.with(|isolate| {
            let mut counters = Object::default();
            counters
                .number("requests", isolate.counters.requests)
                .number("kvReads", isolate.counters.kv_reads)
                .number("guardCalls", isolate.counters.guard_calls);
            let mut state = Object::default();
            state
                .text("gate", &isolate.id)
                .raw("counters", &counters.finish());
            state
        });
        ok_json(state.unwrap_or_default())
    }
}
