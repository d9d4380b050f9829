//! What a caller may say of an API, and its checks.

use serde::Deserialize;
use shared::cors::is_token;
use shared::host;
use shared::host::MAX_HOST;
use shared::origin::OriginPattern;
use shared::permission::Permission;
use shared::record::{CorsPolicy, Endpoint, OnGuardFailure, Unlisted};
use shared::resource::MAX_PART;
use shared::route::{
    MAX_COST, MAX_METHOD, MAX_ROUTES, MAX_TEMPLATE, ResourceParam, Route, RouteTable,
};
use utoipa::ToSchema;

use super::upstream;
use crate::environment::{Environment, EnvironmentCode, EnvironmentName, Named};
use crate::http::body::{given, nullable};
use crate::openapi::names::{AccountId, Name, Origins, PermissionText};
use crate::openapi::schema::schema;
use crate::store::apis::ApiSettings;
use crate::validate::{Checks, MAX_NAME};

const MAX_ENDPOINTS: usize = 100;
/// In milliseconds.
const MAX_UPSTREAM_TIMEOUT: u32 = 600_000;
/// What browsers take at most (Chromium: 2 hours, Firefox: 24), in seconds.
const MAX_PREFLIGHT_AGE: u32 = 86_400;
/// Without one browsers ask before nearly every request; with a long one a change of the policy is seen late.
const PREFLIGHT_AGE: u32 = 600;

/// The longest name of a header or method in a cross-origin policy.
const MAX_TOKEN: usize = 128;
const UNLISTED: [(&str, Unlisted); 2] = [("open", Unlisted::Open), ("closed", Unlisted::Closed)];
const ON_GUARD_FAILURE: [(&str, OnGuardFailure); 2] = [
    ("allow", OnGuardFailure::Allow),
    ("refuse", OnGuardFailure::Refuse),
];

schema! {
    /// A host (with a port if it is not the scheme's own), `*.` and a host, or `*`.
    pub Host = text(1, MAX_HOST).examples(["api.example.com"]);
    /// An http or https URL without user, password, query and fragment, whose path is put before the request's.
    pub Upstream = form("^https?://[!-~]+$").max_length(Some(upstream::MAX_LENGTH))
        .examples(["https://api.internal:8443"]);
    /// How long the upstream may take to begin its answer, in milliseconds.
    pub UpstreamTimeout = whole(1, MAX_UPSTREAM_TIMEOUT).examples([30_000]);
    /// An HTTP method in upper case, or `*`.
    pub MethodText = form(r"^(?:\*|[A-Z-]+)$").max_length(Some(MAX_METHOD)).examples(["GET"]);
    /// `/v1/customers/{customerId}`. A parameter may have text around it in its segment (`{id}:archive`); a last segment
    /// `{*rest}` takes all that follows. The narrowest template that fits a path is its own.
    pub PathTemplate = form("^/").max_length(Some(MAX_TEMPLATE)).examples(["/v1/customers/{customerId}"]);
    /// Units that a request takes from every window; 1 by default.
    pub Cost = whole(1, MAX_COST).examples([1]);
    /// A parameter of the path.
    pub ParamName = text(1, MAX_TEMPLATE).examples(["customerId"]);
    /// A kind of resource.
    pub Kind = form("^[a-z0-9_-]+$").max_length(Some(MAX_PART)).examples(["customer"]);
    /// What happens to requests that match no route: `open`, they pass with any valid key, at cost 1; `closed`, they are
    /// refused.
    pub UnlistedName = word(&UNLISTED);
    /// What happens when the guard can't be asked: `allow`, the request passes uncounted if the key's known state allows it;
    /// `refuse`, 503.
    pub OnGuardFailureName = word(&ON_GUARD_FAILURE);
    /// A method or a header.
    pub TokenText = form("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$").max_length(Some(MAX_TOKEN)).examples(["X-Total"]);
    /// Methods or headers.
    pub Tokens = list::<TokenText>(shared::record::MAX_LIST);
    /// How long browsers may keep a preflight's answer, in seconds.
    pub PreflightAge = whole(0, MAX_PREFLIGHT_AGE).examples([PREFLIGHT_AGE]);
}

/// An API to be guarded.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateApi {
    #[schema(value_type = Name)]
    name: String,
    /// The account; the token's own by default.
    #[schema(value_type = AccountId)]
    #[serde(default, deserialize_with = "given")]
    account_id: Option<String>,
    /// Its hosts.
    #[schema(min_items = 1, max_items = 100)]
    endpoints: Vec<EndpointInput>,
    #[schema(value_type = Upstream)]
    upstream: String,
    #[schema(value_type = UpstreamTimeout)]
    #[serde(default, deserialize_with = "given")]
    upstream_timeout_ms: Option<u32>,
    /// The routes table.
    #[schema(max_items = 1000, value_type = Vec<RouteInput>)]
    #[serde(default, deserialize_with = "given")]
    routes: Option<Vec<RouteInput>>,
    #[schema(value_type = UnlistedName)]
    #[serde(default, deserialize_with = "given")]
    unlisted: Option<String>,
    #[schema(value_type = CorsInput)]
    #[serde(default, deserialize_with = "given")]
    cors: Option<CorsInput>,
    #[schema(value_type = OnGuardFailureName)]
    #[serde(default, deserialize_with = "given")]
    on_guard_failure: Option<String>,
    /// Whether it takes the tokens of imported keys, which have any form; `false` by default. Tokens that are nobody's are
    /// looked up then, within a budget for each client.
    #[schema(value_type = bool)]
    #[serde(default, deserialize_with = "given")]
    accept_imported: Option<bool>,
}

/// What is given replaces what there was, as a whole.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PatchApi {
    #[schema(value_type = Name)]
    #[serde(default, deserialize_with = "given")]
    name: Option<String>,
    /// Its hosts.
    #[schema(min_items = 1, max_items = 100, value_type = Vec<EndpointInput>)]
    #[serde(default, deserialize_with = "given")]
    endpoints: Option<Vec<EndpointInput>>,
    #[schema(value_type = Upstream)]
    #[serde(default, deserialize_with = "given")]
    upstream: Option<String>,
    #[schema(value_type = UpstreamTimeout)]
    #[serde(default, deserialize_with = "given")]
    upstream_timeout_ms: Option<u32>,
    /// The routes table.
    #[schema(max_items = 1000, value_type = Vec<RouteInput>)]
    #[serde(default, deserialize_with = "given")]
    routes: Option<Vec<RouteInput>>,
    #[schema(value_type = UnlistedName)]
    #[serde(default, deserialize_with = "given")]
    unlisted: Option<String>,
    #[schema(value_type = CorsInput)]
    #[serde(default, deserialize_with = "given")]
    cors: Option<CorsInput>,
    #[schema(value_type = OnGuardFailureName)]
    #[serde(default, deserialize_with = "given")]
    on_guard_failure: Option<String>,
    /// Whether it takes the tokens of imported keys, which have any form; `false` by default. Tokens that are nobody's are
    /// looked up then, within a budget for each client.
    #[schema(value_type = bool)]
    #[serde(default, deserialize_with = "given")]
    accept_imported: Option<bool>,
}

/// One host of an API, and the environment it serves.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EndpointInput {
    #[schema(value_type = Host)]
    host: String,
    #[schema(value_type = EnvironmentName)]
    environment: String,
    /// The environment's short code; need not be given.
    #[schema(value_type = Option<EnvironmentCode>)]
    #[serde(default)]
    code: Option<String>,
    /// Where its requests go, instead of the API's upstream.
    #[schema(value_type = Option<Upstream>)]
    #[serde(default)]
    upstream: Option<String>,
}

/// One row of the routes table.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RouteInput {
    #[schema(value_type = MethodText)]
    method: String,
    #[schema(value_type = PathTemplate)]
    path: String,
    /// What a key must hold; without it any key of the API passes.
    #[schema(value_type = Option<PermissionText>)]
    #[serde(default)]
    permission: Option<String>,
    #[schema(value_type = Cost)]
    #[serde(default, deserialize_with = "given")]
    cost: Option<u32>,
    /// The path parameter that names the account.
    #[schema(value_type = Option<ParamName>)]
    #[serde(default)]
    account_param: Option<String>,
    #[schema(value_type = Option<ResourceInput>)]
    #[serde(default, deserialize_with = "nullable")]
    resource: Option<Option<ResourceInput>>,
}

/// The path parameter that names the resource.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ResourceInput {
    #[schema(value_type = Kind)]
    kind: String,
    #[schema(value_type = ParamName)]
    param: String,
}

/// Cross-origin policy (WHATWG Fetch, CORS protocol).
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct CorsInput {
    /// Which origins may read answers; empty: none.
    #[schema(value_type = Origins)]
    allowed_origins: Vec<String>,
    /// Methods for preflights; empty: those of the routes, or any.
    #[schema(value_type = Tokens)]
    allowed_methods: Vec<String>,
    /// Request headers for preflights, beside the credential's and `Content-Type`; `*` for any.
    #[schema(value_type = Tokens)]
    allowed_headers: Vec<String>,
    /// Answer headers that scripts may read, beside Keyward's own.
    #[schema(value_type = Tokens)]
    exposed_headers: Vec<String>,
    /// Whether cookies may be sent.
    allow_credentials: bool,
    #[schema(value_type = Option<PreflightAge>)]
    max_age_seconds: Option<u32>,
}

impl CreateApi {
    /// The account, if one is named, and the rest.
    pub fn split(self) -> (Option<String>, PatchApi) {
        let patch = PatchApi {
            name: Some(self.name),
            endpoints: Some(self.endpoints),
            upstream: Some(self.upstream),
            upstream_timeout_ms: self.upstream_timeout_ms,
            routes: self.routes,
            unlisted: self.unlisted,
            cors: self.cors,
            on_guard_failure: self.on_guard_failure,
            accept_imported: self.accept_imported,
        };
        (self.account_id, patch)
    }
}

impl PatchApi {
    /// Checks what is given and sets it. `known` are the environments that the API's account has.
    pub fn apply(
        self,
        checks: &mut Checks,
        known: &[Environment],
        name: &mut String,
        settings: &mut ApiSettings,
    ) {
        if let Some(text) = self.name {
            *name = checks.text("name", &text, MAX_NAME);
        }
        if let Some(endpoints) = self.endpoints {
            settings.endpoints = check_endpoints(checks, known, endpoints);
        }
        if let Some(text) = self.upstream {
            let url = checks.accept("upstream", upstream::parse(&text));
            settings.upstream = url.unwrap_or_default();
        }
        if let Some(millis) = self.upstream_timeout_ms {
            let field = "upstreamTimeoutMs";
            settings.upstream_timeout_ms = checks.number(field, millis, 1, MAX_UPSTREAM_TIMEOUT);
        }
        if let Some(routes) = self.routes {
            settings.routes = check_routes(checks, routes);
        }
        if let Some(word) = self.unlisted {
            let unlisted = checks.word("unlisted", &word, &UNLISTED);
            settings.unlisted = unlisted.unwrap_or_default();
        }
        if let Some(cors) = self.cors {
            settings.cors = check_cors(checks, cors);
        }
        if let Some(word) = self.on_guard_failure {
            let failure = checks.word("onGuardFailure", &word, &ON_GUARD_FAILURE);
            settings.on_guard_failure = failure.unwrap_or_default();
        }
        if let Some(accepts) = self.accept_imported {
            settings.accept_imported = accepts;
        }
    }
}

fn check_endpoints(
    checks: &mut Checks,
    known: &[Environment],
    inputs: Vec<EndpointInput>,
) -> Vec<Endpoint> {
    if inputs.is_empty() || inputs.len() > MAX_ENDPOINTS {
        checks.fail("endpoints", format!("1 to {MAX_ENDPOINTS} are needed"));
        return Vec::new();
    }
    let mut endpoints: Vec<Endpoint> = Vec::with_capacity(inputs.len());
    for (index, input) in inputs.into_iter().enumerate() {
        let at = |field: &str| format!("endpoints[{index}].{field}");
        let host = input.host.to_ascii_lowercase();
        if !host::is_pattern(&host) {
            let detail =
                "a host, with a port if it is not the scheme's own, `*.` and a host, or `*`";
            checks.fail(at("host"), detail);
        }
        if endpoints.iter().any(|e| e.host == host) {
            checks.fail(at("host"), "the host stands above already");
        }
        let (name_field, code_field) = (at("environment"), at("code"));
        let fields = [name_field.as_str(), code_field.as_str()];
        let named = Named {
            name: input.environment,
            code: input.code,
        };
        let env = named.among(known, checks, fields);
        let own = input.upstream.as_deref();
        let own = own.and_then(|text| checks.accept(&at("upstream"), upstream::parse(text)));
        endpoints.push(Endpoint {
            host,
            environment: env.name,
            code: env.code,
            upstream: own,
        });
    }
    endpoints
}

fn check_routes(checks: &mut Checks, inputs: Vec<RouteInput>) -> Vec<Route> {
    if inputs.len() > MAX_ROUTES {
        checks.fail("routes", format!("at most {MAX_ROUTES}"));
        return Vec::new();
    }
    let routes: Vec<Route> = inputs
        .into_iter()
        .enumerate()
        .map(|(index, input)| {
            let field = format!("routes[{index}].permission");
            let permission = input.permission.as_deref();
            Route {
                permission: permission.and_then(|p| checks.accept(&field, Permission::parse(p))),
                method: input.method,
                path: input.path,
                cost: input.cost.unwrap_or(1),
                account_param: input.account_param,
                resource: input.resource.flatten().map(|r| ResourceParam {
                    kind: r.kind,
                    param: r.param,
                }),
            }
        })
        .collect();
    if let Err(error) = RouteTable::compile(&routes) {
        checks.fail(format!("routes[{}]", error.index), error.fault.to_string());
    }
    routes
}

fn check_cors(checks: &mut Checks, input: CorsInput) -> CorsPolicy {
    let token = |text: &str| {
        let fits = is_token(text) && text.len() <= MAX_TOKEN;
        fits.then(|| text.to_owned())
            .ok_or("not a name as HTTP has it")
    };
    let policy = CorsPolicy {
        allowed_origins: checks.list(
            "cors.allowedOrigins",
            &input.allowed_origins,
            OriginPattern::parse,
        ),
        allowed_methods: checks.list("cors.allowedMethods", &input.allowed_methods, token),
        allowed_headers: checks.list("cors.allowedHeaders", &input.allowed_headers, token),
        exposed_headers: checks.list("cors.exposedHeaders", &input.exposed_headers, token),
        allow_credentials: input.allow_credentials,
        max_age_seconds: checks.number(
            "cors.maxAgeSeconds",
            input.max_age_seconds.unwrap_or(PREFLIGHT_AGE),
            0,
            MAX_PREFLIGHT_AGE,
        ),
    };
    if policy.allow_credentials && policy.allowed_origins.iter().any(OriginPattern::is_any) {
        let detail = "cookies can't be allowed to every origin; name the origins";
        checks.fail("cors.allowCredentials", detail);
    }
    policy
}
