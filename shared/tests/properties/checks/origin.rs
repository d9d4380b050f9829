use shared::origin::{Origin, OriginPattern, admits};
use url::Url;

use super::draw::Draw;

const PIECES: &[&str] = &[
    "https://",
    "http://",
    "app",
    "example.com",
    "evil",
    ".",
    ":",
    "8443",
    "443",
    "80",
    "*",
    "*.",
    "/",
    "?",
    "#",
    "@",
    "null",
    "[::1]",
    "127.0.0.1",
    "localhost",
    "A",
    "é",
    "xn--",
    " ",
    ",",
    "\t",
    "..",
    "0x7f",
    "chrome-extension://",
    "_",
    "-",
    "%",
    "file://",
];

/// Only what a browser sends is an origin, and a pattern admits itself or what is below it, never beside it.
pub fn origin(bytes: &[u8]) {
    let mut draw = Draw::new(bytes);
    let text = draw.text(PIECES, 8);
    let origin = Origin::from_header(Some(&text));
    let is_tuple = matches!(origin, Origin::Tuple(_));
    let any = OriginPattern::parse("*").expect("a pattern");
    assert_eq!(admits(&[any], origin), is_tuple, "{text}");
    if !text.contains("xn--") && text.starts_with("http") {
        assert_eq!(is_tuple, is_serialised(&text), "{text}");
    }
    let pattern = if draw.one_in(2) {
        text.replacen("://", "://*.", 1)
    } else {
        draw.text(PIECES, 8)
    };
    if let Ok(read) = OriginPattern::parse(&pattern) {
        assert_eq!(read.to_string(), pattern);
        admitted_is_below(&read, &pattern, &text, origin);
    }
}

/// Whether the `url` crate, which follows the URL Standard, would serialise it so.
fn is_serialised(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == text
    })
}

fn admitted_is_below(read: &OriginPattern, pattern: &str, text: &str, origin: Origin<'_>) {
    let is_admitted = admits(std::slice::from_ref(read), origin);
    let Some((scheme, domain)) = pattern.split_once("*.") else {
        let is_same = pattern == text || pattern == "*";
        assert_eq!(
            is_admitted,
            is_same && matches!(origin, Origin::Tuple(_)),
            "{pattern}: {text}"
        );
        return;
    };
    if is_admitted {
        let labels = text
            .strip_prefix(scheme)
            .and_then(|rest| rest.strip_suffix(domain));
        let labels = labels
            .and_then(|rest| rest.strip_suffix('.'))
            .expect("a subdomain");
        assert!(
            labels.split('.').all(|label| !label.is_empty()),
            "{pattern}: {text}"
        );
    }
    let says = |host: &str| {
        let text = format!("{scheme}{host}{domain}");
        admits(std::slice::from_ref(read), Origin::from_header(Some(&text)))
    };
    assert!(says("a.") && says("a.b."), "{pattern} admits no subdomain");
    assert!(
        !says("") && !says("evil") && !says("."),
        "{pattern} admits what is not below it"
    );
}
