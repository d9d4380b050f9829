//! The form of a path in which routes are matched.
//!
//! The gate must see a path as the upstream will. What two parsers could read differently (an encoded
//! slash, a backslash, a NUL) is refused instead of guessed at, since a route's permission hangs on it.

use std::borrow::Cow;

/// The longest path that is looked at, in bytes.
pub const MAX_PATH: usize = 4096;
/// How often a path may be percent-encoded on top of the once that it should be.
const MAX_ENCODINGS: usize = 3;

/// Why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathError {
    /// Over [`MAX_PATH`].
    TooLong,
    /// Not valid percent-encoding of UTF-8.
    Encoding,
    /// An encoded slash, a backslash, a control character, or a dot segment, encoded once or more often.
    Ambiguous,
}

impl PathError {
    /// What is wrong, for people.
    pub fn message(self) -> &'static str {
        match self {
            Self::TooLong => "the path is longer than 4096 bytes",
            Self::Encoding => "the path is not valid percent-encoded UTF-8",
            Self::Ambiguous => {
                "the path has an encoded slash, a backslash, a control character or a dot segment"
            }
        }
    }
}

impl std::fmt::Display for PathError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for PathError {}

/// The path to match routes with: percent-decoded, without empty segments and without a slash at the end.
///
/// # Errors
/// [`PathError`] for paths that are not clear.
pub fn canonical(path: &str) -> Result<Cow<'_, str>, PathError> {
    if path.len() > MAX_PATH {
        return Err(PathError::TooLong);
    }
    if is_canonical(path.as_bytes()) {
        return Ok(Cow::Borrowed(path));
    }
    let mut out = String::with_capacity(path.len());
    for segment in path.split('/').filter(|s| !s.is_empty()) {
        let segment = decode(segment)?;
        if segment.chars().any(char::is_control) || is_ambiguous(segment.as_bytes()) {
            return Err(PathError::Ambiguous);
        }
        out.push('/');
        out.push_str(&segment);
    }
    if out.is_empty() {
        out.push('/');
    }
    Ok(Cow::Owned(out))
}

/// Whether a path is as it should be at a glance, as nearly all are: one pass, nothing allocated. False tells nothing.
fn is_canonical(path: &[u8]) -> bool {
    let mut before = None;
    for &byte in path {
        let fits = match before {
            None => byte == b'/',
            Some(b'/') => byte != b'/' && byte != b'.',
            Some(_) => true,
        };
        if !fits || !byte.is_ascii_graphic() || byte == b'%' || byte == b'\\' {
            return false;
        }
        before = Some(byte);
    }
    path == b"/" || before.is_some_and(|last| last != b'/')
}

/// Whether servers could differ on a decoded segment. Some of them decode what has been decoded before.
fn is_ambiguous(segment: &[u8]) -> bool {
    let mut seen = Cow::Borrowed(segment);
    for _ in 0..=MAX_ENCODINGS {
        // Some drop what follows a semicolon, and then see a dot segment.
        let name = seen.split(|b| *b == b';').next();
        let is_special = |b: &u8| matches!(b, b'/' | b'\\') || b.is_ascii_control();
        if matches!(name, Some(b"." | b"..")) || seen.iter().any(is_special) {
            return true;
        }
        let again = decode_leniently(&seen);
        if again == *seen {
            return false;
        }
        seen = Cow::Owned(again);
    }
    // Nobody encodes so often in good faith.
    true
}

/// The path as the WHATWG URL Standard writes it (its path percent-encode set): how the runtime sends it on.
pub fn written(path: &str) -> Cow<'_, str> {
    let plain = |b: u8| b.is_ascii_graphic() && !b"\"<>^`{}".contains(&b);
    if path.bytes().all(plain) {
        return Cow::Borrowed(path);
    }
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |nibble: u8| HEX.get(usize::from(nibble)).map_or('0', |d| char::from(*d));
    let mut out = String::with_capacity(path.len() + 16);
    for byte in path.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    Cow::Owned(out)
}

/// Percent-decodes a segment.
fn decode(segment: &str) -> Result<String, PathError> {
    let is_encoding = |after: &str| value(after.as_bytes()).is_some();
    if !segment.split('%').skip(1).all(is_encoding) {
        return Err(PathError::Encoding);
    }
    String::from_utf8(decode_leniently(segment.as_bytes())).map_err(|_| PathError::Encoding)
}

/// Percent-decodes; a `%` without two hexadecimal digits stands for itself.
fn decode_leniently(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, more)) = rest.split_first() {
        let encoded = value(more).filter(|_| *byte == b'%');
        decoded.push(encoded.unwrap_or(*byte));
        let digits = if encoded.is_some() { 2 } else { 0 };
        rest = more.get(digits..).unwrap_or_default();
    }
    decoded
}

/// The byte that two hexadecimal digits stand for, if a text begins with two.
fn value(text: &[u8]) -> Option<u8> {
    let [high, low, ..] = text else { return None };
    let digit = |b: &u8| char::from(*b).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_path_become_the_same() {
        for path in [
            "/v1/customers",
            "/v1//customers/",
            "/v1/%63ustomers",
            "//v1/customers",
        ] {
            assert_eq!(canonical(path).unwrap(), "/v1/customers", "{path}");
        }
        assert_eq!(canonical("/").unwrap(), "/");
        assert_eq!(canonical("").unwrap(), "/");
        assert_eq!(canonical("/caf%C3%A9").unwrap(), "/café");
        assert_eq!(canonical("/a/.well-known").unwrap(), "/a/.well-known");
        assert_eq!(canonical("/100%25").unwrap(), "/100%");
        assert_eq!(canonical("/https%253A").unwrap(), "/https%3A");
    }

    #[test]
    fn a_path_that_is_as_it_should_be_is_not_copied() {
        for path in ["/", "/a", "/v1/customers/c_9;x=1/~", "/v1/a.json"] {
            assert!(matches!(canonical(path), Ok(Cow::Borrowed(_))), "{path}");
        }
    }

    #[test]
    fn paths_are_written_as_the_url_standard_does() {
        assert!(matches!(written("/v1/a%20b'~"), Cow::Borrowed(_)));
        assert_eq!(written("/{id}/caf\u{e9}^\""), "/%7Bid%7D/caf%C3%A9%5E%22");
    }

    #[test]
    fn unclear_paths_are_refused() {
        for path in [
            "/a%2Fb",
            "/a%5cb",
            "/a\\b",
            "/a/../b",
            "/a/%2e%2e/b",
            "/a/..;/b",
            "/a/..;x=1/b",
            "/a/%2e%2e%3b/b",
            "/a%00b",
            "/./a",
            "/a%252Fb",
            "/a%25%32%66b",
            "/%252e%252E/b",
            "/%25252e%25252e",
            "/%2525252525",
            "/100%25%25zz%252f",
        ] {
            assert_eq!(canonical(path), Err(PathError::Ambiguous), "{path}");
        }
        for path in ["/%", "/%4", "/%zz", "/%ff", "/%C3"] {
            assert_eq!(canonical(path), Err(PathError::Encoding), "{path}");
        }
        assert_eq!(canonical(&"/a".repeat(3000)), Err(PathError::TooLong));
    }
}
