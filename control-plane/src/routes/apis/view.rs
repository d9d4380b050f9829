//! An API, as shown.

use serde::Serialize;
use shared::record::{CorsPolicy, Endpoint, OnGuardFailure, Unlisted};
use shared::route::Route;
use utoipa::ToSchema;

use super::input::{
    Cost, Host, Kind, MethodText, OnGuardFailureName, ParamName, PathTemplate, PreflightAge,
    Tokens, UnlistedName, Upstream, UpstreamTimeout,
};
use crate::audit::{Audited, Target};
use crate::environment::{EnvironmentCode, EnvironmentName};
use crate::openapi::names::{AccountId, ApiId, Name, Origins, PermissionText, Version};
use crate::openapi::schema::schema;
use crate::store::apis::Api;
use crate::timestamp::Timestamp;

schema! {
    /// One host of an API, and the environment it serves.
    EndpointSchema as "Endpoint" = object([
        ("host", of::<Host>(), true),
        ("environment", of::<EnvironmentName>(), true),
        ("code", of::<EnvironmentCode>(), true),
        ("upstream", of::<Upstream>(), false),
    ]);
    /// The path parameter that names the resource.
    ResourceParam = object([
        ("kind", of::<Kind>(), true),
        ("param", of::<ParamName>(), true),
    ]);
    /// One row of the routes table.
    RouteSchema as "Route" = object([
        ("method", of::<MethodText>(), true),
        ("path", of::<PathTemplate>(), true),
        ("permission", of::<PermissionText>(), false),
        ("cost", of::<Cost>(), true),
        ("accountParam", of::<ParamName>(), false),
        ("resource", of::<ResourceParam>(), false),
    ]);
    /// Cross-origin policy (WHATWG Fetch, CORS protocol).
    CorsSchema as "CorsPolicy" = object([
        ("allowedOrigins", of::<Origins>(), true),
        ("allowedMethods", of::<Tokens>(), true),
        ("allowedHeaders", of::<Tokens>(), true),
        ("exposedHeaders", of::<Tokens>(), true),
        ("allowCredentials", of::<bool>(), true),
        ("maxAgeSeconds", of::<PreflightAge>(), true),
    ]);
}

/// A guarded API.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Api)]
#[serde(rename_all = "camelCase")]
pub struct ApiView {
    #[schema(value_type = ApiId)]
    id: String,
    #[schema(value_type = Name)]
    name: String,
    /// The account that owns it.
    #[schema(value_type = AccountId)]
    account_id: String,
    /// Its hosts.
    #[schema(value_type = Vec<EndpointSchema>)]
    endpoints: Vec<Endpoint>,
    #[schema(value_type = Upstream)]
    upstream: String,
    #[schema(value_type = UpstreamTimeout)]
    upstream_timeout_ms: u32,
    /// The routes table.
    #[schema(value_type = Vec<RouteSchema>)]
    routes: Vec<Route>,
    #[schema(value_type = UnlistedName)]
    unlisted: Unlisted,
    #[schema(value_type = CorsSchema)]
    cors: CorsPolicy,
    #[schema(value_type = OnGuardFailureName)]
    on_guard_failure: OnGuardFailure,
    /// Whether it takes the tokens of imported keys, which have any form.
    accept_imported: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[schema(value_type = Version)]
    version: u64,
}

impl ApiView {
    /// The view of an API.
    pub fn of(api: Api) -> Self {
        let settings = api.settings;
        Self {
            id: api.id,
            name: api.name,
            account_id: api.account_id,
            endpoints: settings.endpoints,
            upstream: settings.upstream,
            upstream_timeout_ms: settings.upstream_timeout_ms,
            routes: settings.routes,
            unlisted: settings.unlisted,
            cors: settings.cors,
            on_guard_failure: settings.on_guard_failure,
            accept_imported: settings.accept_imported,
            created_at: Timestamp(api.created_at),
            updated_at: Timestamp(api.updated_at),
            version: api.version,
        }
    }

    /// Its version.
    pub fn version(&self) -> u64 {
        self.version
    }
}

impl Audited for ApiView {
    fn target(&self) -> Target {
        Target {
            kind: "api",
            id: self.id.clone(),
            name: self.name.clone(),
            account: self.account_id.clone(),
        }
    }
}
