//! The record of an API.

use serde::Serialize;

use crate::origin::OriginPattern;
use crate::route::Route;
use crate::wire;

/// One host of an API, and the environment it serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// A host (with a port if it is not the scheme's own), `*.` and a host, or `*`.
    pub host: String,
    /// The environment's name: `production`.
    pub environment: String,
    /// The environment's short code: `prod`.
    pub code: String,
    /// Where its requests go, instead of the API's upstream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
}

wire!(Endpoint {
    host: "host",
    environment: "environment",
    code: "code",
    upstream: "upstream"
});

/// What happens to requests that match no route.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unlisted {
    /// They pass with any valid key, at cost 1.
    Open,
    /// They are refused: 404, or 405 when the path is known with other methods.
    #[default]
    Closed,
}

wire!(Unlisted: "open" => Open, _ | "closed" => Closed);

/// What happens when the guard can't be asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnGuardFailure {
    /// The request passes, uncounted by the quota, if the key's known state allows it.
    Allow,
    /// 503 with `Retry-After`.
    #[default]
    Refuse,
}

wire!(OnGuardFailure: "allow" => Allow, _ | "refuse" => Refuse);

/// Cross-origin policy of an API (WHATWG Fetch, CORS protocol).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CorsPolicy {
    /// Which origins may read answers; empty: none.
    pub allowed_origins: Vec<OriginPattern>,
    /// Methods for preflights; empty: those of the routes, or any.
    pub allowed_methods: Vec<String>,
    /// Request headers for preflights, beside the credential's and `Content-Type`; `*` for any.
    pub allowed_headers: Vec<String>,
    /// Response headers that scripts may read, beside Keyward's own.
    pub exposed_headers: Vec<String>,
    /// Whether cookies may be sent.
    pub allow_credentials: bool,
    /// How long a preflight's answer may be cached, in seconds.
    pub max_age_seconds: u32,
}

wire!(CorsPolicy {
    allowed_origins: "allowedOrigins" or Vec::new(),
    allowed_methods: "allowedMethods" or Vec::new(),
    allowed_headers: "allowedHeaders" or Vec::new(),
    exposed_headers: "exposedHeaders" or Vec::new(),
    allow_credentials: "allowCredentials" or false,
    max_age_seconds: "maxAgeSeconds" or 0,
});

/// An API, as the edge knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiRecord {
    /// `api_…`
    pub id: String,
    /// Grows by every change.
    pub version: u64,
    /// The account that owns it.
    pub account: String,
    /// The accounts above that one, root first.
    pub ancestors: Vec<String>,
    /// For people; also the realm of `WWW-Authenticate`.
    pub name: String,
    /// Its hosts.
    pub endpoints: Vec<Endpoint>,
    /// Where requests go: an http(s) URL, whose path is put before the request's.
    pub upstream: String,
    /// How long the upstream may take to begin its answer, in milliseconds.
    pub upstream_timeout_ms: u32,
    /// The routes table.
    pub routes: Vec<Route>,
    /// Requests that match no route.
    pub unlisted: Unlisted,
    /// Cross-origin policy.
    pub cors: CorsPolicy,
    /// When the guard can't be asked.
    pub on_guard_failure: OnGuardFailure,
    /// Whether it takes tokens of imported keys, which have any form.
    pub accept_imported: bool,
    /// Whether the API is gone; the record is its tombstone.
    pub deleted: bool,
}

wire!(ApiRecord {
    id: "id",
    version: "version",
    account: "account",
    ancestors: "ancestors" or Vec::new(),
    name: "name",
    endpoints: "endpoints",
    upstream: "upstream",
    upstream_timeout_ms: "upstreamTimeoutMs" or default_upstream_timeout(),
    routes: "routes" or Vec::new(),
    unlisted: "unlisted" or Unlisted::default(),
    cors: "cors" or CorsPolicy::default(),
    on_guard_failure: "onGuardFailure" or OnGuardFailure::default(),
    accept_imported: "acceptImported" or false,
    deleted: "deleted" or false,
});

/// How long an upstream may take by default, in milliseconds.
pub fn default_upstream_timeout() -> u32 {
    30_000
}
