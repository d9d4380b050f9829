//! Records: the state of keys, APIs, accounts, members and roles, as the control plane pushes it and the edge keeps it.
//!
//! Every record has a version that only grows. Unknown fields are ignored, so that an older edge
//! understands a newer control plane; unknown states are read as the safest one.

mod api;
mod owner;
mod quota;

use serde::Serialize;

pub use self::api::{
    ApiRecord, CorsPolicy, Endpoint, OnGuardFailure, Unlisted, default_upstream_timeout,
};
pub use self::owner::{MemberRecord, RoleRecord, built_in_role};

pub use self::quota::{Credits, IdentityRecord, Interval, Refill};

use crate::Millis;
use crate::account::{AccountRecord, MAX_DEPTH, locator_of};
use crate::ip::IpRange;
use crate::origin::OriginPattern;
use crate::permission::Permission;
use crate::policy::Policy;
use crate::read::Members;
use crate::resource::ResourceScope;
use crate::token::KeyHash;
use crate::window::Window;
use crate::wire;
use crate::write::member;

/// The most entries of each list of a key: permissions, scopes, origins, IPs.
pub const MAX_LIST: usize = 256;
/// The longest id, in characters.
pub const MAX_ID: usize = 64;
/// The highest version: the largest integer that JavaScript, between the guard and its storage, carries exactly.
pub const MAX_VERSION: u64 = (1 << 53) - 1;

/// Whether a key may be used at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// May be used.
    Active,
    /// Stopped by an admin; can be reactivated.
    Revoked,
    /// The member who owns it is one no longer. Guards say so of an active key; it is not pushed.
    OwnerRemoved,
    /// Gone; the record is its tombstone.
    Deleted,
}

wire!(KeyState: "active" => Active, "revoked" => Revoked, "owner_removed" => OwnerRemoved, _ | "deleted" => Deleted);

/// How exactly a key's state and quota are followed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Enforcement {
    /// Gates hold leases: decided from memory, a change in force within the lease time.
    #[default]
    Leased,
    /// Every request asks the guard: a change in force at once.
    Strict,
}

wire!(Enforcement: "leased" => Leased, _ | "strict" => Strict);

/// The limits of a key, in cost units. `None`: not limited in that window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RateLimits {
    /// In any rolling 60 s.
    pub requests_per_minute: Option<u32>,
    /// In any rolling 3600 s.
    pub requests_per_hour: Option<u32>,
    /// In a UTC day.
    pub requests_per_day: Option<u32>,
}

wire!(RateLimits {
    requests_per_minute: "requestsPerMinute",
    requests_per_hour: "requestsPerHour",
    requests_per_day: "requestsPerDay",
});

impl RateLimits {
    /// The limit of a window.
    pub fn of(&self, window: Window) -> Option<u32> {
        match window {
            Window::Minute => self.requests_per_minute,
            Window::Hour => self.requests_per_hour,
            Window::Day => self.requests_per_day,
            Window::Month => None,
        }
    }

    /// The windows whose whole limit is below a cost: it never fits there.
    pub fn below(&self, cost: u32) -> Vec<Policy> {
        let is_below = |window: &Window| self.of(*window).is_some_and(|limit| limit < cost);
        let below = Window::OF_RATES.into_iter().filter(is_below);
        below.map(Policy::Key).collect()
    }
}

/// One token of a key, by its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Credential {
    /// SHA-256 of the token.
    pub hash: KeyHash,
    /// Until when it works, exclusive; `None`: as long as the key. Set for the old token in a rotation's grace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Millis>,
}

wire!(Credential {
    hash: "hash",
    not_after: "notAfter"
});

/// A key, as the edge knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyRecord {
    /// `key_…`
    pub id: String,
    /// Grows by every change; as a guard gives it, by every change of its owner and of the owner's role, too.
    pub version: u64,
    /// The account it belongs to.
    pub account: String,
    /// The accounts above that one, root first.
    pub ancestors: Vec<String>,
    /// The member who owns it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The environment's short code.
    pub environment: String,
    /// Whether it may be used.
    pub state: KeyState,
    /// Its tokens: one, or two during a rotation's grace.
    pub credentials: Vec<Credential>,
    /// When it stops working by itself, exclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Millis>,
    /// What it may do.
    pub permissions: Vec<Permission>,
    /// What its owner's role may do; `None`: no bound from a role. The guard's to fill: see [`crate::guard::bind`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_permissions: Option<Vec<Permission>>,
    /// The resources it is bound to.
    pub resources: Vec<ResourceScope>,
    /// The origins it may be used from; empty: all.
    pub allowed_origins: Vec<OriginPattern>,
    /// Whether a key with allowed origins also admits requests without an `Origin`.
    pub allow_missing_origin: bool,
    /// The addresses it may be used from; empty: all.
    pub allowed_ips: Vec<IpRange>,
    /// Its limits.
    pub limits: RateLimits,
    /// How exactly it is followed.
    pub enforcement: Enforcement,
    /// What it may spend in all; `None`: not limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credits: Option<Credits>,
    /// The identity whose limits it shares with other keys of its account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
}

wire!(KeyRecord {
    id: "id",
    version: "version",
    account: "account",
    ancestors: "ancestors" or Vec::new(),
    owner: "owner",
    environment: "environment",
    state: "state",
    credentials: "credentials",
    expires_at: "expiresAt",
    permissions: "permissions" or Vec::new(),
    role_permissions: "rolePermissions",
    resources: "resources" or Vec::new(),
    allowed_origins: "allowedOrigins" or Vec::new(),
    allow_missing_origin: "allowMissingOrigin" or false,
    allowed_ips: "allowedIps" or Vec::new(),
    limits: "limits" or RateLimits::default(),
    enforcement: "enforcement" or Enforcement::default(),
    credits: "credits",
    identity: "identity",
});

impl KeyRecord {
    /// The credential with this hash, if the key still has it.
    pub fn credential(&self, hash: &KeyHash) -> Option<&Credential> {
        self.credentials.iter().find(|c| c.hash == *hash)
    }

    /// Whether keys of this account are for that API: the accounts are the same, or one is above the other.
    /// (A platform's API is opened by its customers' keys; a parent's key opens its subaccounts' APIs.)
    pub fn belongs_at(&self, api: &ApiRecord) -> bool {
        self.account == api.account
            || self.ancestors.contains(&api.account)
            || api.ancestors.contains(&self.account)
    }

    /// Whether every request asks the guard.
    pub fn is_strict(&self) -> bool {
        self.enforcement == Enforcement::Strict
    }
}

/// Why a record can't be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Empty, too long, or with other characters.
    #[error("the id has 1 to 64 letters, digits and underscores")]
    Id,
    /// 0, or above [`MAX_VERSION`].
    #[error("the version is 1 to 9007199254740991")]
    Version,
    /// An account that can't be one, or a tree deeper than [`MAX_DEPTH`].
    #[error("an account is acc_ and 8 letters and digits, with at most 7 above it")]
    Account,
}

/// Any record, as pushed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// A key.
    Key(KeyRecord),
    /// An API.
    Api(ApiRecord),
    /// An account.
    Account(AccountRecord),
    /// A member.
    Member(MemberRecord),
    /// A role.
    Role(RoleRecord),
    /// An identity.
    Identity(IdentityRecord),
}

wire!(Record: Self::from_members, Self::put_members);

/// What all records have.
struct Head<'a> {
    kind: &'static str,
    id: &'a str,
    version: u64,
    account: &'a str,
    ancestors: &'a [String],
}

macro_rules! head {
    ($record:ident, $kind:literal, $account:ident) => {
        Head {
            kind: $kind,
            id: &$record.id,
            version: $record.version,
            account: &$record.$account,
            ancestors: &$record.ancestors,
        }
    };
}

impl Record {
    fn from_members(members: &mut Members<'_, '_>) -> Self {
        match members.take_text("kind") {
            "key" => Self::Key(KeyRecord::from_members(members)),
            "api" => Self::Api(ApiRecord::from_members(members)),
            "member" => Self::Member(MemberRecord::from_members(members)),
            "role" => Self::Role(RoleRecord::from_members(members)),
            "identity" => Self::Identity(IdentityRecord::from_members(members)),
            kind => {
                if kind != "account" {
                    members.wanted("a key, an api, an account, a member, a role or an identity");
                }
                Self::Account(AccountRecord::from_members(members))
            }
        }
    }

    fn put_members(&self, to: &mut String) {
        member(to, "kind", &self.kind());
        match self {
            Self::Key(r) => r.put_members(to),
            Self::Api(r) => r.put_members(to),
            Self::Account(r) => r.put_members(to),
            Self::Member(r) => r.put_members(to),
            Self::Role(r) => r.put_members(to),
            Self::Identity(r) => r.put_members(to),
        }
    }

    fn head(&self) -> Head<'_> {
        match self {
            Self::Key(r) => head!(r, "key", account),
            Self::Api(r) => head!(r, "api", account),
            Self::Account(r) => head!(r, "account", id),
            Self::Member(r) => head!(r, "member", account),
            Self::Role(r) => head!(r, "role", account),
            Self::Identity(r) => head!(r, "identity", account),
        }
    }

    /// `key`, `api`, `account`, `member`, `role` or `identity`.
    pub fn kind(&self) -> &'static str {
        self.head().kind
    }

    /// The record's id.
    pub fn id(&self) -> &str {
        self.head().id
    }

    /// The record's version.
    pub fn version(&self) -> u64 {
        self.head().version
    }

    /// The account that it belongs to: an account to itself.
    pub fn account(&self) -> &str {
        self.head().account
    }

    /// Whether it can be kept: what its type does not say of its id, version and accounts.
    ///
    /// # Errors
    /// [`RecordError`], the first of them.
    pub fn check(&self) -> Result<(), RecordError> {
        let Head {
            id,
            version,
            account,
            ancestors,
            ..
        } = self.head();
        let id_fits = (1..=MAX_ID).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !id_fits {
            return Err(RecordError::Id);
        }
        // 0 stands for "no record" between gates and guards.
        if !(1..=MAX_VERSION).contains(&version) {
            return Err(RecordError::Version);
        }
        let accounts_fit = ancestors.len() < MAX_DEPTH
            && ancestors
                .iter()
                .map(String::as_str)
                .chain([account])
                .all(|a| locator_of(a).is_some());
        accounts_fit.then_some(()).ok_or(RecordError::Account)
    }

    /// The accounts whose guards hold it. An account's own record is held by its guard and by all above it,
    /// so that the guard of a key knows which accounts the key reaches.
    pub fn holders(&self) -> Vec<&str> {
        let Head {
            account, ancestors, ..
        } = self.head();
        let above = match self {
            Self::Account(_) => ancestors,
            _ => &[],
        };
        above.iter().map(String::as_str).chain([account]).collect()
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
