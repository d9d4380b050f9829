//! Problem details (RFC 9457): the one form of every error body, at the edge and in the control plane.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::json::Object;
use crate::text;

/// The media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// A kind of problem: the same for every occurrence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind<'a> {
    /// The HTTP status.
    pub status: u16,
    /// For programs.
    pub code: &'a str,
    /// For people.
    pub title: &'a str,
}

impl Kind<'_> {
    /// The body of an occurrence: its own members can be added.
    pub fn object(&self, detail: &str, message: &str, request_id: &str) -> Object {
        let mut body = Object::default();
        body.raw(
            "type",
            &text::join(&["\"urn:keyward:problem:", self.code, "\""], ""),
        )
        .text("title", self.title)
        .number("status", u64::from(self.status))
        .text("detail", detail)
        .text("code", self.code)
        .text("requestId", request_id)
        .text("error", self.title)
        .text("message", message);
        body
    }
}

/// An error body. `error` and `message` repeat title and detail for clients that read those.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// A URI that names the kind of problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind, for people: the same for every occurrence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// This occurrence, for people.
    pub detail: String,
    /// The kind, for programs.
    pub code: String,
    /// The request's id, to be found in logs.
    pub request_id: String,
    /// The title again.
    pub error: String,
    /// The detail again, or a sentence that clients show.
    pub message: String,
    /// Members of this kind of problem.
    #[serde(flatten)]
    pub members: Map<String, Value>,
}

impl Problem {
    /// A problem of the kind `code`.
    pub fn new(status: u16, code: &str, title: &str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self {
            kind: format!("urn:keyward:problem:{code}"),
            title: title.to_owned(),
            status,
            code: code.to_owned(),
            request_id: String::new(),
            error: title.to_owned(),
            message: detail.clone(),
            detail,
            members: Map::new(),
        }
    }

    /// With the request's id.
    #[must_use]
    pub fn with_request_id(mut self, id: &str) -> Self {
        id.clone_into(&mut self.request_id);
        self
    }

    /// With a member of its own.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// As JSON text.
    pub fn to_json(&self) -> String {
        // A map of strings, numbers and lists always serialises.
        serde_json::to_string(self).unwrap_or_default()
    }
}
