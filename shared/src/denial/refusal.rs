//! From a denial to what is sent: header fields and the problem that is the body.

use super::Denial;
use crate::fields::Fields;
use crate::json::Object;
use crate::problem::{self, MEDIA_TYPE};
use crate::ratelimit::limits_json;
use crate::text;

/// A refusal ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// Header fields.
    pub fields: Fields,
    /// The body: a problem.
    pub body: String,
}

impl Denial {
    /// The refusal to send. `realm` is the API's name. Rate-limit and CORS fields are the gate's to add.
    pub fn refusal(&self, request_id: &str, realm: &str) -> Refusal {
        let mut fields = Fields::with_capacity(1_024);
        self.put_kind(&mut fields, realm);
        self.put_occurrence(&mut fields);
        Refusal {
            status: self.status(),
            fields,
            body: self.problem(request_id).finish(),
        }
    }

    /// Adds the fields that are the same whenever this denial is: see [`Self::constant`].
    pub fn put_kind(&self, fields: &mut Fields, realm: &str) {
        fields.put("content-type", MEDIA_TYPE);
        fields.put("cache-control", "no-store");
        if let Some(challenge) = self.challenge(realm) {
            fields.put("www-authenticate", &challenge);
        }
    }

    /// Adds the fields of this occurrence.
    pub fn put_occurrence(&self, fields: &mut Fields) {
        if let Some(seconds) = self.retry_after() {
            fields.put_number("retry-after", seconds);
        }
        if let Self::MethodNotAllowed { allow } = self {
            fields.put("allow", &text::join(allow, ", "));
        }
    }

    /// What denials with the same [`Self::put_kind`] have in common; `None` for those that name something
    /// of the request.
    pub fn constant(&self) -> Option<&'static str> {
        match self {
            Self::MalformedCredential(what) => Some(what),
            Self::MissingCredential
            | Self::InvalidKey(_)
            | Self::ExpiredKey
            | Self::IpNotAllowed
            | Self::RateLimited { .. }
            | Self::QuotaExceeded { .. } => Some(self.code()),
            _ => None,
        }
    }

    /// The problem that is the body.
    pub fn problem(&self, request_id: &str) -> Object {
        let detail = self.detail();
        let message = match self {
            Self::RateLimited { .. } if self.retry_after().is_some() => {
                "Too many requests. Please try again later."
            }
            _ => &detail,
        };
        let kind = problem::Kind {
            status: self.status(),
            code: self.code(),
            title: self.title(),
        };
        let mut body = kind.object(&detail, message, request_id);
        if let Some(seconds) = self.retry_after() {
            body.number("retryAfter", seconds);
        }
        match self {
            Self::InsufficientPermission { needed } => {
                body.text("requiredPermission", needed.as_str());
            }
            Self::AccountNotAllowed { account } => {
                body.text("account", account);
            }
            Self::ResourceNotAllowed { resource } => {
                body.text("resource", resource);
            }
            Self::RateLimited {
                cost,
                refusal,
                limits,
            }
            | Self::QuotaExceeded {
                cost,
                refusal,
                limits,
            } => {
                if *cost > 1 {
                    body.number("cost", u64::from(*cost));
                }
                body.raw("rateLimits", &limits_json(limits)).texts(
                    "violatedPolicies",
                    refusal.violated.iter().map(|p| p.name()),
                );
            }
            _ => {}
        }
        body
    }

    /// RFC 6750, section 3: no `error` attribute when no credential was sent.
    fn challenge(&self, realm: &str) -> Option<String> {
        let realm: String = realm
            .chars()
            .filter(|c| (c.is_ascii_graphic() || *c == ' ') && !matches!(c, '"' | '\\'))
            .collect();
        let error = match self {
            Self::MissingCredential => return Some(format!("Bearer realm=\"{realm}\"")),
            Self::InsufficientPermission { needed } => {
                format!("error=\"insufficient_scope\", scope=\"{needed}\"")
            }
            _ if self.status() == 401 => {
                let text = self.detail().replace(['"', '\\'], "'").replace('…', "...");
                format!("error=\"invalid_token\", error_description=\"{text}\"")
            }
            _ => return None,
        };
        Some(format!("Bearer realm=\"{realm}\", {error}"))
    }
}
