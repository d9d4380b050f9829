//! The CORS protocol (WHATWG Fetch, section 3.3), answered from an API's policy.

use crate::origin::{Origin, admits};
use crate::record::CorsPolicy;
use crate::text;

/// Headers that scripts may always read: Keyward's own.
const EXPOSED: &str = "X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, RateLimit, RateLimit-Policy, \
     Retry-After, WWW-Authenticate, X-Keyward-Request-Id";
/// Request headers that are always allowed: the credential's and the body's type.
const ALWAYS_ALLOWED: &str = "Authorization, X-API-Key, Content-Type";
const DEFAULT_METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
/// The longest `Access-Control-Request-Headers` that is echoed, in bytes.
const MAX_REQUESTED: usize = 2_048;

/// A header's name in lower case, and its value.
pub type Header = (&'static str, String);

/// Whether a request is a preflight.
pub fn is_preflight(method: &str, origin: Option<&str>, request_method: Option<&str>) -> bool {
    method == "OPTIONS" && origin.is_some() && request_method.is_some()
}

/// The headers of a preflight's answer, or `None` when the policy does not admit the origin.
pub fn preflight(
    policy: &CorsPolicy,
    origin: &str,
    requested_headers: Option<&str>,
) -> Option<Vec<Header>> {
    if !admits(&policy.allowed_origins, Origin::from_header(Some(origin))) {
        return None;
    }
    let mut headers = vec![
        ("access-control-allow-origin", origin.to_owned()),
        ("access-control-allow-methods", allowed_methods(policy)),
        (
            "access-control-allow-headers",
            allowed_headers(policy, requested_headers),
        ),
        ("access-control-max-age", policy.max_age_seconds.to_string()),
    ];
    if policy.allow_credentials {
        headers.push(("access-control-allow-credentials", "true".to_owned()));
    }
    Some(headers)
}

/// What a preflight's answer varies by.
pub const PREFLIGHT_VARY: &str =
    "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";

/// The methods, as browsers compare them: to the letter, after writing the common ones in capitals. A `*` says nothing to a
/// request with cookies, so what it stands for in practice goes with it.
fn allowed_methods(policy: &CorsPolicy) -> String {
    let listed = policy.allowed_methods.iter().map(|method| {
        let capitals = method.to_ascii_uppercase();
        let is_common = DEFAULT_METHODS.split(',').any(|one| one.trim() == capitals);
        if is_common { capitals } else { method.clone() }
    });
    let listed: Vec<String> = listed.collect();
    match text::join(&listed, ", ") {
        none if none.is_empty() => DEFAULT_METHODS.to_owned(),
        all if policy.allow_credentials && listed.iter().any(|m| m == "*") => {
            format!("{DEFAULT_METHODS}, {all}")
        }
        all => all,
    }
}

fn allowed_headers(policy: &CorsPolicy, requested: Option<&str>) -> String {
    let any = policy.allowed_headers.iter().any(|h| h == "*");
    let echo = requested.filter(|r| {
        any && !r.trim().is_empty()
            && r.len() <= MAX_REQUESTED
            && r.split(',').all(|h| is_token(h.trim()))
    });
    if let Some(echo) = echo {
        return format!("{ALWAYS_ALLOWED}, {echo}");
    }
    let listed = policy.allowed_headers.iter().filter(|h| *h != "*");
    listed.fold(ALWAYS_ALLOWED.to_owned(), |all, h| format!("{all}, {h}"))
}

/// Whether a text may be a header name or method (RFC 9110, `token`).
pub fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// The headers of an actual answer, refusals included. `Vary: Origin` is the caller's to append to every
/// answer, also where this gives none.
pub fn actual(policy: &CorsPolicy, origin: Option<&str>) -> Vec<Header> {
    let Some(origin) =
        origin.filter(|o| admits(&policy.allowed_origins, Origin::from_header(Some(o))))
    else {
        return Vec::new();
    };
    let exposed = policy
        .exposed_headers
        .iter()
        .fold(EXPOSED.to_owned(), |all, h| format!("{all}, {h}"));
    let mut headers = vec![
        ("access-control-allow-origin", origin.to_owned()),
        ("access-control-expose-headers", exposed),
    ];
    if policy.allow_credentials {
        headers.push(("access-control-allow-credentials", "true".to_owned()));
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::OriginPattern;

    fn policy() -> CorsPolicy {
        CorsPolicy {
            allowed_origins: vec![OriginPattern::parse("https://*.example.com").unwrap()],
            max_age_seconds: 600,
            ..CorsPolicy::default()
        }
    }

    fn get<'a>(headers: &'a [Header], name: &str) -> Option<&'a str> {
        headers
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, v)| v.as_str())
    }

    #[test]
    fn a_preflight_names_the_origin_and_what_is_allowed() {
        let headers = preflight(&policy(), "https://a.example.com", Some("x-custom")).unwrap();
        assert_eq!(
            get(&headers, "access-control-allow-origin"),
            Some("https://a.example.com")
        );
        assert_eq!(get(&headers, "access-control-max-age"), Some("600"));
        assert_eq!(
            get(&headers, "access-control-allow-headers"),
            Some("Authorization, X-API-Key, Content-Type")
        );
        assert_eq!(get(&headers, "access-control-allow-credentials"), None);
    }

    #[test]
    fn methods_are_written_as_browsers_compare_them() {
        let allowed = |methods: &[&str], allow_credentials| {
            let policy = CorsPolicy {
                allowed_methods: methods.iter().map(|&m| m.to_owned()).collect(),
                allow_credentials,
                ..policy()
            };
            let headers = preflight(&policy, "https://a.example.com", None).unwrap();
            get(&headers, "access-control-allow-methods")
                .unwrap()
                .to_owned()
        };
        assert_eq!(allowed(&[], false), DEFAULT_METHODS);
        assert_eq!(
            allowed(&["put", "Patch", "purge"], false),
            "PUT, PATCH, purge"
        );
        assert_eq!(allowed(&["*"], false), "*");
        // With cookies browsers read `*` as a method of that name.
        assert_eq!(allowed(&["*"], true), format!("{DEFAULT_METHODS}, *"));
    }

    #[test]
    fn any_header_is_echoed_only_if_it_is_one() {
        let p = CorsPolicy {
            allowed_headers: vec!["*".into()],
            ..policy()
        };
        let allowed = |r| {
            let headers = preflight(&p, "https://a.example.com", Some(r)).unwrap();
            get(&headers, "access-control-allow-headers")
                .unwrap()
                .to_owned()
        };
        assert!(allowed("x-a, x-b").ends_with(", x-a, x-b"));
        assert!(!allowed("x-a\u{1}").contains("x-a"));
    }

    #[test]
    fn origins_that_are_not_admitted_get_nothing() {
        assert!(preflight(&policy(), "https://example.com", None).is_none());
        assert!(preflight(&policy(), "null", None).is_none());
        assert!(actual(&policy(), Some("https://evil.com")).is_empty());
        assert!(actual(&policy(), None).is_empty());
        assert!(!actual(&policy(), Some("https://a.example.com")).is_empty());
    }
}
