//! What every refusal looks like, asserted in one place.

use serde_json::Value;

use crate::answer::Answer;

/// What scripts may read of a challenge for a credential that was sent.
const CHALLENGE_ERRORS: [&str; 2] = ["invalid_token", "insufficient_scope"];

impl Answer {
    /// The body, after asserting that the answer is a problem document (RFC 9457) of this status and code.
    ///
    /// # Panics
    /// When it is not.
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let shown = format!("{} {:?} {}", self.status, self.headers, self.text());
        let body = self.json();
        assert_eq!(self.status, status, "{shown}");
        assert_eq!(body["code"], code, "{shown}");
        assert_eq!(body["status"], status, "{shown}");
        let media_type = self.header("content-type");
        assert_eq!(media_type, Some("application/problem+json"), "{shown}");
        assert_eq!(self.header("cache-control"), Some("no-store"), "{shown}");
        let is_text = |name: &str| body[name].as_str().is_some_and(|text| !text.is_empty());
        for name in ["type", "title", "detail", "requestId", "error", "message"] {
            assert!(is_text(name), "{name}: {shown}");
        }
        assert_eq!(body["error"], body["title"], "{shown}");
        body
    }

    /// The body, after asserting that the answer is a refusal of the catalogue by the gate, with all that goes with
    /// one: type, request id, `Vary`, and a challenge (RFC 6750, section 3) exactly where it belongs.
    ///
    /// # Panics
    /// When it is not.
    pub fn refusal(&self, status: u16, code: &str) -> Value {
        let body = self.problem(status, code);
        assert_eq!(body["type"], format!("urn:keyward:problem:{code}"));
        let id = self.header("x-keyward-request-id");
        assert_eq!(id, body["requestId"].as_str());
        assert!(self.varies_by("origin"), "{:?}", self.headers);
        let expected = match (status, code) {
            (401, "missing_credential") => Some(None),
            (401, _) => Some(Some(CHALLENGE_ERRORS[0])),
            (_, "insufficient_permission") => Some(Some(CHALLENGE_ERRORS[1])),
            _ => None,
        };
        let challenge = self.header("www-authenticate");
        assert_eq!(challenge.is_some(), expected.is_some(), "{challenge:?}");
        if let (Some(challenge), Some(error)) = (challenge, expected) {
            assert!(challenge.starts_with("Bearer realm=\""), "{challenge}");
            let named = challenge.split_once("error=\"").map(|(_, rest)| rest);
            let named = named.and_then(|rest| rest.split('"').next());
            assert_eq!(named, error, "{challenge}");
        }
        body
    }

    /// Whether the answer says that it varies by this header.
    pub fn varies_by(&self, name: &str) -> bool {
        let lines = self.headers.get_all("vary").iter();
        lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(','))
            .any(|one| one.trim().eq_ignore_ascii_case(name))
    }
}
