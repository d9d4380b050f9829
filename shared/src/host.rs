//! Which API answers for a host: exact, then wildcard, then default.

use crate::ip::parse_v6;
use crate::text;
use std::borrow::Cow;

/// The host that stands for every other.
pub const DEFAULT: &str = "*";
/// The longest host, in characters (DNS's 253, a port).
pub const MAX_HOST: usize = 260;
/// How many domains above a host are looked at for a wildcard.
const MAX_DOMAINS: usize = 8;

/// Brings a `Host` value to lower case and checks it: a name, an IPv4 or a bracketed IPv6 address, with an optional port.
/// A dot at the name's end is dropped. `None` for anything else.
pub fn normalise(host: &str) -> Option<Cow<'_, str>> {
    if is_normal(host.as_bytes()) {
        return Some(Cow::Borrowed(host));
    }
    let (name, port) = split(host)?;
    let absolute = name.strip_suffix('.').unwrap_or(name);
    let fits = host.len() <= MAX_HOST && (is_v6(name) || absolute.split('.').all(is_label));
    if !fits {
        return None;
    }
    if absolute.len() == name.len() && !host.bytes().any(|b| b.is_ascii_uppercase()) {
        return Some(Cow::Borrowed(host));
    }
    let mut normal = absolute.to_ascii_lowercase();
    if let Some(port) = port {
        normal.push(':');
        normal.push_str(port);
    }
    Some(Cow::Owned(normal))
}

/// Whether a host is as it should be at a glance, as nearly all are: one pass. False tells nothing.
fn is_normal(host: &[u8]) -> bool {
    if host.len() > MAX_HOST {
        return false;
    }
    let mut before = b'.';
    let mut rest = host.iter();
    while let Some(&byte) = rest.next() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => {}
            b'.' if before != b'.' => {}
            b':' if before != b'.' => {
                let port = rest.as_slice();
                return (1..=4).contains(&port.len()) && port.iter().all(u8::is_ascii_digit);
            }
            _ => return false,
        }
        before = byte;
    }
    before != b'.'
}

/// The name and the port. `None` where the port is not one.
fn split(host: &str) -> Option<(&str, Option<&str>)> {
    // The colons of an IPv6 address stand in brackets.
    let name_end = host.rfind(']').map_or(0, |bracket| bracket + 1);
    let Some(colon) = host.bytes().skip(name_end).position(|b| b == b':') else {
        return Some((host, None));
    };
    let (name, port) = host.split_at_checked(name_end + colon)?;
    let port = port.get(1..)?;
    let is_port = (1..=5).contains(&port.len())
        && port.bytes().all(|b| b.is_ascii_digit())
        && port.parse::<u16>().is_ok();
    is_port.then_some((name, Some(port)))
}

fn is_v6(name: &str) -> bool {
    let text = name.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
    text.is_some_and(|text| parse_v6(text).is_some())
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Whether there are names below a name: not below an address, and a name that ends in a number is one or nothing.
fn has_subdomains(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    is_label(last) && !last.bytes().all(|b| b.is_ascii_digit())
}

/// Whether `pattern` may be given to an API: a host, `*.` and a name with an optional port, or `*`. Without a port any is
/// meant.
pub fn is_pattern(pattern: &str) -> bool {
    let is_normal = |host| matches!(normalise(host), Some(Cow::Borrowed(_)));
    pattern == DEFAULT
        || match pattern.strip_prefix("*.") {
            Some(host) => {
                is_normal(host) && split(host).is_some_and(|(name, _)| has_subdomains(name))
            }
            None => is_normal(pattern),
        }
}

/// The names to look an API up by, best match first: the host with its port, without it, the wildcard of
/// each domain above it, likewise, and the default.
pub fn candidates(host: &str) -> Vec<String> {
    let (name, port) = split(host).unwrap_or((host, None));
    let mut names = Vec::new();
    let mut add = |name: String| {
        if let Some(port) = port {
            names.push(text::join(&[name.as_str(), port], ":"));
        }
        names.push(name);
    };
    add(name.to_owned());
    let mut rest = Some(name).filter(|name| has_subdomains(name));
    // Names deeper than this are nobody's API.
    for _ in 0..MAX_DOMAINS {
        let Some((_, domain)) = rest.and_then(|name| name.split_once('.')) else {
            break;
        };
        add(text::join(&["*.", domain], ""));
        rest = Some(domain);
    }
    names.push(DEFAULT.to_owned());
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_match_comes_first() {
        assert_eq!(
            candidates("a.b.example.com:8443"),
            [
                "a.b.example.com:8443",
                "a.b.example.com",
                "*.b.example.com:8443",
                "*.b.example.com",
                "*.example.com:8443",
                "*.example.com",
                "*.com:8443",
                "*.com",
                "*"
            ]
        );
        assert_eq!(
            candidates("a.localhost"),
            ["a.localhost", "*.localhost", "*"]
        );
        assert_eq!(candidates("[::1]:8701"), ["[::1]:8701", "[::1]", "*"]);
        assert_eq!(
            candidates("127.0.0.1:80"),
            ["127.0.0.1:80", "127.0.0.1", "*"]
        );
        assert_eq!(candidates("localhost"), ["localhost", "*"]);
    }

    #[test]
    fn hosts_are_lower_cased_and_nonsense_refused() {
        assert_eq!(
            normalise("API.Example.com.").as_deref(),
            Some("api.example.com")
        );
        assert_eq!(normalise("a.example.:80").as_deref(), Some("a.example:80"));
        assert_eq!(normalise("[::A]:80").as_deref(), Some("[::a]:80"));
        for host in [
            "",
            ".",
            "a b",
            "a/b",
            "a@b",
            ".a",
            "a..b",
            "a..",
            ":80",
            "ä.example",
            "a:",
            "a:b",
            "a:65536",
            "a:+1",
            "a:1:2",
            "[",
            "[::1",
            "[::1]a",
            "a[::1]",
            "[a]",
            "::1",
        ] {
            assert_eq!(normalise(host), None, "{host}");
        }
        let long = "a".repeat(MAX_HOST - 2);
        assert!(
            normalise(&format!("{long}:8")).is_some() && normalise(&format!("{long}:80")).is_none()
        );
        assert!(is_pattern("*") && is_pattern("*.example.com") && is_pattern("localhost:8701"));
        assert!(is_pattern("*.a.example:8701") && !is_pattern("*.0.0.1") && !is_pattern("*.[::1]"));
        assert!(!is_pattern("*.") && !is_pattern("a.*.b") && !is_pattern("API.example.com"));
    }
}
