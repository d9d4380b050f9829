use super::*;
use crate::window::Window;
use serde_json::{Value, json};

fn header<'a>(refusal: &'a Refusal, name: &str) -> Option<&'a str> {
    refusal.fields.get(name)
}

#[test]
fn a_429_has_the_documented_body() {
    let denial = Denial::RateLimited {
        cost: 1,
        refusal: QuotaRefusal {
            retry_in: 44_001,
            violated: vec![Window::Minute.into()],
        },
        limits: RateLimits {
            requests_per_minute: Some(100),
            requests_per_hour: Some(5_000),
            requests_per_day: Some(100_000),
        },
    };
    let refusal = denial.refusal("req_1", "Demo");
    let body: Value = serde_json::from_str(&refusal.body).unwrap();
    assert_eq!(
        body,
        json!({
            "type": "urn:keyward:problem:rate_limited", "title": "Rate limit exceeded", "status": 429,
            "detail": "The limit of the API key is reached: minute", "code": "rate_limited", "requestId": "req_1",
            "error": "Rate limit exceeded", "message": "Too many requests. Please try again later.", "retryAfter": 45,
            "rateLimits": {"requestsPerMinute": 100, "requestsPerHour": 5000, "requestsPerDay": 100000},
            "violatedPolicies": ["minute"]
        })
    );
    assert_eq!(header(&refusal, "retry-after"), Some("45"));
}

#[test]
fn a_cost_that_never_fits_is_refused_without_a_time_to_try_again() {
    let denial = Denial::RateLimited {
        cost: 50,
        refusal: QuotaRefusal {
            retry_in: 3_600_000,
            violated: vec![Window::Minute.into(), Window::Hour.into()],
        },
        limits: RateLimits {
            requests_per_minute: Some(49),
            requests_per_hour: Some(50),
            requests_per_day: None,
        },
    };
    let refusal = denial.refusal("req_1", "Demo");
    assert_eq!(
        (refusal.status, header(&refusal, "retry-after")),
        (429, None)
    );
    let body: Value = serde_json::from_str(&refusal.body).unwrap();
    let detail = "The request costs 50 units, more than the API key's limit ever allows: minute";
    assert_eq!(
        (&body["detail"], &body["message"]),
        (&json!(detail), &json!(detail))
    );
    assert_eq!(
        (&body["cost"], &body["retryAfter"]),
        (&json!(50), &Value::Null)
    );
    assert_eq!(body["violatedPolicies"], json!(["minute", "hour"]));
}

#[test]
fn callers_cannot_tell_unknown_revoked_deleted_and_forged_keys_apart() {
    let kinds = [
        InvalidKey::Forged,
        InvalidKey::Unknown,
        InvalidKey::Revoked,
        InvalidKey::Deleted,
        InvalidKey::OwnerRemoved,
        InvalidKey::Replaced,
        InvalidKey::OtherTenant,
    ];
    let answers: Vec<_> = kinds
        .map(|k| Denial::InvalidKey(k).refusal("r", "A"))
        .to_vec();
    assert!(answers.windows(2).all(|w| w[0] == w[1]));
    let reasons: std::collections::BTreeSet<_> = kinds.iter().map(|k| k.reason()).collect();
    assert_eq!(reasons.len(), kinds.len(), "logs can");
}

#[test]
fn challenges_follow_rfc_6750() {
    let missing = Denial::MissingCredential.refusal("r", "My \"API\"\r\n");
    assert_eq!(
        header(&missing, "www-authenticate"),
        Some("Bearer realm=\"My API\"")
    );
    let scope = Denial::InsufficientPermission {
        needed: Permission::parse("customers.read").unwrap(),
    };
    assert_eq!(
        header(&scope.refusal("r", "A"), "www-authenticate"),
        Some("Bearer realm=\"A\", error=\"insufficient_scope\", scope=\"customers.read\"")
    );
    assert_eq!(
        header(&Denial::IpNotAllowed.refusal("r", "A"), "www-authenticate"),
        None
    );
}

/// One of each kind. A new kind does not compile here until it stands in the list below.
fn every_kind() -> Vec<Denial> {
    let listed = |denial: &Denial| match denial {
        Denial::MissingCredential
        | Denial::MalformedCredential(_)
        | Denial::InvalidKey(_)
        | Denial::ExpiredKey
        | Denial::WrongEnvironment { .. }
        | Denial::InsufficientPermission { .. }
        | Denial::AccountNotAllowed { .. }
        | Denial::ResourceNotAllowed { .. }
        | Denial::OriginNotAllowed { .. }
        | Denial::IpNotAllowed
        | Denial::RateLimited { .. }
        | Denial::QuotaExceeded { .. }
        | Denial::TooManyUnknown { .. }
        | Denial::UnknownApi
        | Denial::UnknownRoute
        | Denial::MethodNotAllowed { .. }
        | Denial::BadRequest { .. }
        | Denial::UpstreamUnreachable
        | Denial::GuardUnavailable
        | Denial::UpstreamTimeout => (),
    };
    let text = String::new;
    let refusal = QuotaRefusal {
        retry_in: 1,
        violated: Vec::new(),
    };
    let limits = RateLimits::default();
    let all = vec![
        Denial::MissingCredential,
        Denial::MalformedCredential(""),
        Denial::InvalidKey(InvalidKey::Unknown),
        Denial::ExpiredKey,
        Denial::WrongEnvironment { endpoint: text() },
        Denial::InsufficientPermission {
            needed: Permission::parse("a.b").unwrap(),
        },
        Denial::AccountNotAllowed { account: text() },
        Denial::ResourceNotAllowed { resource: text() },
        Denial::OriginNotAllowed { origin: None },
        Denial::IpNotAllowed,
        Denial::RateLimited {
            cost: 1,
            refusal: refusal.clone(),
            limits,
        },
        Denial::TooManyUnknown { retry_in: 1 },
        Denial::QuotaExceeded {
            cost: 1,
            refusal,
            limits,
        },
        Denial::UnknownApi,
        Denial::UnknownRoute,
        Denial::MethodNotAllowed { allow: Vec::new() },
        Denial::BadRequest {
            status: 400,
            detail: text(),
        },
        Denial::UpstreamUnreachable,
        Denial::GuardUnavailable,
        Denial::UpstreamTimeout,
    ];
    all.iter().for_each(listed);
    all
}

#[test]
fn the_catalogue_lists_the_code_of_every_kind_in_order() {
    let mut codes: Vec<_> = every_kind().iter().map(Denial::code).collect();
    // Two kinds of one code follow each other.
    codes.dedup();
    assert_eq!(codes, CODES);
}

#[test]
fn a_quota_that_is_used_up_is_told_apart_from_a_rate_and_a_final_refusal_names_no_wait() {
    let denial = |violated: &[Policy], retry_in| {
        let refusal = QuotaRefusal {
            retry_in,
            violated: violated.to_vec(),
        };
        let denial = Denial::limited(1, refusal, RateLimits::default());
        let refusal = denial.refusal("req_1", "Demo");
        let body: Value = serde_json::from_str(&refusal.body).unwrap();
        assert_eq!(refusal.status, 429);
        assert_eq!(
            header(&refusal, "retry-after").is_some(),
            body["retryAfter"].is_u64()
        );
        body
    };
    let minute = Policy::Identity(Window::Minute);
    let body = denial(&[minute], 1_500);
    assert_eq!(
        (&body["code"], &body["retryAfter"]),
        (&json!("rate_limited"), &json!(2))
    );
    assert_eq!(body["violatedPolicies"], json!(["identity-minute"]));
    let body = denial(&[Window::Day.into(), Policy::Month], 1_500);
    assert_eq!(
        body,
        json!({
            "type": "urn:keyward:problem:quota_exceeded", "title": "Quota exceeded", "status": 429,
            "detail": "The quota is used up: day, month", "code": "quota_exceeded", "requestId": "req_1",
            "error": "Quota exceeded", "message": "The quota is used up: day, month", "retryAfter": 2,
            "rateLimits": {}, "violatedPolicies": ["day", "month"]
        })
    );
    let body = denial(&[Policy::Credits], crate::ledger::NEVER_MS - 9_000);
    assert_eq!(body["retryAfter"], Value::Null);
    let body = denial(&[minute], crate::ledger::NEVER_MS);
    assert_eq!(
        body["message"],
        json!("The limit of the API key is reached: identity-minute")
    );
}
