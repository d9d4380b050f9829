//! What the Worker is told by its environment: secrets and variables.

use js_sys::Reflect;
use shared::Millis;
use shared::assertion::Signer;
use shared::secret::Secret;
use shared::token::TagSecrets;
use wasm_bindgen::JsValue;

/// The lease time unless `LEASE_MS` says otherwise.
const DEFAULT_LEASE_MS: Millis = 1_000;
/// The longest lease time that may be set: the bound on revocation.
const MAX_LEASE_MS: Millis = 30_000;
/// How often a guard posts usage unless `USAGE_INTERVAL_MS` says otherwise.
const DEFAULT_USAGE_INTERVAL_MS: Millis = 5_000;

/// The Worker's configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Secrets of token tags.
    pub tags: TagSecrets,
    /// Signs pushes and usage batches.
    pub push: Secret,
    /// Signs the assertion that upstreams can check; none: no assertion is sent.
    pub assertion: Option<Signer>,
    /// Where usage goes; none: guards keep it.
    pub control_plane: Option<String>,
    /// The lease time, in milliseconds.
    pub lease_ms: Millis,
    /// How often a guard posts usage, in milliseconds.
    pub usage_interval_ms: Millis,
}

impl Config {
    /// Reads the configuration from a Worker's `env`.
    ///
    /// # Errors
    /// A sentence that names the variable that is missing or can't be used, never its value.
    pub fn from_env(env: &JsValue) -> Result<Self, String> {
        let secret = |name: &str, read: fn(&str) -> Result<Secret, shared::secret::SecretError>| {
            text(env, name)
                .map(|value| read(&value).map_err(|e| format!("{name}: {e}")))
                .transpose()
        };
        let needed = |name: &str, value: Option<Secret>| value.ok_or(format!("{name} is not set"));
        Ok(Self {
            tags: TagSecrets::new(
                &needed("TAG_SECRET", secret("TAG_SECRET", Secret::from_text)?)?,
                secret("TAG_SECRET_PREVIOUS", Secret::from_text)?.as_ref(),
            ),
            push: needed("PUSH_SECRET", secret("PUSH_SECRET", Secret::from_webhook)?)?,
            assertion: secret("ASSERTION_SECRET", Secret::from_text)?
                .as_ref()
                .map(Signer::new),
            control_plane: text(env, "CONTROL_PLANE_URL")
                .map(|url| url.trim_end_matches('/').to_owned()),
            lease_ms: millis(env, "LEASE_MS", DEFAULT_LEASE_MS)?.min(MAX_LEASE_MS),
            usage_interval_ms: millis(env, "USAGE_INTERVAL_MS", DEFAULT_USAGE_INTERVAL_MS)?,
        })
    }
}

fn text(env: &JsValue, name: &str) -> Option<String> {
    Reflect::get(env, &JsValue::from_str(name))
        .ok()?
        .as_string()
        .filter(|value| !value.is_empty())
}

fn millis(env: &JsValue, name: &str, default: Millis) -> Result<Millis, String> {
    match text(env, name) {
        None => Ok(default),
        Some(value) => value
            .trim()
            .parse()
            .map_err(|_| format!("{name} is not a number of milliseconds")),
    }
}
