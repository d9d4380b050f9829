//! Where a request carries its API key: `Authorization: Bearer …` (RFC 6750) or `X-API-Key`. Never the query.

use crate::denial::Denial;

/// The longest credential that is looked at, in bytes.
pub const MAX_CREDENTIAL: usize = 512;

/// The presented key. Repeated headers arrive joined with commas, and are refused by the grammar.
///
/// # Errors
/// [`Denial::MissingCredential`] without either header, [`Denial::MalformedCredential`] for headers that
/// can't be read or contradict each other.
pub fn presented<'a>(
    authorization: Option<&'a str>,
    x_api_key: Option<&'a str>,
) -> Result<&'a str, Denial> {
    let bearer = authorization.map(from_authorization).transpose()?;
    let plain = x_api_key.map(|v| checked(trim(v))).transpose()?;
    match (bearer, plain) {
        (None, None) => Err(Denial::MissingCredential),
        (Some(a), Some(b)) if a != b => Err(Denial::MalformedCredential(
            "Authorization and X-API-Key carry different keys",
        )),
        (Some(key), _) | (None, Some(key)) => Ok(key),
    }
}

fn from_authorization(value: &str) -> Result<&str, Denial> {
    let value = trim(value);
    let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Denial::MalformedCredential(
            "The Authorization header must be `Bearer` and an API key",
        ));
    }
    checked(rest.trim_start_matches(' '))
}

/// Without the white space that may stand around a header's value (RFC 9110, section 5.5).
fn trim(value: &str) -> &str {
    value.trim_matches([' ', '\t'])
}

fn checked(key: &str) -> Result<&str, Denial> {
    if key.is_empty() {
        return Err(Denial::MalformedCredential("The API key is empty"));
    }
    if key.len() > MAX_CREDENTIAL {
        return Err(Denial::MalformedCredential("The API key is too long"));
    }
    // b64token of RFC 6750, section 2.1; no comma, so that two joined headers are not taken for one key.
    let fits = key
        .bytes()
        .all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=' | b':'));
    if !fits {
        return Err(Denial::MalformedCredential(
            "The API key has characters that no key has",
        ));
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn malformed(authorization: Option<&str>, x_api_key: Option<&str>) -> bool {
        matches!(
            presented(authorization, x_api_key),
            Err(Denial::MalformedCredential(_))
        )
    }

    #[test]
    fn either_header_or_both_with_the_same_key_will_do() {
        assert_eq!(presented(Some("Bearer k_1"), None), Ok("k_1"));
        assert_eq!(presented(Some("bEARER   k_1"), None), Ok("k_1"));
        assert_eq!(presented(None, Some("k_1")), Ok("k_1"));
        assert_eq!(presented(Some("Bearer k_1"), Some("k_1")), Ok("k_1"));
        assert_eq!(presented(None, None), Err(Denial::MissingCredential));
    }

    #[test]
    fn everything_else_is_malformed() {
        assert!(malformed(Some("Bearer k_1"), Some("k_2")));
        assert!(malformed(Some("Basic dXNlcg=="), None));
        assert!(malformed(Some("Basic dXNlcg=="), Some("k_1")));
        assert!(malformed(Some("Bearer"), None));
        assert!(malformed(Some(""), None));
        assert!(malformed(None, Some("")));
        assert!(malformed(Some("Bearer a b"), None));
        assert!(malformed(Some("Bearer a, Bearer b"), None));
        assert!(malformed(None, Some("a, a")));
        assert!(malformed(Some("Bearer k\u{e4}"), None));
        assert!(malformed(None, Some(&"a".repeat(513))));
        assert!(malformed(Some("k_1"), None));
    }
}
