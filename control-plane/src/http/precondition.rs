//! `ETag`, `If-Match` and `If-None-Match` (RFC 9110): a resource's tag is its version in quotes.

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::error::ApiError;

/// The tag of a version.
pub fn etag(version: u64) -> HeaderValue {
    HeaderValue::try_from(format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// What a caller says of the state that it wants to change: `If-Match`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Precondition(Option<Tags>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Tags {
    /// `*`
    Any,
    /// One of these.
    These(Vec<Tag>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Tag {
    weak: bool,
    /// What stands between the quotes.
    text: String,
}

impl Precondition {
    /// Must be called within the transaction that changes what has this version.
    ///
    /// # Errors
    /// [`ApiError::PreconditionFailed`] when the caller wants another one. A weak tag never matches.
    pub fn check(&self, version: u64) -> Result<(), ApiError> {
        match &self.0 {
            Some(Tags::These(tags)) if !tags.iter().any(|tag| !tag.weak && tag.is(version)) => {
                Err(ApiError::PreconditionFailed(version))
            }
            _ => Ok(()),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Precondition {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        if !parts.headers.contains_key(header::IF_MATCH) {
            return Ok(Self(None));
        }
        let tags = Tags::read(&parts.headers, &header::IF_MATCH).ok_or_else(|| {
            ApiError::BadRequest(
                "If-Match is * or the ETags of earlier answers, in their quotes, separated by commas"
                    .to_owned(),
            )
        })?;
        Ok(Self(Some(tags)))
    }
}

impl Tag {
    fn is(&self, version: u64) -> bool {
        self.text == version.to_string()
    }
}

impl Tags {
    /// Reads every line of a header; `None` if they can't be read.
    fn read(headers: &HeaderMap, name: &HeaderName) -> Option<Self> {
        let lines: Option<Vec<&str>> = headers
            .get_all(name)
            .iter()
            .map(|line| line.to_str().ok())
            .collect();
        let text = lines?.join(",");
        if text.trim() == "*" {
            return Some(Self::Any);
        }
        let mut tags = Vec::new();
        let mut rest = text.as_str();
        loop {
            // Empty entries are allowed in lists.
            rest = rest.trim_start_matches([' ', '\t', ',']);
            if rest.is_empty() {
                break;
            }
            let weak = rest.starts_with("W/");
            let quoted = rest.strip_prefix("W/").unwrap_or(rest).strip_prefix('"')?;
            let (tag, after) = quoted.split_once('"')?;
            if tag.bytes().any(|b| b == b' ') {
                return None;
            }
            tags.push(Tag {
                weak,
                text: tag.to_owned(),
            });
            rest = after.trim_start_matches([' ', '\t']);
            if !(rest.is_empty() || rest.starts_with(',')) {
                return None;
            }
        }
        (!tags.is_empty()).then_some(Self::These(tags))
    }
}

/// Answers a GET with 304 when the caller has what would be sent: `If-None-Match`. Headers that can't be read count as
/// none.
pub async fn layer(request: Request, next: Next) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let held = Tags::read(request.headers(), &header::IF_NONE_MATCH).filter(|_| is_read);
    let response = next.run(request).await;
    let Some(tag) = response.headers().get(header::ETAG).cloned() else {
        return response;
    };
    let is_held = match &held {
        None => false,
        Some(Tags::Any) => true,
        // The weak comparison: of a tag only what stands between the quotes counts.
        Some(Tags::These(tags)) => tags.iter().any(|t| format!("\"{}\"", t.text) == tag),
    };
    if is_held && response.status() == StatusCode::OK {
        (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response()
    } else {
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Option<Tags> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::IF_MATCH, line.parse().unwrap());
        }
        Tags::read(&headers, &header::IF_MATCH)
    }

    fn admits(lines: &[&str], version: u64) -> Option<bool> {
        Some(Precondition(Some(read(lines)?)).check(version).is_ok())
    }

    #[test]
    fn one_of_several_tags_has_to_match_and_a_weak_one_never_does() {
        for (lines, expected) in [
            (&["\"7\""][..], Some(true)),
            (&["*"], Some(true)),
            (&[" * "], Some(true)),
            (&["\"6\", \"7\""], Some(true)),
            (&["\"6\"", "\"7\""], Some(true)),
            (&["W/\"7\", ,\t\"7\""], Some(true)),
            (&["\"a,b\",\"7\""], Some(true)),
            (&["\"6\""], Some(false)),
            (&["W/\"7\""], Some(false)),
            (&["\"07\""], Some(false)),
            (&["\"\""], Some(false)),
            (&["7"], None),
            (&["\"7"], None),
            (&["\"7\" \"8\""], None),
            (&["\"6\", *"], None),
            (&["w/\"7\""], None),
            (&["\"7 8\""], None),
            (&[""], None),
        ] {
            assert_eq!(admits(lines, 7), expected, "{lines:?}");
        }
        assert!(Precondition(None).check(7).is_ok());
    }
}
