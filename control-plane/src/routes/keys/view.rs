//! A key, as shown.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use shared::Millis;
use shared::ip::IpRange;
use shared::origin::OriginPattern;
use shared::permission::Permission;
use shared::record::{Enforcement, RateLimits};
use shared::resource::ResourceScope;
use shared::token::Token;
use zeroize::Zeroizing;

use crate::audit::{Audited, Target};
use crate::http::body::Changed;
use crate::store::key_list::KeyStatus;
use crate::store::keys::{Key, Rotation};
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
    /// The rotation under way.
    rotation: Option<RotationView>,
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
    version: u64,
}

/// A rotation whose grace is running, in JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RotationView {
    started_at: Timestamp,
    old_token_ends_at: Timestamp,
    /// `null` for a rotation that was begun by a version that did not keep it.
    old_start: Option<String>,
    old_last8: Option<String>,
}

impl RotationView {
    fn of(rotation: &Rotation) -> Self {
        let old = rotation.old.as_ref();
        Self {
            started_at: Timestamp(rotation.started_at),
            old_token_ends_at: Timestamp(rotation.ends_at),
            old_start: old.map(|hints| hints.start.clone()),
            old_last8: old.map(|hints| hints.last8.clone()),
        }
    }
}

impl KeyView {
    /// The view of a key at a time.
    pub fn of(key: Key, status: KeyStatus, now: Millis) -> Self {
        let rotation = key.rotation_at(now).map(RotationView::of);
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
            rotation,
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
            version: key.version,
        }
    }
}

impl KeyView {
    /// As the audit log has it: a status that comes of use is no admin's act.
    pub fn in_log(key: Key, now: Millis) -> Self {
        let status = KeyStatus::unused(&key, now);
        Self::of(key, status, now)
    }
}

impl Audited for KeyView {
    fn target(&self) -> Target {
        Target {
            kind: "key",
            id: self.id.clone(),
            name: self.name.clone(),
            account: self.account_id.clone(),
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

impl Changed for ChangedKey {
    fn version(&self) -> Option<u64> {
        Some(self.key.version)
    }

    fn set_propagated(&mut self, propagated: bool) {
        self.propagated = propagated;
    }
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

impl Changed for NewToken {
    fn version(&self) -> Option<u64> {
        self.changed.version()
    }

    fn set_propagated(&mut self, propagated: bool) {
        self.changed.set_propagated(propagated);
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
