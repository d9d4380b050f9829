//! A key, as shown.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use shared::ip::IpRange;
use shared::origin::OriginPattern;
use shared::permission::Permission;
use shared::record::{Enforcement, RateLimits};
use shared::resource::ResourceScope;
use shared::token::Token;
use zeroize::Zeroizing;

use crate::store::key_list::KeyStatus;
use crate::store::keys::Key;
use crate::timestamp::Timestamp;

/// A key in JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyView {
    id: String,
    name: String,
    account_id: String,
    owner_id: Option<String>,
    environment: String,
    status: &'static str,
    start: String,
    last8: String,
    permissions: Vec<Permission>,
    resources: Vec<ResourceScope>,
    allowed_origins: Vec<OriginPattern>,
    allow_missing_origin: bool,
    allowed_ips: Vec<IpRange>,
    rate_limits: RateLimits,
    enforcement: Enforcement,
    expires_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
    last_used_at: Option<Timestamp>,
    usage_count: u64,
    metadata: Map<String, Value>,
    /// Where a token of it was found in public.
    leak: Option<LeakView>,
    version: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LeakView {
    reported_at: Timestamp,
    source: String,
    url: Option<String>,
}

impl KeyView {
    /// The view of a key.
    pub fn of(key: Key, status: KeyStatus) -> Self {
        let settings = key.settings;
        Self {
            id: key.id,
            name: settings.name,
            account_id: key.account_id,
            owner_id: settings.owner_id,
            environment: key.environment.name,
            status: status.name(),
            start: key.hints.start,
            last8: key.hints.last8,
            permissions: settings.permissions,
            resources: settings.resources,
            allowed_origins: settings.allowed_origins,
            allow_missing_origin: settings.allow_missing_origin,
            allowed_ips: settings.allowed_ips,
            rate_limits: settings.limits,
            enforcement: settings.enforcement,
            expires_at: settings.expires_at.map(Timestamp),
            created_at: Timestamp(key.created_at),
            updated_at: Timestamp(key.updated_at),
            last_used_at: key.last_used_at.map(Timestamp),
            usage_count: key.usage_count,
            metadata: settings.metadata,
            leak: key.leak.map(|leak| LeakView {
                reported_at: Timestamp(leak.at),
                source: leak.source,
                url: leak.url,
            }),
            version: key.version,
        }
    }
}

/// The answer to a change.
#[derive(Debug, Serialize)]
pub struct ChangedKey {
    /// The key after it.
    pub key: KeyView,
    /// Whether every edge has it.
    pub propagated: bool,
}

/// The answer that holds a token: the only one that ever does.
#[derive(Debug, Serialize)]
pub struct NewToken {
    token: ShownOnce,
    #[serde(flatten)]
    changed: ChangedKey,
}

impl ChangedKey {
    /// With the token that was made for it.
    pub fn with_token(self, token: &Token) -> NewToken {
        NewToken {
            token: ShownOnce(Zeroizing::new(token.expose().to_owned())),
            changed: self,
        }
    }
}

struct ShownOnce(Zeroizing<String>);

impl fmt::Debug for ShownOnce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShownOnce(redacted)")
    }
}

impl Serialize for ShownOnce {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
