//! `GET /.keyward/verify`: the decision about a request that another proxy describes in headers (nginx's
//! `auth_request`, Caddy's `forward_auth`, Traefik's `ForwardAuth`).
//!
//! 200 lets the request pass, and names the caller in headers; anything else is the refusal itself.

use shared::Millis;
use shared::denial::Denial;
use shared::fields::Fields;
use shared::json;
use shared::ratelimit;

use super::answer;
use super::decision::{Admitted, Refused, Step};
use super::head::{Forwarded, Head};
use super::isolate::Isolate;
use super::kept::Fixed;
use super::plan::Plan;
use super::{Refusal, VERIFY};

/// What a proxy puts into the query that can only tell 401 and 403 from an error, as nginx does: then every
/// refusal but 401 is sent as 403, its own status in `X-Keyward-Status`. Such a proxy drops the body, too, so
/// that stands in `X-Keyward-Problem`.
const REFUSE_AS_403: &str = "?refuse=403";

/// How the asking proxy wants its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    refuse_as_403: bool,
}

/// Whether a request to a reserved path asks about another.
pub fn is_asked(head: &Head<'_>) -> bool {
    let is_read = head.method == "GET" || head.method == "HEAD";
    is_read
        && (head.path == VERIFY || shared::path::canonical(head.path).is_ok_and(|p| p == VERIFY))
}

/// The request that is asked about. Credentials, `Origin` and what a preflight carries are the asking one's own:
/// proxies pass them on.
///
/// # Errors
/// What is missing. To guess a method or a path would be to check another route than the one that is called.
pub fn described<'a>(
    head: &Head<'a>,
    forwarded: Option<Forwarded<'a>>,
) -> Result<(Head<'a>, Asked), Refusal> {
    let forwarded = forwarded.ok_or(Refusal::BadRequest("Write the path as `/.keyward/verify`"))?;
    let method = forwarded.method.ok_or(Refusal::BadRequest(
        "Send the request's method as `X-Forwarded-Method` or `X-Original-Method`",
    ))?;
    let target = match (forwarded.uri, forwarded.url) {
        // No request has a fragment: servers differ on what it would mean.
        (Some(uri), _) if uri.starts_with('/') && !uri.contains('#') => Head::of_uri(uri),
        (None, Some(url)) if has_scheme(url) => Head::of_url(url),
        _ => {
            return Err(Refusal::BadRequest(
                "Send the request's path as `X-Forwarded-Uri` or `X-Original-URI`, or its URL as `X-Original-URL`",
            ));
        }
    };
    // Methods are told apart by case (RFC 9110, section 9.1), and not every server does: `post` is neither
    // taken for `POST` nor for a method that no route lists.
    if !shared::cors::is_token(method) || method.bytes().any(|b| b.is_ascii_lowercase()) {
        return Err(Refusal::BadRequest(
            "The described method is no HTTP method",
        ));
    }
    let host = forwarded
        .host
        .or((!target.host.is_empty()).then_some(target.host));
    let described = Head {
        method,
        host: host.unwrap_or(head.host),
        path: target.path,
        query: target.query,
        is_described: true,
        // The last of the hops is the one that the asking proxy has seen itself; those before it are hearsay.
        client_ip: head.client_ip.and_then(|hops| hops.rsplit(',').next()),
        ..*head
    };
    let refuse_as_403 = head.query == REFUSE_AS_403;
    Ok((described, Asked { refuse_as_403 }))
}

fn has_scheme(url: &str) -> bool {
    url.split_once(':')
        .is_some_and(|(_, rest)| rest.starts_with("//"))
}

impl Isolate {
    /// The answer to the proxy that asks.
    pub fn forward_auth(
        &mut self,
        head: &Head<'_>,
        asked: &Asked,
        step: Step,
        now: Millis,
    ) -> Plan {
        let id = self.next_request_id();
        match step {
            Step::Pass(admitted) => self.let_pass(head, &admitted, &id, now),
            Step::Refuse(refused) => self.turn_away(head, asked, &refused, &id, now),
            Step::Preflight(api) => answer::preflight(head, &api.record, &id),
            Step::Need(_) => answer::bare(&Denial::GuardUnavailable, &id),
        }
    }

    fn let_pass(&mut self, head: &Head<'_>, admitted: &Admitted, id: &str, now: Millis) -> Plan {
        self.count_verified(admitted, now);
        let mut fields = Fields::with_capacity(512);
        // The asking proxy says where the request goes.
        self.put_proof(&mut fields, head, admitted, "", id, now);
        ratelimit::put_state(&mut fields, &admitted.views, now);
        let write = |fields: &mut Fields| {
            answer::put_identity(fields, admitted);
            ratelimit::put_limits(fields, &admitted.views);
            answer::put_cors(fields, &admitted.api.record, head.origin);
            fields.put("vary", "Origin");
            fields.put("cache-control", "no-store");
        };
        let fixed = if head.origin.is_none() {
            let about = answer::about_views(admitted.api.serial, &admitted.views);
            self.kept.fixed(&admitted.key.mark, about, write)
        } else {
            Fixed::once(write)
        };
        Plan::Answer {
            status: 200,
            body: String::new(),
            fixed,
            fields,
        }
    }

    fn turn_away(
        &mut self,
        head: &Head<'_>,
        asked: &Asked,
        refused: &Refused,
        id: &str,
        now: Millis,
    ) -> Plan {
        let mut plan = self.refuse_caller(head, refused, true, id, now);
        if let Plan::Answer { status, fields, .. } = &mut plan
            && asked.refuse_as_403
        {
            let problem = refused.denial.problem(id).finish();
            fields.put("x-keyward-problem", &json::ascii(&problem));
            if *status != 401 {
                *status = 403;
            }
        }
        plan
    }
}
