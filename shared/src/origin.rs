//! Web origins, as browsers serialise them (WHATWG HTML "ASCII serialisation of an origin"), and patterns for them.

use std::fmt;

use serde::Serialize;

use crate::ip::{parse_v4, parse_v6, v6_text};
use crate::wire;

/// The longest origin or pattern, in characters.
pub const MAX_ORIGIN: usize = 300;

/// Why a text is no origin, or no pattern for origins.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "an origin is scheme://host or scheme://host:port in lower case and ASCII, without a path and without the scheme's own default \
     port; the host may begin with `*.` for its subdomains"
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
    Tuple(Serialised<'a>),
    /// Not what a browser sends. Never admitted.
    Malformed,
}

/// A tuple origin in serialised form. Two are the same exactly when their texts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Serialised<'a>(&'a str);

impl<'a> Origin<'a> {
    /// Reads the `Origin` header's value.
    pub fn from_header(value: Option<&'a str>) -> Self {
        match value {
            None => Self::Absent,
            Some("null") => Self::Opaque,
            Some(text) => Serialised::parse(text).map_or(Self::Malformed, Self::Tuple),
        }
    }
}

impl<'a> Serialised<'a> {
    /// The text, if it is what a browser makes of an http or https URL's origin (WHATWG URL, "host serializing", and HTML,
    /// "serialization of an origin"). Nothing is corrected: another spelling is no origin.
    ///
    /// Apps and browser extensions have origins too, `scheme://host` under schemes of their own, of which the URL Standard
    /// says nothing. Whether `xn--…` is a name that IDNA allows is not asked: that takes Unicode's tables, and a name that
    /// is not allowed is nobody's host.
    fn parse(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once(':')?;
        let authority = rest.strip_prefix("//")?;
        let fits = text.len() <= MAX_ORIGIN
            && match scheme {
                "http" => is_authority(authority, 80),
                "https" => is_authority(authority, 443),
                _ => is_app_scheme(scheme) && is_app_host(authority),
            };
        fits.then_some(Self(text))
    }
}

fn is_authority(authority: &str, default_port: u16) -> bool {
    // The colons of an IPv6 address stand in brackets.
    let end = match authority.rfind(']') {
        Some(bracket) => bracket + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let Some((host, port)) = authority.split_at_checked(end) else {
        return false;
    };
    let is_v6 = host.starts_with('[');
    (if is_v6 {
        is_v6_host(host)
    } else {
        is_domain(host) || is_v4_host(host)
    }) && (port.is_empty() || is_port(port, default_port))
}

/// `:8080`: without leading zeros, and not the scheme's own.
fn is_port(text: &str, default: u16) -> bool {
    let Some(digits) = text.strip_prefix(':') else {
        return false;
    };
    // A number may begin with `+` for Rust.
    digits.bytes().all(|b| b.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'))
        && digits.parse().is_ok_and(|port: u16| port != default)
}

/// A domain in ASCII, in lower case, without a "forbidden domain code point", that does not end in a number: such a host is
/// an IPv4 address, or none.
fn is_domain(host: &str) -> bool {
    let fits = |b: u8| b.is_ascii_graphic() && !b.is_ascii_uppercase() && !FORBIDDEN.contains(&b);
    let last = host.strip_suffix('.').unwrap_or(host).rsplit('.').next();
    !host.is_empty() && host.bytes().all(fits) && !last.is_some_and(is_number)
}

const FORBIDDEN: &[u8] = b"#/:<>?@[\\]^|%";

/// What the IPv4 parser takes for a number: digits, or `0x` and hexadecimal digits.
fn is_number(label: &str) -> bool {
    match label.strip_prefix("0x") {
        Some(hex) => hex.bytes().all(|b| b.is_ascii_hexdigit()),
        None => !label.is_empty() && label.bytes().all(|b| b.is_ascii_digit()),
    }
}

/// Four decimal numbers without leading zeros, which is also all that is read.
fn is_v4_host(host: &str) -> bool {
    parse_v4(host).is_some()
}

fn is_v6_host(host: &str) -> bool {
    let text = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    text.is_some_and(|text| parse_v6(text).is_some_and(|ip| v6_text(ip) == text))
}

/// Schemes of the URL Standard whose origin is another one's or none, and those that are never an origin in HTTP.
const NO_APP: [&str; 8] = [
    "about",
    "blob",
    "data",
    "file",
    "ftp",
    "javascript",
    "ws",
    "wss",
];

fn is_app_scheme(scheme: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b);
    scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme.bytes().all(fits)
        && !NO_APP.contains(&scheme)
}

/// `localhost`, `obsidian.md`, an extension's id.
fn is_app_host(host: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
    host.starts_with(|c: char| c.is_ascii_alphanumeric()) && host.bytes().all(fits)
}

/// What origins are admitted: `*`, one origin, or the subdomains of one.
///
/// `https://*.example.com` matches one or more labels before `.example.com`, and neither
/// `https://example.com` itself nor `https://evilexample.com`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(into = "String")]
pub struct OriginPattern {
    text: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Any,
    Exact,
    /// The subdomains of a host. Where the `*` stands in the text.
    Below(usize),
}

impl OriginPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`OriginError`] for anything but `*`, a serialised origin, or one whose host begins with `*.`; also for what no
    /// origin could ever match, such as the subdomains of an address.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let kind = Kind::of(text).ok_or(OriginError)?;
        let text = text.to_owned();
        Ok(Self { text, kind })
    }

    fn to_text(&self) -> &str {
        &self.text
    }

    /// Whether the pattern is `*`: every tuple origin.
    pub fn is_any(&self) -> bool {
        self.kind == Kind::Any
    }

    fn matches(&self, Serialised(origin): Serialised<'_>) -> bool {
        match self.kind {
            Kind::Any => true,
            Kind::Exact => self.text == origin,
            Kind::Below(star) => {
                let scheme = self.text.get(..star).unwrap_or_default();
                let domain = self.text.get(star + 1..).unwrap_or_default();
                let labels = origin
                    .strip_prefix(scheme)
                    .and_then(|rest| rest.strip_suffix(domain));
                labels.is_some_and(|labels| labels.split('.').all(|label| !label.is_empty()))
            }
        }
    }
}

impl Kind {
    fn of(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        match text.split_once('*') {
            None => Serialised::parse(text).map(|_| Self::Exact),
            Some((scheme, domain)) => {
                let one = format!("{scheme}a{domain}");
                let begins = scheme.ends_with("://") && domain.starts_with('.');
                // A name can hold a star, to a browser; in a pattern it stands for labels, once.
                let fits = begins
                    && !matches!(domain.get(1..), None | Some("" | "."))
                    && !domain.contains('*')
                    && Serialised::parse(&one).is_some();
                fits.then_some(Self::Below(scheme.len()))
            }
        }
    }
}

wire!(OriginPattern: OriginPattern::parse, "an origin, a pattern of origins or *" or Self {
    text: String::new(),
    kind: Kind::Exact,
});

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
        Origin::Tuple(origin) => patterns.iter().any(|p| p.matches(origin)),
        Origin::Absent | Origin::Opaque | Origin::Malformed => false,
    }
}

#[cfg(test)]
#[path = "origin_tests.rs"]
mod tests;
