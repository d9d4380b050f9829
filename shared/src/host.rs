//! Which API answers for a host: exact, then wildcard, then default.

/// The host that stands for every other.
pub const DEFAULT: &str = "*";
/// The longest host, in characters (DNS's 253, a port).
pub const MAX_HOST: usize = 260;

/// Lower-cases a `Host` value and checks it: a DNS name, IPv4, or bracketed IPv6, with an optional port.
/// `None` for anything else.
pub fn normalise(host: &str) -> Option<String> {
    let fits = (1..=MAX_HOST).contains(&host.len())
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b))
        && !host.starts_with(['.', ':']);
    fits.then(|| host.trim_end_matches('.').to_ascii_lowercase())
}

/// Whether `pattern` may be given to an API: a host, `*.` and a host, or `*`.
pub fn is_pattern(pattern: &str) -> bool {
    pattern == DEFAULT
        || normalise(pattern.strip_prefix("*.").unwrap_or(pattern))
            .is_some_and(|host| host.len() + 2 >= pattern.len() && pattern.ends_with(&host))
}

/// The names to look an API up by, best match first: the host with its port, without it, the wildcard of
/// each domain above it, and the default.
pub fn candidates(host: &str) -> Vec<String> {
    let mut names = vec![host.to_owned()];
    let bare = match host.rsplit_once(':') {
        Some((bare, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
            names.push(bare.to_owned());
            bare
        }
        _ => host,
    };
    let mut rest = bare;
    // Wildcards above a name are looked up one label at a time; names deeper than this are nobody's API.
    for _ in 0..8 {
        match rest.split_once('.') {
            Some((_, parent)) if parent.contains('.') => {
                names.push(format!("*.{parent}"));
                rest = parent;
            }
            _ => break,
        }
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
                "*.b.example.com",
                "*.example.com",
                "*"
            ]
        );
        assert_eq!(candidates("[::1]:8701"), ["[::1]:8701", "[::1]", "*"]);
        assert_eq!(candidates("localhost"), ["localhost", "*"]);
    }

    #[test]
    fn hosts_are_lower_cased_and_nonsense_refused() {
        assert_eq!(
            normalise("API.Example.com.").as_deref(),
            Some("api.example.com")
        );
        for host in ["", "a b", "a/b", "a@b", ".a", ":80", "ä.example"] {
            assert_eq!(normalise(host), None, "{host}");
        }
        assert!(is_pattern("*") && is_pattern("*.example.com") && is_pattern("localhost:8701"));
        assert!(!is_pattern("*.") && !is_pattern("a.*.b") && !is_pattern("API.example.com"));
    }
}
