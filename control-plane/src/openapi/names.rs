//! Values that more than one resource has: ids, names, permissions, limits.

use serde_json::json;
use shared::account::LOCATOR;
use shared::origin::MAX_ORIGIN;
use shared::permission::MAX_PERMISSION;
use shared::record::{MAX_LIST, MAX_VERSION};
use shared::resource::MAX_PART;
use utoipa::IntoParams;
use utoipa::openapi::ObjectBuilder;

use super::schema::{form, schema};

fn id(prefix: &str, length: usize, example: &str) -> ObjectBuilder {
    form(format!("^{prefix}_[0-9A-Za-z]{{{length}}}$")).examples([example])
}

/// The header of calls that change one thing.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it is the documentation of an extractor")]
pub struct IfMatch {
    /// The ETags of the versions that may be changed, or `*`: anything else is left as it is, with 412.
    #[param(inline, rename = "If-Match", value_type = Option<TagList>)]
    if_match: Option<String>,
}

/// The header of calls that may be repeated.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it is the documentation of a layer")]
pub struct IdempotencyKey {
    /// Any text that is new for each call. A call that is repeated with the same one within 24 hours is not carried out again:
    /// it gets the first answer, with `Idempotent-Replayed: true`.
    #[param(inline, rename = "Idempotency-Key", value_type = Option<IdempotencyKeyText>)]
    idempotency_key: Option<String>,
}

/// The most cost units of plans and credits: what is counted in them stays exact in JSON.
pub const MAX_UNITS: u64 = (1 << 53) - 1;

schema! {
    /// Entity tags.
    pub TagList = text(1, 4096).examples(["\"1800000000000\""]);
    /// Visible ASCII characters.
    pub IdempotencyKeyText = form("^[!-~]+$")
        .max_length(Some(crate::idempotency::MAX_KEY))
        .examples(["8e03978e-40d5-43e8-bc93-6894a57f9324"]);
    /// An audit entry's id.
    pub AuditId = id("aud", 20, "aud_9sK2mVx71LqRb0TzYw3c");
    /// An account's id.
    pub AccountId = id("acc", LOCATOR, "acc_4Tn0xQz9");
    /// An API's id.
    pub ApiId = id("api", 16, "api_p7Rb2mXv81KqLs0d");
    /// A key's id.
    pub KeyId = id("key", 20, "key_6fJq81Nn0sPz5cGhR2Wa");
    /// An identity's id.
    pub IdentityId = id("idn", 16, "idn_2mVx71LqRb0TzYw3");
    /// An environment's id; of one that is built in, its name.
    pub EnvironmentId = form("^(?:production|staging|development|env_[0-9A-Za-z]{16})$").examples(["env_Kx02mVx71LqRb0Tz"]);
    /// Cost units.
    pub Units = count().minimum(Some(1_u32)).maximum(Some(MAX_UNITS as usize)).examples([100_000]);
    /// A member's id.
    pub MemberId = id("mem", 20, "mem_5Vb81QzNn0sPt7cGhR2W");
    /// The id of an admin token: a name for it, not the token.
    pub TokenId = id("tok", 20, "tok_8Jd02XmNn0sPt7cGhR2W");
    /// A role: owner, admin, developer, viewer, or the id of one of the account's own.
    pub RoleId = form("^(?:owner|admin|developer|viewer|role_[0-9A-Za-z]{16})$").examples(["developer"]);
    /// Management permissions, also as `keys.*` or `*`.
    pub ManagementPermissions = list::<PermissionText>(MAX_LIST).examples([json!(["keys.read", "usage.read"])]);
    /// An admin token. It is shown this once.
    pub AdminTokenText = form("^kwa_[0-9A-Za-z]{40}$").examples(["kwa_shownThisOnceOnlyAndNeverAgainAnywhere00"]);
    /// A name for people, without spaces around it.
    pub Name = text(1, crate::validate::MAX_NAME).examples(["Mobile app"]);
    /// The version: grows by every change.
    pub Version = count().maximum(Some(MAX_VERSION as usize)).examples([3]);
    /// `resource.action` in lower case, `resource.*` for all of it, or `*` for everything.
    pub PermissionText = form(r"^(?:[a-z0-9_-]+\.)*(?:[a-z0-9_-]+|\*)$")
        .max_length(Some(MAX_PERMISSION))
        .examples(["customers.read"]);
    /// Permissions.
    pub Permissions = list::<PermissionText>(MAX_LIST);
    /// A resource: its kind, a colon, its id.
    pub ResourceText = form(format!(r"^[a-z0-9_-]{{1,{MAX_PART}}}:\S{{1,{MAX_PART}}}$"))
        .max_length(Some(2 * MAX_PART + 1))
        .examples(["customer:c_9"]);
    /// Resource scopes.
    pub Resources = list::<ResourceText>(MAX_LIST);
    /// An origin as browsers write it: `scheme://host`, with a port if it is not the scheme's own; the host may begin with `*.`
    /// for its subdomains; `*` is any.
    pub OriginText = text(1, MAX_ORIGIN).examples(["https://app.example.com"]);
    /// Origins.
    pub Origins = list::<OriginText>(MAX_LIST);
    /// An IPv4 or IPv6 address, or a range in CIDR notation.
    pub IpText = text(2, 43).examples(["203.0.113.0/24"]);
    /// IP addresses and ranges.
    pub Ips = list::<IpText>(MAX_LIST);
    /// Anything that is to be kept with a key.
    pub Metadata as "Metadata" = any_object().examples([json!({"plan": "gold"})]);
}
