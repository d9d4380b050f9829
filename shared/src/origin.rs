//! Web origins, as browsers serialise them (WHATWG HTML "ASCII serialisation of an origin"), and patterns for them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest origin or pattern, in characters.
pub const MAX_ORIGIN: usize = 300;

/// Why a text is no origin, or no pattern for origins.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "an origin is scheme://host or scheme://host:port in lower case, without a path and without the scheme's own default port; \
     the host may begin with `*.` for its subdomains"
)]
pub struct OriginError;

/// The value of an `Origin` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin<'a> {
    /// The header was not sent.
    Absent,
    /// `null`: sandboxed frames, `data:` documents. Never admitted.
    Opaque,
    /// A tuple origin, in serialised form.
    Tuple(Parts<'a>),
    /// Not what a browser sends. Never admitted.
    Malformed,
}

/// A tuple origin in its serialised parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts<'a> {
    scheme: &'a str,
    host: &'a str,
    port: Option<u16>,
}

impl<'a> Origin<'a> {
    /// Reads the `Origin` header's value.
    pub fn from_header(value: Option<&'a str>) -> Self {
        match value {
            None => Self::Absent,
            Some("null") => Self::Opaque,
            Some(text) => parse_parts(text).map_or(Self::Malformed, Self::Tuple),
        }
    }
}

fn parse_parts(text: &str) -> Option<Parts<'_>> {
    if text.len() > MAX_ORIGIN {
        return None;
    }
    let (scheme, rest) = text.split_once("://")?;
    let scheme_fits = scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b));
    let (host, port) = if rest.starts_with('[') {
        let end = rest.find(']')? + 1;
        let (host, after) = rest.split_at(end);
        (host, parse_port(after)?)
    } else {
        match rest.find(':') {
            Some(at) => {
                let (host, after) = rest.split_at(at);
                (host, parse_port(after)?)
            }
            None => (rest, None),
        }
    };
    // A serialised origin leaves out the scheme's own port.
    let default = matches!(
        (scheme, port),
        ("http" | "ws", Some(80)) | ("https" | "wss", Some(443)) | ("ftp", Some(21))
    );
    (scheme_fits && is_host(host) && !default).then_some(Parts { scheme, host, port })
}

/// `""` → no port; `":8080"` → 8080, written without leading zeros.
fn parse_port(after: &str) -> Option<Option<u16>> {
    if after.is_empty() {
        return Some(None);
    }
    let digits = after.strip_prefix(':')?;
    let canonical =
        digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    canonical.then(|| digits.parse().ok()).flatten().map(Some)
}

fn is_host(host: &str) -> bool {
    if let Some(v6) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        // Browsers write IPv6 in its canonical form (RFC 5952), and so does std.
        return v6
            .parse::<std::net::Ipv6Addr>()
            .is_ok_and(|ip| ip.to_string() == v6);
    }
    !host.is_empty()
        && !host.starts_with('.')
        && !host.contains("..")
        && host.bytes().all(|b| {
            b.is_ascii_graphic()
                && !b.is_ascii_uppercase()
                && !b"#%/:<>?@[\\]^|\"`{},*".contains(&b)
        })
}

/// What origins are admitted: `*`, one origin, or the subdomains of one.
///
/// `https://*.example.com` matches one or more labels before `.example.com`, and neither
/// `https://example.com` itself nor `https://evilexample.com`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OriginPattern {
    text: String,
}

impl OriginPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`OriginError`] for anything but `*`, a serialised origin, or one whose host begins with `*.`.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let well_formed = text == "*"
            || match text.split_once("://*.") {
                Some((scheme, rest)) => {
                    let concrete = format!("{scheme}://{rest}");
                    // An IPv6 literal has no subdomains.
                    !rest.starts_with('[') && parse_parts(&concrete).is_some()
                }
                None => parse_parts(text).is_some(),
            };
        well_formed
            .then(|| Self {
                text: text.to_owned(),
            })
            .ok_or(OriginError)
    }

    /// Whether the pattern is `*`: every tuple origin.
    pub fn is_any(&self) -> bool {
        self.text == "*"
    }

    fn matches(&self, origin: &Parts<'_>) -> bool {
        if self.is_any() {
            return true;
        }
        match self.text.split_once("://*.") {
            None => parse_parts(&self.text).is_some_and(|p| p == *origin),
            Some((scheme, rest)) => {
                let (host, port) = match rest.rsplit_once(':') {
                    Some((host, port)) => (host, port.parse().ok()),
                    None => (rest, None),
                };
                origin.scheme == scheme
                    && origin.port == port
                    && origin
                        .host
                        .strip_suffix(host)
                        .and_then(|labels| labels.strip_suffix('.'))
                        .is_some_and(|labels| !labels.is_empty())
            }
        }
    }
}

impl TryFrom<String> for OriginPattern {
    type Error = OriginError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<OriginPattern> for String {
    fn from(pattern: OriginPattern) -> Self {
        pattern.text
    }
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether any pattern admits the origin. `null`, malformed and absent origins are never admitted.
pub fn admits(patterns: &[OriginPattern], origin: Origin<'_>) -> bool {
    match origin {
        Origin::Tuple(parts) => patterns.iter().any(|p| p.matches(&parts)),
        Origin::Absent | Origin::Opaque | Origin::Malformed => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(pattern: &str, origin: &str) -> bool {
        admits(
            &[OriginPattern::parse(pattern).unwrap()],
            Origin::from_header(Some(origin)),
        )
    }

    #[test]
    fn an_exact_pattern_admits_that_origin_only() {
        assert!(admitted(
            "https://app.example.com",
            "https://app.example.com"
        ));
        assert!(!admitted(
            "https://app.example.com",
            "http://app.example.com"
        ));
        assert!(!admitted(
            "https://app.example.com",
            "https://app.example.com:8443"
        ));
        assert!(admitted("http://localhost:3000", "http://localhost:3000"));
        assert!(admitted("http://[::1]:3000", "http://[::1]:3000"));
    }

    #[test]
    fn a_wildcard_admits_subdomains_at_any_depth_and_nothing_else() {
        let p = "https://*.example.com";
        assert!(admitted(p, "https://a.example.com"));
        assert!(admitted(p, "https://a.b.example.com"));
        assert!(!admitted(p, "https://example.com"));
        assert!(!admitted(p, "https://evilexample.com"));
        assert!(!admitted(p, "https://.example.com"));
        assert!(!admitted(p, "https://a.example.com:8443"));
        assert!(!admitted(p, "http://a.example.com"));
        assert!(!admitted(p, "https://a.example.com.evil.org"));
        assert!(admitted(
            "http://*.localhost:8080",
            "http://a.localhost:8080"
        ));
        assert!(!admitted("http://*.localhost:8080", "http://a.localhost"));
    }

    #[test]
    fn null_malformed_and_absent_origins_are_never_admitted() {
        let any = [OriginPattern::parse("*").unwrap()];
        for value in [
            "null",
            "",
            "example.com",
            "https://",
            "https://a.example.com/",
            "HTTPS://a.example.com",
            "https://A.example.com",
            "https://a.example.com:443",
            "https://a b",
            "https://a@b",
            "https://a.example.com:080",
            "https://a.example.com:99999",
            "https://[::1",
            "https://[0::1]",
            "https://a.example.com, https://b.example.com",
        ] {
            assert!(!admits(&any, Origin::from_header(Some(value))), "{value}");
        }
        assert!(!admits(&any, Origin::Absent));
        assert!(admits(
            &any,
            Origin::from_header(Some("https://a.example.com"))
        ));
    }

    #[test]
    fn patterns_that_could_never_match_are_refused() {
        for text in [
            "",
            "null",
            "example.com",
            "https://*",
            "https://*.",
            "https://a.*.com",
            "https://example.com/",
            "https://example.com:443",
            "https://*.example.com:443",
            "https://*.*.com",
            "https://*.[::1]",
            "*.example.com",
        ] {
            assert!(OriginPattern::parse(text).is_err(), "{text}");
        }
    }
}
