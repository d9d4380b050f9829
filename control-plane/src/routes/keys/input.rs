//! What a caller may say of a key, and its checks.

use serde::Deserialize;
use serde_json::{Map, Value};
use shared::Millis;
use shared::ip::IpRange;
use shared::origin::OriginPattern;
use shared::permission::Permission;
use shared::preset::{PRESETS, Preset};
use shared::record::{Enforcement, MAX_ID, RateLimits};
use shared::resource::ResourceScope;
use utoipa::ToSchema;

use super::credits::CreditsInput;
use crate::environment::{self, Named};
use crate::http::body::{given, nullable};
use crate::openapi::names::{
    AccountId, IdentityId, Ips, Metadata, Name, Origins, Permissions, Resources,
};
use crate::openapi::schema::schema;
use crate::store::keys::KeySettings;
use crate::timestamp::Timestamp;
use crate::validate::{Checks, MAX_NAME};

const MAX_OWNER: usize = 64;
/// As JSON, in bytes.
const MAX_METADATA: usize = 8 * 1024;
const DEFAULT_PER_MINUTE: u32 = 60;
/// The highest limit, in cost units.
pub const MAX_LIMIT: u32 = 1_000_000_000;
const DAY: Millis = 24 * 60 * 60 * 1000;
const ENFORCEMENTS: [(&str, Enforcement); 2] = [
    ("leased", Enforcement::Leased),
    ("strict", Enforcement::Strict),
];
/// How long a key lives, in days.
const LIFETIMES: [(&str, Option<Millis>); 3] =
    [("never", None), ("30d", Some(30)), ("90d", Some(90))];

schema! {
    /// A limit, in cost units.
    pub Limit = whole(1, MAX_LIMIT).examples([60]);
    /// A preset's name.
    pub PresetName = word(&PRESETS.map(|preset| (preset.name, ())));
    /// Who owns the key.
    pub OwnerId = text(1, MAX_OWNER).examples(["mem_9Xw2"]);
    /// How exactly state and quota are followed: `leased`, from memory, a change in force within a second; `strict`, every
    /// request asks, a change in force at once.
    pub EnforcementName = word(&ENFORCEMENTS);
    /// How long it lives, from now on. Not beside `expiresAt`.
    pub Lifetime = word(&LIFETIMES).examples(["90d"]);
}

/// A key to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateKey {
    #[schema(value_type = Name)]
    name: String,
    /// The account; the token's own by default.
    #[schema(value_type = AccountId)]
    #[serde(default, deserialize_with = "given")]
    account_id: Option<String>,
    #[schema(value_type = environment::EnvironmentName)]
    #[serde(default, deserialize_with = "given")]
    environment: Option<String>,
    /// The environment's short code; need not be given.
    #[schema(value_type = environment::EnvironmentCode)]
    #[serde(default, deserialize_with = "given")]
    environment_code: Option<String>,
    #[schema(value_type = Option<OwnerId>)]
    #[serde(default)]
    owner_id: Option<String>,
    /// What it may do.
    #[schema(value_type = Permissions)]
    #[serde(default, deserialize_with = "given")]
    permissions: Option<Vec<String>>,
    /// An identity of the key's account, whose limits it shares.
    #[schema(value_type = Option<IdentityId>)]
    #[serde(default)]
    identity_id: Option<String>,
    /// What it may spend in all; `null`: not limited.
    #[serde(default)]
    credits: Option<CreditsInput>,
    /// Which resources it reaches, of the kinds named here; of other kinds all.
    #[schema(value_type = Resources)]
    #[serde(default, deserialize_with = "given")]
    resources: Option<Vec<String>>,
    /// From which origins browsers may use it; empty: any.
    #[schema(value_type = Origins)]
    #[serde(default, deserialize_with = "given")]
    allowed_origins: Option<Vec<String>>,
    /// Whether requests without an origin pass although origins are named.
    #[schema(value_type = bool)]
    #[serde(default, deserialize_with = "given")]
    allow_missing_origin: Option<bool>,
    /// From which addresses it may be used; empty: any.
    #[schema(value_type = Ips)]
    #[serde(default, deserialize_with = "given")]
    allowed_ips: Option<Vec<String>>,
    #[schema(value_type = RateLimitsInput)]
    #[serde(default, deserialize_with = "given")]
    rate_limits: Option<RateLimitsInput>,
    #[schema(value_type = EnforcementName)]
    #[serde(default, deserialize_with = "given")]
    enforcement: Option<String>,
    #[schema(value_type = Lifetime)]
    #[serde(default, deserialize_with = "given")]
    expires_in: Option<String>,
    /// When the key ends; `null`: never. Not beside `expiresIn`.
    #[schema(value_type = Option<Timestamp>)]
    #[serde(default)]
    expires_at: Option<String>,
    /// Anything; at most 8 KiB as JSON.
    #[schema(value_type = Metadata)]
    #[serde(default, deserialize_with = "given")]
    metadata: Option<Map<String, Value>>,
}

/// What is given replaces what there was; of `rateLimits` each by itself.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PatchKey {
    #[schema(value_type = Name)]
    #[serde(default, deserialize_with = "given")]
    name: Option<String>,
    #[schema(value_type = Option<OwnerId>)]
    #[serde(default, deserialize_with = "nullable")]
    owner_id: Option<Option<String>>,
    /// What it may do.
    #[schema(value_type = Permissions)]
    #[serde(default, deserialize_with = "given")]
    permissions: Option<Vec<String>>,
    /// An identity of the key's account, whose limits it shares.
    #[schema(value_type = Option<IdentityId>)]
    #[serde(default, deserialize_with = "nullable")]
    identity_id: Option<Option<String>>,
    /// What it may spend in all; `null`: not limited. What is left out of it stays as it is.
    #[schema(value_type = Option<CreditsInput>)]
    #[serde(default, deserialize_with = "nullable")]
    credits: Option<Option<CreditsInput>>,
    /// Which resources it reaches, of the kinds named here; of other kinds all.
    #[schema(value_type = Resources)]
    #[serde(default, deserialize_with = "given")]
    resources: Option<Vec<String>>,
    /// From which origins browsers may use it; empty: any.
    #[schema(value_type = Origins)]
    #[serde(default, deserialize_with = "given")]
    allowed_origins: Option<Vec<String>>,
    /// Whether requests without an origin pass although origins are named.
    #[schema(value_type = bool)]
    #[serde(default, deserialize_with = "given")]
    allow_missing_origin: Option<bool>,
    /// From which addresses it may be used; empty: any.
    #[schema(value_type = Ips)]
    #[serde(default, deserialize_with = "given")]
    allowed_ips: Option<Vec<String>>,
    #[schema(value_type = RateLimitsInput)]
    #[serde(default, deserialize_with = "given")]
    rate_limits: Option<RateLimitsInput>,
    #[schema(value_type = EnforcementName)]
    #[serde(default, deserialize_with = "given")]
    enforcement: Option<String>,
    #[schema(value_type = Lifetime)]
    #[serde(default, deserialize_with = "given")]
    expires_in: Option<String>,
    /// When the key ends; `null`: never. Not beside `expiresIn`.
    #[schema(value_type = Option<Timestamp>)]
    #[serde(default, deserialize_with = "nullable")]
    expires_at: Option<Option<String>>,
    /// Anything; at most 8 KiB as JSON.
    #[schema(value_type = Metadata)]
    #[serde(default, deserialize_with = "given")]
    metadata: Option<Map<String, Value>>,
}

/// Limits: a preset's, and over them those that are given; `null` takes the limit of an hour or a day away.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct RateLimitsInput {
    #[schema(value_type = PresetName)]
    #[serde(deserialize_with = "given")]
    preset: Option<String>,
    /// In any rolling 60 s.
    #[schema(value_type = Limit)]
    #[serde(deserialize_with = "given")]
    requests_per_minute: Option<u32>,
    /// In any rolling 3600 s.
    #[schema(value_type = Option<Limit>)]
    #[serde(deserialize_with = "nullable")]
    requests_per_hour: Option<Option<u32>>,
    /// In a UTC day.
    #[schema(value_type = Option<Limit>)]
    #[serde(deserialize_with = "nullable")]
    requests_per_day: Option<Option<u32>>,
}

/// The fields of a key's environment: name and code.
pub const ENVIRONMENT_FIELDS: [&str; 2] = ["environment", "environmentCode"];

/// A key's settings before anything is said of them.
pub fn fresh_settings() -> KeySettings {
    KeySettings {
        name: String::new(),
        owner_id: None,
        permissions: Vec::new(),
        identity_id: None,
        credits: None,
        resources: Vec::new(),
        allowed_origins: Vec::new(),
        allow_missing_origin: false,
        allowed_ips: Vec::new(),
        limits: RateLimits {
            requests_per_minute: Some(DEFAULT_PER_MINUTE),
            requests_per_hour: None,
            requests_per_day: None,
        },
        enforcement: Enforcement::Leased,
        expires_at: None,
        metadata: Map::new(),
    }
}

impl CreateKey {
    /// Which environment is meant.
    pub fn environment(&self) -> Named {
        let name = self.environment.as_deref().unwrap_or(environment::DEFAULT);
        Named {
            name: name.to_owned(),
            code: self.environment_code.clone(),
        }
    }

    /// The account, if one is named, and what can be changed later, too.
    pub fn split(self) -> (Option<String>, PatchKey) {
        let patch = PatchKey {
            name: Some(self.name),
            owner_id: Some(self.owner_id),
            permissions: self.permissions,
            identity_id: Some(self.identity_id),
            credits: Some(self.credits),
            resources: self.resources,
            allowed_origins: self.allowed_origins,
            allow_missing_origin: self.allow_missing_origin,
            allowed_ips: self.allowed_ips,
            rate_limits: self.rate_limits,
            enforcement: self.enforcement,
            expires_in: self.expires_in,
            expires_at: self.expires_at.map(Some),
            metadata: self.metadata,
        };
        (self.account_id, patch)
    }
}

impl PatchKey {
    /// Checks what is given and sets it. `last_version` is the key's before the change; 0: it is new.
    pub fn apply(
        self,
        checks: &mut Checks,
        settings: &mut KeySettings,
        now: Millis,
        last_version: u64,
    ) {
        if let Some(name) = self.name {
            settings.name = checks.text("name", &name, MAX_NAME);
        }
        if let Some(owner) = self.owner_id {
            settings.owner_id = owner.map(|id| checks.text("ownerId", &id, MAX_OWNER));
        }
        if let Some(texts) = self.permissions {
            settings.permissions = checks.list("permissions", &texts, Permission::parse);
        }
        if let Some(identity) = self.identity_id {
            settings.identity_id = identity.map(|id| checks.text("identityId", &id, MAX_ID));
        }
        match self.credits {
            None => {}
            Some(None) => settings.credits = None,
            Some(Some(input)) => input.apply(checks, &mut settings.credits, now, last_version),
        }
        if let Some(texts) = self.resources {
            settings.resources = checks.list("resources", &texts, ResourceScope::parse);
        }
        if let Some(texts) = self.allowed_origins {
            settings.allowed_origins = checks.list("allowedOrigins", &texts, OriginPattern::parse);
        }
        if let Some(allow) = self.allow_missing_origin {
            settings.allow_missing_origin = allow;
        }
        if let Some(texts) = self.allowed_ips {
            settings.allowed_ips = checks.list("allowedIps", &texts, IpRange::parse);
        }
        if let Some(limits) = self.rate_limits {
            limits.apply(checks, &mut settings.limits);
        }
        if let Some(word) = self.enforcement {
            let enforcement = checks.word("enforcement", &word, &ENFORCEMENTS);
            settings.enforcement = enforcement.unwrap_or_default();
        }
        if let Some(metadata) = self.metadata {
            settings.metadata = check_metadata(checks, metadata);
        }
        let expiry = check_expiry(checks, self.expires_in, self.expires_at, now);
        settings.expires_at = expiry.unwrap_or(settings.expires_at);
    }
}

impl RateLimitsInput {
    fn apply(self, checks: &mut Checks, limits: &mut RateLimits) {
        if let Some(name) = self.preset {
            let words = PRESETS.map(|Preset { name, rate_limits }| (name, rate_limits));
            *limits = checks
                .word("rateLimits.preset", &name, &words)
                .unwrap_or(*limits);
        }
        let mut check =
            |field: &str, limit| checks.number(&format!("rateLimits.{field}"), limit, 1, MAX_LIMIT);
        if let Some(limit) = self.requests_per_minute {
            limits.requests_per_minute = Some(check("requestsPerMinute", limit));
        }
        if let Some(limit) = self.requests_per_hour {
            limits.requests_per_hour = limit.map(|n| check("requestsPerHour", n));
        }
        if let Some(limit) = self.requests_per_day {
            limits.requests_per_day = limit.map(|n| check("requestsPerDay", n));
        }
    }
}

/// When a key or a token ends: `None`: nothing is said of it; `Some(None)`: never.
pub fn check_expiry(
    checks: &mut Checks,
    after: Option<String>,
    at: Option<Option<String>>,
    now: Millis,
) -> Option<Option<Millis>> {
    match (after, at) {
        (None, None) => None,
        (Some(_), Some(_)) => {
            checks.fail("expiresIn", "give either expiresIn or expiresAt");
            None
        }
        (Some(word), None) => {
            let days = checks.word("expiresIn", &word, &LIFETIMES)?;
            Some(days.map(|days| now + days * DAY))
        }
        (None, Some(None)) => Some(None),
        (None, Some(Some(text))) => {
            let at = checks.accept("expiresAt", Timestamp::parse(&text))?;
            if at.0 <= now {
                checks.fail("expiresAt", "must lie in the future");
            }
            Some(Some(at.0))
        }
    }
}

/// Metadata, if it is not too large.
pub fn check_metadata(checks: &mut Checks, metadata: Map<String, Value>) -> Map<String, Value> {
    let size = serde_json::to_string(&metadata).map_or(usize::MAX, |text| text.len());
    if size > MAX_METADATA {
        checks.fail("metadata", format!("at most {MAX_METADATA} bytes as JSON"));
    }
    metadata
}
