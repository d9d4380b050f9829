use shared::host::{DEFAULT, MAX_HOST, candidates, is_pattern, normalise};

use super::draw::Draw;

const PIECES: &[&str] = &[
    "api",
    "example",
    "com",
    ".",
    ".",
    ".",
    ":",
    ":80",
    ":8443",
    ":65536",
    "*",
    "*.",
    "[::1]",
    "[",
    "]",
    "::1",
    "127.0.0.1",
    "-",
    "_",
    "A",
    "xn--a",
    "@",
    "/",
    "?",
    " ",
    "é",
    "localhost",
    "..",
    "0",
];

/// A host is looked up by its own name first; wildcards are of the domains above it and never match those themselves.
pub fn host(bytes: &[u8]) {
    let mut draw = Draw::new(bytes);
    let raw = draw.text(PIECES, 10);
    if let Some(host) = normalise(&raw) {
        found(&raw, &host);
    }
    let pattern = draw.text(PIECES, 8);
    if is_pattern(&pattern) {
        reachable(&pattern);
    }
}

fn found(raw: &str, host: &str) {
    assert!(!host.is_empty() && host.len() <= MAX_HOST);
    assert_eq!(normalise(host).as_deref(), Some(host), "{raw}");
    assert_eq!(normalise(&raw.to_ascii_uppercase()).as_deref(), Some(host));
    let names = candidates(host);
    assert_eq!(names.first().map(AsRef::as_ref), Some(host));
    assert_eq!(names.last().map(AsRef::as_ref), Some(DEFAULT));
    let bare = names
        .iter()
        .map(AsRef::<str>::as_ref)
        .rfind(|name| !name.starts_with('*'));
    let bare = bare.expect("the host itself");
    assert!(
        host == bare
            || host
                .strip_prefix(bare)
                .is_some_and(|port| port.starts_with(':')),
        "{host}"
    );
    for name in &names {
        let name: &str = name.as_ref();
        assert!(is_pattern(name), "{host}: {name}");
        if let Some(domain) = name.strip_prefix("*.") {
            let whole = if domain.contains(':') { host } else { bare };
            let label = whole
                .strip_suffix(domain)
                .and_then(|labels| labels.strip_suffix('.'));
            assert!(
                label.is_some_and(|labels| !labels.is_empty()),
                "{host}: {name}"
            );
        }
    }
    let mut once: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), names.len(), "{host}");
}

/// What may be given to an API answers for some host.
fn reachable(pattern: &str) {
    let host = pattern.replacen('*', "a", 1);
    let host = normalise(&host).expect("a pattern is a host but for its star");
    let names = candidates(&host);
    assert!(
        names.iter().any(|name| name == pattern),
        "{pattern}: {names:?}"
    );
    if let Some(domain) = pattern.strip_prefix("*.") {
        assert!(
            !candidates(domain).iter().any(|name| name == pattern),
            "{pattern}"
        );
    }
}
