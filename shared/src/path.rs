//! The form of a path in which routes are matched.
//!
//! The gate must see a path as the upstream will. What two parsers could read differently (an encoded
//! slash, a backslash, a NUL) is refused instead of guessed at, since a route's permission hangs on it.

use std::borrow::Cow;

/// The longest path that is looked at, in bytes.
pub const MAX_PATH: usize = 4096;

/// Why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Over [`MAX_PATH`].
    #[error("the path is longer than 4096 bytes")]
    TooLong,
    /// Not valid percent-encoding of UTF-8.
    #[error("the path is not valid percent-encoded UTF-8")]
    Encoding,
    /// An encoded slash, a backslash, a control character, or a dot segment.
    #[error("the path has an encoded slash, a backslash, a control character or a dot segment")]
    Ambiguous,
}

/// The path to match routes with: percent-decoded, without empty segments and without a slash at the end.
///
/// # Errors
/// [`PathError`] for paths that are not clear.
pub fn canonical(path: &str) -> Result<Cow<'_, str>, PathError> {
    if path.len() > MAX_PATH {
        return Err(PathError::TooLong);
    }
    let plain = path.len() > 1
        && !path.ends_with('/')
        && !path.contains("//")
        && !path.contains("/.")
        && path
            .bytes()
            .all(|b| b.is_ascii_graphic() && b != b'%' && b != b'\\');
    if plain && path.starts_with('/') {
        return Ok(Cow::Borrowed(path));
    }
    let mut out = String::with_capacity(path.len());
    for segment in path.split('/').filter(|s| !s.is_empty()) {
        let segment = decode(segment)?;
        // Some servers drop what follows a semicolon, and then see a dot segment.
        let before_parameters = segment.split(';').next().unwrap_or_default();
        let unclear = before_parameters == "."
            || before_parameters == ".."
            || segment
                .chars()
                .any(|c| c == '/' || c == '\\' || c.is_control());
        if unclear {
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

fn decode(segment: &str) -> Result<String, PathError> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut hex_digit = || {
            rest.next()
                .and_then(|b| char::from(b).to_digit(16))
                .ok_or(PathError::Encoding)
        };
        bytes.push((hex_digit()? * 16 + hex_digit()?) as u8);
    }
    String::from_utf8(bytes).map_err(|_| PathError::Encoding)
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
        ] {
            assert_eq!(canonical(path), Err(PathError::Ambiguous), "{path}");
        }
        for path in ["/%", "/%4", "/%zz", "/%ff", "/%C3"] {
            assert_eq!(canonical(path), Err(PathError::Encoding), "{path}");
        }
        assert_eq!(canonical(&"/a".repeat(3000)), Err(PathError::TooLong));
    }
}
