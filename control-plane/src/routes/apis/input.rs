//! What a caller may say of an API, and its checks.

use serde::Deserialize;
use shared::cors::is_token;
use shared::host;
use shared::origin::OriginPattern;
use shared::permission::Permission;
use shared::record::{CorsPolicy, Endpoint, OnGuardFailure, Unlisted};
use shared::route::{MAX_ROUTES, ResourceParam, Route, RouteTable};

use super::upstream;
use crate::environment::Environment;
use crate::http::body::{given, nullable};
use crate::store::apis::ApiSettings;
use crate::validate::Checks;

const MAX_NAME: usize = 100;
const MAX_ENDPOINTS: usize = 100;
/// In milliseconds.
const MAX_UPSTREAM_TIMEOUT: u32 = 600_000;
/// What browsers take at most (Chromium: 2 hours, Firefox: 24), in seconds.
const MAX_PREFLIGHT_AGE: u32 = 86_400;
/// Without one browsers ask before nearly every request; with a long one a change of the policy is seen late.
const PREFLIGHT_AGE: u32 = 600;

/// `POST /v1/apis`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateApi {
    name: String,
    #[serde(default, deserialize_with = "given")]
    account_id: Option<String>,
    endpoints: Vec<EndpointInput>,
    upstream: String,
    #[serde(default, deserialize_with = "given")]
    upstream_timeout_ms: Option<u32>,
    #[serde(default, deserialize_with = "given")]
    routes: Option<Vec<RouteInput>>,
    #[serde(default, deserialize_with = "given")]
    unlisted: Option<String>,
    #[serde(default, deserialize_with = "given")]
    cors: Option<CorsInput>,
    #[serde(default, deserialize_with = "given")]
    on_guard_failure: Option<String>,
}

/// `PATCH /v1/apis/{id}`. What is given replaces what there was, as a whole.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PatchApi {
    #[serde(default, deserialize_with = "given")]
    name: Option<String>,
    #[serde(default, deserialize_with = "given")]
    endpoints: Option<Vec<EndpointInput>>,
    #[serde(default, deserialize_with = "given")]
    upstream: Option<String>,
    #[serde(default, deserialize_with = "given")]
    upstream_timeout_ms: Option<u32>,
    #[serde(default, deserialize_with = "given")]
    routes: Option<Vec<RouteInput>>,
    #[serde(default, deserialize_with = "given")]
    unlisted: Option<String>,
    #[serde(default, deserialize_with = "given")]
    cors: Option<CorsInput>,
    #[serde(default, deserialize_with = "given")]
    on_guard_failure: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EndpointInput {
    host: String,
    environment: String,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    upstream: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RouteInput {
    method: String,
    path: String,
    #[serde(default)]
    permission: Option<String>,
    #[serde(default, deserialize_with = "given")]
    cost: Option<u32>,
    #[serde(default)]
    account_param: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    resource: Option<Option<ResourceInput>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResourceInput {
    kind: String,
    param: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct CorsInput {
    allowed_origins: Vec<String>,
    allowed_methods: Vec<String>,
    allowed_headers: Vec<String>,
    exposed_headers: Vec<String>,
    allow_credentials: bool,
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
        };
        (self.account_id, patch)
    }
}

impl PatchApi {
    /// Checks what is given and sets it.
    pub fn apply(self, checks: &mut Checks, name: &mut String, settings: &mut ApiSettings) {
        if let Some(text) = self.name {
            *name = checks.text("name", &text, MAX_NAME);
        }
        if let Some(endpoints) = self.endpoints {
            settings.endpoints = check_endpoints(checks, endpoints);
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
            let words = [("open", Unlisted::Open), ("closed", Unlisted::Closed)];
            settings.unlisted = checks.word("unlisted", &word, &words).unwrap_or_default();
        }
        if let Some(cors) = self.cors {
            settings.cors = check_cors(checks, cors);
        }
        if let Some(word) = self.on_guard_failure {
            let words = [
                ("allow", OnGuardFailure::Allow),
                ("refuse", OnGuardFailure::Refuse),
            ];
            let failure = checks.word("onGuardFailure", &word, &words);
            settings.on_guard_failure = failure.unwrap_or_default();
        }
    }
}

fn check_endpoints(checks: &mut Checks, inputs: Vec<EndpointInput>) -> Vec<Endpoint> {
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
        let env = Environment::check(checks, fields, &input.environment, input.code.as_deref());
        let mut others = endpoints.iter();
        if others.any(|e| (e.environment == env.name) != (e.code == env.code)) {
            checks.fail(
                at("code"),
                "an environment has one code, and a code one environment",
            );
        }
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
        checks.fail(format!("routes[{}]", error.index), error.reason);
    }
    routes
}

fn check_cors(checks: &mut Checks, input: CorsInput) -> CorsPolicy {
    let token = |text: &str| {
        let fits = is_token(text) && text.len() <= 128;
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
