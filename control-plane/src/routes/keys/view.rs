//! A key, as shown.

use serde::Serialize;
use serde_json::{Map, Value};
use shared::Millis;
use shared::ip::IpRange;
use shared::origin::OriginPattern;
use shared::permission::Permission;
use shared::record::{Enforcement, RateLimits};
use shared::resource::ResourceScope;
use shared::token::{MAX_TOKEN, Token};
use utoipa::ToSchema;

use super::credits::CreditsView;
use super::input::{EnforcementName, Limit, OwnerId};
use crate::audit::{Audited, Target};
use crate::environment::EnvironmentName;
use crate::http::body::Changed;
use crate::http::shown_once::ShownOnce;
use crate::openapi::names::{
    AccountId, IdentityId, Ips, KeyId, Metadata, Name, Origins, Permissions, Resources, Version,
};
use crate::openapi::schema::schema;
use crate::store::key_list::KeyStatus;
use crate::store::keys::{Key, Rotation};
use crate::timestamp::Timestamp;

const DAY: Millis = 24 * 60 * 60 * 1000;

schema! {
    /// Whether a key can be used now. `rate_limited`: it was refused for its quota a moment ago.
    pub Status = word(&KeyStatus::NAMES);
    /// The limits of a key, in cost units; `null`: not limited in that window.
    pub LimitsSchema as "RateLimits" = object([
        ("requestsPerMinute", or_null::<Limit>(), true),
        ("requestsPerHour", or_null::<Limit>(), true),
        ("requestsPerDay", or_null::<Limit>(), true),
    ]);
    /// How its token begins; empty for an imported one of which it is not told.
    Start = text(0, MAX_TOKEN).examples(["kw_prod_sk_Ab3x"]);
    /// How its token ends; empty for an imported one of which it is not told.
    Last8 = text(0, 8).examples(["9fQ2xL7p"]);
    /// Requests counted so far, refused ones included.
    UsageCount = count().examples([1_204]);
    /// Who told of a leak.
    LeakSource = word(&[("github", ()), ("possession", ())]);
    /// Where a token was found.
    LeakUrl = text(0, crate::leaks::MAX_URL).examples(["https://github.com/o/r/blob/main/.env"]);
    /// The token. It is shown this once.
    TokenText = text(1, MAX_TOKEN).examples(["kw_prod_sk_Ab3xT0kenThatIsShownThisOnceOnly"]);
}

/// A key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Key)]
#[serde(rename_all = "camelCase")]
pub struct KeyView {
    #[schema(value_type = KeyId)]
    id: String,
    #[schema(value_type = Name)]
    name: String,
    /// The account that owns it.
    #[schema(value_type = AccountId)]
    account_id: String,
    #[schema(required, value_type = Option<OwnerId>)]
    owner_id: Option<String>,
    /// The identity whose limits it shares.
    #[schema(required, value_type = Option<IdentityId>)]
    identity_id: Option<String>,
    #[schema(value_type = EnvironmentName)]
    environment: String,
    #[schema(value_type = Status)]
    status: &'static str,
    #[schema(value_type = Start)]
    start: String,
    #[schema(value_type = Last8)]
    last8: String,
    /// The rotation whose grace is running.
    #[schema(required)]
    rotation: Option<RotationView>,
    /// What it may do.
    #[schema(value_type = Permissions)]
    permissions: Vec<Permission>,
    /// Which resources it reaches, of the kinds named here; of other kinds all.
    #[schema(value_type = Resources)]
    resources: Vec<ResourceScope>,
    /// From which origins browsers may use it; empty: any.
    #[schema(value_type = Origins)]
    allowed_origins: Vec<OriginPattern>,
    /// Whether requests without an origin pass although origins are named.
    allow_missing_origin: bool,
    /// From which addresses it may be used; empty: any.
    #[schema(value_type = Ips)]
    allowed_ips: Vec<IpRange>,
    #[schema(value_type = LimitsSchema)]
    rate_limits: RateLimits,
    /// What it may spend in all; `null`: not limited.
    #[schema(required)]
    credits: Option<CreditsView>,
    #[schema(value_type = EnforcementName)]
    enforcement: Enforcement,
    /// When it ends; `null`: never.
    #[schema(required)]
    expires_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
    /// When its token is due to be replaced, by the schedule of its environment; `null`: never.
    #[schema(required)]
    rotation_due_at: Option<Timestamp>,
    /// When it was last used, as far as reported; `null`: not yet.
    #[schema(required)]
    last_used_at: Option<Timestamp>,
    #[schema(value_type = UsageCount)]
    usage_count: u64,
    #[schema(value_type = Metadata)]
    metadata: Map<String, Value>,
    /// Where a token of it was found in public; `null`: nowhere, as far as told.
    #[schema(required)]
    leak: Option<LeakView>,
    #[schema(value_type = Version)]
    version: u64,
    #[serde(skip)]
    token_created_at: Millis,
}

/// A rotation whose grace is running: both tokens work.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Rotation)]
#[serde(rename_all = "camelCase")]
struct RotationView {
    started_at: Timestamp,
    old_token_ends_at: Timestamp,
    /// How the old token begins; `null` if an older version of the server, which did not keep it, began the rotation.
    #[schema(required, value_type = Option<Start>)]
    old_start: Option<String>,
    /// How the old token ends.
    #[schema(required, value_type = Option<Last8>)]
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

/// A token that was found in public.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Leak)]
#[serde(rename_all = "camelCase")]
struct LeakView {
    reported_at: Timestamp,
    /// Who told: `github`, or `possession` for somebody who held the token.
    #[schema(value_type = LeakSource)]
    source: String,
    /// Where it was found.
    #[schema(required, value_type = Option<LeakUrl>)]
    url: Option<String>,
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
            identity_id: settings.identity_id,
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
            credits: settings.credits.map(CreditsView::of),
            enforcement: settings.enforcement,
            expires_at: settings.expires_at.map(Timestamp),
            created_at: Timestamp(key.created_at),
            updated_at: Timestamp(key.updated_at),
            rotation_due_at: None,
            token_created_at: key.token_created_at,
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

impl KeyView {
    /// With a schedule: how many days after its making a token is due.
    #[must_use]
    pub fn due_after(self, days: Option<u32>) -> Self {
        let due = days.map(|days| self.token_created_at + Millis::from(days) * DAY);
        Self {
            rotation_due_at: due.map(Timestamp),
            ..self
        }
    }

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

/// A key after a change.
#[derive(Debug, Serialize, ToSchema)]
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

/// A key with its new token: no other answer ever holds it.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewToken {
    #[schema(value_type = TokenText)]
    token: ShownOnce,
    key: KeyView,
    /// Whether every edge has it.
    propagated: bool,
}

impl ChangedKey {
    /// With the token that was made for it.
    pub fn with_token(self, token: &Token) -> NewToken {
        NewToken {
            token: ShownOnce::new(token.expose()),
            key: self.key,
            propagated: self.propagated,
        }
    }
}

impl Changed for NewToken {
    fn version(&self) -> Option<u64> {
        Some(self.key.version)
    }

    fn set_propagated(&mut self, propagated: bool) {
        self.propagated = propagated;
    }
}
