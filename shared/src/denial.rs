//! The denial catalogue: every refusal that Keyward answers a caller with, its status, headers and body.

mod refusal;

use crate::Millis;
use crate::lease::QuotaRefusal;
use crate::permission::Permission;
use crate::policy::Policy;
use crate::ratelimit::whole_seconds;
use crate::record::RateLimits;
use crate::text;

pub use refusal::Refusal;

/// Why a presented key opens nothing. Told apart in logs only: callers see one answer for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidKey {
    /// The tag was not made with our secret.
    Forged,
    /// No key has this hash.
    Unknown,
    /// Stopped by an admin.
    Revoked,
    /// Deleted.
    Deleted,
    /// The member who owns it is one no longer.
    OwnerRemoved,
    /// Replaced by a rotation, its grace over.
    Replaced,
    /// A key of an account that has nothing to do with this API.
    OtherTenant,
}

impl InvalidKey {
    /// What logs may say, and callers may not.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Forged => "forged",
            Self::Unknown => "unknown",
            Self::Revoked => "revoked",
            Self::Deleted => "deleted",
            Self::OwnerRemoved => "its owner was removed",
            Self::Replaced => "replaced by a rotation",
            Self::OtherTenant => "of an account that this API is not for",
        }
    }
}

/// A refusal. The order of the variants is the catalogue's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// No credential was sent.
    MissingCredential,
    /// Credential headers that can't be read, or that contradict each other.
    MalformedCredential(&'static str),
    /// A key that opens nothing.
    InvalidKey(InvalidKey),
    /// The key's time is over.
    ExpiredKey,
    /// The key is for another environment.
    WrongEnvironment {
        /// The endpoint's environment.
        endpoint: String,
    },
    /// A permission is missing.
    InsufficientPermission {
        /// The one that is missing.
        needed: Permission,
    },
    /// The account named in the path is not the key's, nor below it.
    AccountNotAllowed {
        /// As named.
        account: String,
    },
    /// The key is bound to other resources of this kind.
    ResourceNotAllowed {
        /// `kind:id` as named.
        resource: String,
    },
    /// The key may not be used from this origin, or not without one.
    OriginNotAllowed {
        /// The origin, if one was sent.
        origin: Option<String>,
    },
    /// The key may not be used from this address.
    IpNotAllowed,
    /// A window of the key's, or of its identity's, is full.
    RateLimited {
        /// What the request costs, in units.
        cost: u32,
        /// When, and what has no room.
        refusal: QuotaRefusal,
        /// The key's limits.
        limits: RateLimits,
    },
    /// The client has sent too many keys that nobody has, so that this one is not looked up.
    TooManyUnknown {
        /// In how many milliseconds one more would be.
        retry_in: Millis,
    },
    /// The plan's month or the key's credits are used up; windows may be full as well.
    QuotaExceeded {
        /// What the request costs, in units.
        cost: u32,
        /// When, and what has no room.
        refusal: QuotaRefusal,
        /// The key's limits.
        limits: RateLimits,
    },
    /// No API answers for this host.
    UnknownApi,
    /// No route is listed for this path.
    UnknownRoute,
    /// The path is known with other methods.
    MethodNotAllowed {
        /// Those methods.
        allow: Vec<String>,
    },
    /// Nonsense input: 400, 413 or 431.
    BadRequest {
        /// 400, 413 or 431.
        status: u16,
        /// What is wrong.
        detail: String,
    },
    /// The upstream could not be reached.
    UpstreamUnreachable,
    /// The guard could not be asked, or its answer not understood.
    GuardUnavailable,
    /// The upstream took too long.
    UpstreamTimeout,
}

/// The code of every refusal, in the catalogue's order.
pub const CODES: [&str; 18] = [
    "missing_credential",
    "malformed_credential",
    "invalid_key",
    "expired_key",
    "wrong_environment",
    "insufficient_permission",
    "account_not_allowed",
    "resource_not_allowed",
    "origin_not_allowed",
    "ip_not_allowed",
    "rate_limited",
    "quota_exceeded",
    "unknown_api",
    "unknown_route",
    "bad_request",
    "upstream_unreachable",
    "guard_unavailable",
    "upstream_timeout",
];

/// How long a caller should wait when the guard is out of reach, in seconds.
const GUARD_RETRY_SECONDS: u64 = 1;

impl Denial {
    /// A refusal of what has no room.
    pub fn limited(cost: u32, refusal: QuotaRefusal, limits: RateLimits) -> Self {
        if refusal.violated.iter().any(|policy| policy.is_quota()) {
            return Self::QuotaExceeded {
                cost,
                refusal,
                limits,
            };
        }
        Self::RateLimited {
            cost,
            refusal,
            limits,
        }
    }

    /// What has no room, and what the request costs, where that is the reason.
    pub fn quota(&self) -> Option<(u32, &QuotaRefusal)> {
        match self {
            Self::RateLimited { cost, refusal, .. } | Self::QuotaExceeded { cost, refusal, .. } => {
                Some((*cost, refusal))
            }
            _ => None,
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::MissingCredential
            | Self::MalformedCredential(_)
            | Self::InvalidKey(_)
            | Self::ExpiredKey
            | Self::WrongEnvironment { .. } => 401,
            Self::InsufficientPermission { .. }
            | Self::AccountNotAllowed { .. }
            | Self::ResourceNotAllowed { .. }
            | Self::OriginNotAllowed { .. }
            | Self::IpNotAllowed => 403,
            Self::RateLimited { .. } | Self::QuotaExceeded { .. } | Self::TooManyUnknown { .. } => {
                429
            }
            Self::UnknownApi | Self::UnknownRoute => 404,
            Self::MethodNotAllowed { .. } => 405,
            Self::BadRequest { status, .. } => *status,
            Self::UpstreamUnreachable => 502,
            Self::GuardUnavailable => 503,
            Self::UpstreamTimeout => 504,
        }
    }

    /// The kind, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::MissingCredential => "missing_credential",
            Self::MalformedCredential(_) => "malformed_credential",
            Self::InvalidKey(_) => "invalid_key",
            Self::ExpiredKey => "expired_key",
            Self::WrongEnvironment { .. } => "wrong_environment",
            Self::InsufficientPermission { .. } => "insufficient_permission",
            Self::AccountNotAllowed { .. } => "account_not_allowed",
            Self::ResourceNotAllowed { .. } => "resource_not_allowed",
            Self::OriginNotAllowed { .. } => "origin_not_allowed",
            Self::IpNotAllowed => "ip_not_allowed",
            Self::RateLimited { .. } | Self::TooManyUnknown { .. } => "rate_limited",
            Self::QuotaExceeded { .. } => "quota_exceeded",
            Self::UnknownApi => "unknown_api",
            Self::UnknownRoute | Self::MethodNotAllowed { .. } => "unknown_route",
            Self::BadRequest { .. } => "bad_request",
            Self::UpstreamUnreachable => "upstream_unreachable",
            Self::GuardUnavailable => "guard_unavailable",
            Self::UpstreamTimeout => "upstream_timeout",
        }
    }

    /// The kind, for people.
    pub fn title(&self) -> &'static str {
        match self {
            Self::MissingCredential => "API key required",
            Self::MalformedCredential(_) => "Malformed API key",
            Self::InvalidKey(_) => "Invalid API key",
            Self::ExpiredKey => "Expired API key",
            Self::WrongEnvironment { .. } => "Wrong environment",
            Self::InsufficientPermission { .. } => "Insufficient permission",
            Self::AccountNotAllowed { .. } => "Account not allowed",
            Self::ResourceNotAllowed { .. } => "Resource not allowed",
            Self::OriginNotAllowed { .. } => "Origin not allowed",
            Self::IpNotAllowed => "IP address not allowed",
            Self::RateLimited { .. } | Self::TooManyUnknown { .. } => "Rate limit exceeded",
            Self::QuotaExceeded { .. } => "Quota exceeded",
            Self::UnknownApi => "Unknown API",
            Self::UnknownRoute => "Unknown route",
            Self::MethodNotAllowed { .. } => "Method not allowed",
            Self::BadRequest { .. } => "Bad request",
            Self::UpstreamUnreachable => "Upstream unreachable",
            Self::GuardUnavailable => "Temporarily unavailable",
            Self::UpstreamTimeout => "Upstream timeout",
        }
    }

    /// This occurrence, for people.
    pub fn detail(&self) -> String {
        match self {
            Self::MissingCredential => {
                "Send an API key as `Authorization: Bearer …` or `X-API-Key: …`".into()
            }
            Self::MalformedCredential(what) => (*what).to_owned(),
            Self::InvalidKey(_) => "Invalid or revoked API key".into(),
            Self::ExpiredKey => "The API key has expired".into(),
            Self::WrongEnvironment { endpoint } => about(
                "This endpoint takes keys of the environment `",
                endpoint,
                "`",
            ),
            Self::InsufficientPermission { needed } => {
                about("The API key lacks the permission `", needed.as_str(), "`")
            }
            Self::AccountNotAllowed { account } => {
                about("The API key does not reach the account `", account, "`")
            }
            Self::ResourceNotAllowed { resource } => {
                about("The API key is not bound to `", resource, "`")
            }
            Self::OriginNotAllowed {
                origin: Some(origin),
            } => about("The origin `", origin, "` is not allowed"),
            Self::OriginNotAllowed { origin: None } => {
                "The API key may be used from its allowed origins only".into()
            }
            Self::IpNotAllowed => "The API key may not be used from this IP address".into(),
            Self::RateLimited {
                cost,
                refusal,
                limits,
            } => match limits.below(*cost).as_slice() {
                [] => about(
                    "The limit of the API key is reached: ",
                    &names(&refusal.violated),
                    "",
                ),
                never => format!(
                    "The request costs {cost} units, more than the API key's limit ever allows: {}",
                    names(never)
                ),
            },
            Self::QuotaExceeded { refusal, .. } => {
                about("The quota is used up: ", &names(&refusal.violated), "")
            }
            Self::TooManyUnknown { .. } => {
                "Too many unknown API keys were sent from this address. Please try again later"
                    .into()
            }
            Self::UnknownApi => "No API is served on this host".into(),
            Self::UnknownRoute => "No route is listed for this path".into(),
            Self::MethodNotAllowed { allow } => {
                about("This path takes the methods ", &text::join(allow, ", "), "")
            }
            Self::BadRequest { detail, .. } => detail.clone(),
            Self::UpstreamUnreachable => "The API could not be reached".into(),
            Self::GuardUnavailable => "The request could not be checked. Please try again".into(),
            Self::UpstreamTimeout => "The API took too long to answer".into(),
        }
    }

    /// After how many whole seconds a retry makes sense, where that is known and any wait would help.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::RateLimited { cost, limits, .. } if !limits.below(*cost).is_empty() => None,
            Self::RateLimited { refusal, .. } | Self::QuotaExceeded { refusal, .. } => {
                (!refusal.is_final()).then(|| whole_seconds(refusal.retry_in).max(1))
            }
            Self::TooManyUnknown { retry_in } => Some(whole_seconds(*retry_in).max(1)),
            Self::GuardUnavailable => Some(GUARD_RETRY_SECONDS),
            _ => None,
        }
    }
}

/// A sentence that names something.
fn about(before: &str, what: &str, after: &str) -> String {
    text::join(&[before, what, after], "")
}

fn names(policies: &[Policy]) -> String {
    let names: Vec<_> = policies.iter().map(|p| p.name()).collect();
    text::join(&names, ", ")
}

#[cfg(test)]
#[path = "denial_tests.rs"]
mod tests;
