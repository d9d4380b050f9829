//! `POST /.keyward/verify`: the same decision for services that are not behind the Worker.

use shared::Millis;
use shared::cors;
use shared::ip;
use shared::json::Object;
use shared::lease::PolicyView;
use shared::ledger::is_never;
use shared::permission;
use shared::ratelimit;
use shared::read::{self, Json};

use super::GateCode;
use super::control::ControlRequest;
use super::decision::{Admitted, Refused, Step};
use super::head::Head;
use super::isolate::{Isolate, Outcome};
use super::plan::Plan;

/// The most values that a description may have: some more than it could need.
const MOST_VALUES: usize = 64;

/// A request as another service saw it.
#[derive(Default)]
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
        let mut described = match request.json_text().map(Described::read) {
            Err(refusal) => return refusal,
            Ok(Err(what)) => return request.bad_request(what),
            Ok(Ok(described)) => described,
        };
        if let Err(what) = described.check() {
            return request.bad_request(what);
        }
        if let Some(method) = &mut described.method {
            method.make_ascii_uppercase();
        }
        let bearer = described.key.as_ref().map(|key| format!("Bearer {key}"));
        let (own, _) = Head::read(&request.facts);
        let head = head_of(&described, bearer.as_deref(), &own);
        let (step, now) = self.settle(&head, None, request.now).await;
        self.with(|isolate| isolate.verdict(step, &request.id, now))
            .unwrap_or_else(super::not_configured)
    }
}

impl Described {
    /// Reads it. Of a member that is not known nothing could be decided, so it is refused.
    ///
    /// # Errors
    /// What is wrong, without the input's own values: they may be keys.
    fn read(text: &str) -> Result<Self, &'static str> {
        const MISFIT: &str = "The body must be an object with `key`, `method`, `path`, `host`, `origin`, `ip`: texts";
        let Ok(json) = read::parse_at_most(text, MOST_VALUES) else {
            return Err("The body is not valid JSON, or of too many values");
        };
        let Json::Object(members) = json else {
            return Err(MISFIT);
        };
        let mut described = Self::default();
        for (place, (name, value)) in members.iter().enumerate() {
            let before = members.get(..place).unwrap_or_default();
            // Two readers could differ on which of them counts.
            if before.iter().any(|(known, _)| known == name) {
                return Err(MISFIT);
            }
            let member = match name.as_ref() {
                "key" => &mut described.key,
                "method" => &mut described.method,
                "path" => &mut described.path,
                "host" => &mut described.host,
                "origin" => &mut described.origin,
                "ip" => &mut described.ip,
                _ => return Err(MISFIT),
            };
            *member = match value {
                Json::Text(text) => Some(text.clone().into_owned()),
                Json::Null => None,
                _ => return Err(MISFIT),
            };
        }
        Ok(described)
    }

    /// What can't be a request at all is not decided about: it would be read in one way here and in another
    /// where it came from.
    fn check(&self) -> Result<(), &'static str> {
        if self.path.as_deref().is_some_and(|p| !p.starts_with('/')) {
            return Err("`path` begins with a slash");
        }
        if self.method.as_deref().is_some_and(|m| !cors::is_token(m)) {
            return Err("`method` is an HTTP method");
        }
        if self.ip.as_deref().is_some_and(|ip| ip::parse(ip).is_none()) {
            return Err("`ip` is an IPv4 or IPv6 address");
        }
        Ok(())
    }
}

fn head_of<'a>(described: &'a Described, bearer: Option<&'a str>, own: &Head<'a>) -> Head<'a> {
    let target = Head::of_uri(described.path.as_deref().unwrap_or("/"));
    Head {
        method: described.method.as_deref().unwrap_or("GET"),
        host: described.host.as_deref().unwrap_or(own.host),
        authorization: bearer.or(own.authorization),
        x_api_key: own.x_api_key.filter(|_| bearer.is_none()),
        origin: described.origin.as_deref(),
        client_ip: described.ip.as_deref(),
        is_described: true,
        ..target
    }
}

impl Isolate {
    fn verdict(&mut self, step: Step, id: &str, now: Millis) -> Plan {
        match step {
            Step::Pass(admitted) => {
                self.count_verified(&admitted, now);
                ok_json(valid(&admitted, id), &admitted.views, now)
            }
            Step::Refuse(refused) => {
                self.count_refusal(&refused, now);
                ok_json(invalid(&refused, id), &refused.views, now)
            }
            Step::Preflight(_) | Step::Need(_) => super::not_configured(),
        }
    }

    /// Counts a request that another service or proxy lets pass.
    pub fn count_verified(&mut self, admitted: &Admitted, now: Millis) {
        let key = &admitted.key.record;
        self.count(&Outcome {
            key: &key.id,
            account: &key.account,
            api: &admitted.api.record.id,
            code: "ok",
            status: 200,
            cost: admitted.cost,
            latency: 0,
            at: now,
        });
    }
}

fn ok_json(verdict: Object, views: &[PolicyView], now: Millis) -> Plan {
    let mut plan = super::control::ok_json(verdict);
    if let Plan::Answer { fields, .. } = &mut plan {
        ratelimit::put_fields(fields, views, now);
    }
    plan
}

fn valid(admitted: &Admitted, id: &str) -> Object {
    let key = &admitted.key.record;
    let mut verdict = Object::default();
    verdict
        .flag("valid", true)
        .number("status", 200)
        .text("code", "ok")
        .text("requestId", id)
        .text("keyId", &key.id)
        .text("accountId", &key.account)
        .text_or_null("ownerId", key.owner.as_deref())
        .text("environment", &admitted.api.endpoint.environment)
        .texts(
            "permissions",
            permission::effective(&key.permissions, key.role_permissions.as_deref()),
        )
        .number("cost", u64::from(admitted.cost))
        .objects("windows", windows(&admitted.views));
    verdict
}

fn invalid(refused: &Refused, id: &str) -> Object {
    let mut verdict = refused.denial.problem(id);
    verdict
        .flag("valid", false)
        .objects("windows", windows(&refused.views));
    verdict
}

fn windows(views: &[PolicyView]) -> impl Iterator<Item = Object> {
    views.iter().map(|view| {
        let mut window = Object::default();
        window
            .text("window", view.policy.name())
            .number("limit", view.limit)
            .number("remaining", view.remaining);
        if !is_never(view.reset_in) {
            window.number("resetSeconds", ratelimit::whole_seconds(view.reset_in));
        }
        window
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_read_and_null_is_as_good_as_missing() {
        let text = r#"{"key":"a\u0062","path":null,"ip":"::1"}"#;
        let read = Described::read(text).ok().unwrap();
        assert_eq!(read.key.as_deref(), Some("ab"));
        assert_eq!(read.ip.as_deref(), Some("::1"));
        assert!(read.path.is_none() && read.method.is_none());
    }

    #[test]
    fn a_description_with_a_member_twice_is_refused() {
        for text in [
            r#"{"ip":"203.0.113.7","ip":null}"#,
            r#"{"ip":null,"ip":"203.0.113.7"}"#,
            r#"{"ip":"203.0.113.7","\u0069p":"203.0.113.8"}"#,
        ] {
            assert!(Described::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_description_is_not_read_to_its_end() {
        for text in [
            format!(r#"{{"key":[{}1]}}"#, "[1],".repeat(1_000)),
            format!("{{{}\"\":1}}", "\"\":1,".repeat(1_000)),
        ] {
            let why = Described::read(&text).err().unwrap();
            assert!(why.contains("too many values"), "{why}");
        }
    }
}
