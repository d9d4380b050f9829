//! Where an API's requests go.

use reqwest::Url;

/// The longest upstream, in characters.
pub const MAX_LENGTH: usize = 2048;

/// Why a text can't be an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an upstream is an http or https URL without user, password, query and fragment, {MAX_LENGTH} characters at most"
)]
pub struct UpstreamError;

/// The URL in the form that the edge puts a request's path after: without a slash at the end.
pub fn parse(text: &str) -> Result<String, UpstreamError> {
    // Parsers of URLs accept much that is not written as one; what is kept should be what was meant.
    let is_written_out = text.starts_with("http://") || text.starts_with("https://");
    let is_clean = text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    if !is_written_out || !is_clean || text.len() > MAX_LENGTH {
        return Err(UpstreamError);
    }
    let url = Url::parse(text).map_err(|_| UpstreamError)?;
    let fits = url.has_host()
        && !text.contains('@')
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !fits {
        return Err(UpstreamError);
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstreams_lose_the_slash_at_their_end() {
        for (text, kept) in [
            ("https://api.internal", "https://api.internal"),
            ("http://127.0.0.1:8702/", "http://127.0.0.1:8702"),
            ("https://a.example/base/", "https://a.example/base"),
            ("http://[::1]:8702/x", "http://[::1]:8702/x"),
        ] {
            assert_eq!(parse(text).as_deref(), Ok(kept));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let long = format!("https://a.example/{}", "x".repeat(MAX_LENGTH));
        for text in [
            "",
            "api.internal",
            "ftp://a",
            "https://",
            "https:a.example",
            "https://u:p@a",
            "https://@a",
            "https://a?q=1",
            "https://a?",
            "https://a#f",
            "https://a b",
            "https:\\\\a",
            "https://a:99999",
            "file:///etc/passwd",
            "HTTPS://a",
            &long,
        ] {
            assert_eq!(parse(text), Err(UpstreamError), "{text}");
        }
    }
}
