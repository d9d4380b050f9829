//! The OpenAPI document: put together from the annotations of the handlers, then completed with what all operations
//! have in common. How a route is written is told in [`crate::routes`].

pub mod answers;
mod complete;
mod examples;
pub mod names;
pub mod schema;

use std::collections::BTreeMap;

use axum::Router;
use axum::http::Method;
use shared::permission::Permission;
use utoipa::OpenApi as _;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi, PathItem, RefOr, Schema};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use crate::rights::MANAGEMENT;
use crate::state::AppState;

/// The security scheme of admin tokens.
pub const ADMIN_TOKEN: &str = "adminToken";
/// The security scheme of what edges send.
pub const EDGE_SIGNATURE: &str = "edgeSignature";
/// The security scheme of GitHub's reports.
pub const GITHUB_SIGNATURE: &str = "githubSignature";

/// Routes, each with its documentation: nothing else can be added.
pub struct Routes {
    router: OpenApiRouter<AppState>,
    /// Every schema that was given, with its name.
    schemas: Vec<(String, RefOr<Schema>)>,
}

impl Routes {
    /// None yet.
    pub fn new() -> Self {
        Self {
            router: OpenApiRouter::with_openapi(Description::openapi()),
            schemas: Vec::new(),
        }
    }

    /// With the operations of one path, as `routes!(list, create)` gives them.
    #[must_use]
    pub fn with(mut self, operations: UtoipaMethodRouter<AppState>) -> Self {
        self.schemas.extend(operations.0.iter().cloned());
        self.router = self.router.routes(operations);
        self
    }

    /// With others beside them.
    #[must_use]
    pub fn merge(mut self, others: Self) -> Self {
        self.schemas.extend(others.schemas);
        self.router = self.router.merge(others.router);
        self
    }

    /// With others under a prefix.
    #[must_use]
    pub fn nest(mut self, prefix: &str, others: Self) -> Self {
        self.schemas.extend(others.schemas);
        self.router = self.router.nest(prefix, others.router);
        self
    }

    /// The router and the complete document.
    pub fn build(self) -> (Router<AppState>, OpenApi) {
        debug_assert_eq!(
            self.clashes(),
            [""; 0],
            "two schemas have the same name: give one of them another by #[schema(as = …)]"
        );
        let (router, mut document) = self.router.split_for_parts();
        complete::complete(&mut document);
        (router, document)
    }

    /// Names that are given to more than one schema. The document would have only one of them.
    fn clashes(&self) -> Vec<&str> {
        let mut known = BTreeMap::new();
        let mut clash = |(name, schema)| known.insert(name, schema).is_some_and(|s| s != schema);
        let all = self
            .schemas
            .iter()
            .map(|(name, schema)| (name.as_str(), schema));
        all.filter(|pair| clash(*pair))
            .map(|(name, _)| name)
            .collect()
    }
}

impl Default for Routes {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Keyward control plane",
        description = "Owns accounts, APIs and API keys, and pushes their state to the edges that guard the APIs.\n\n\
            An admin token sees and changes its account and those below it; everything else does not exist for it (404). \
            Each operation names, in its security requirement, the management permission that the token's holder needs.\n\n\
            Every failure is a problem document (RFC 9457) with a `code` for programs, the `requestId` that the log has, \
            and, when fields can't be accepted, all of them in `errors`.",
        contact(),
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    servers((url = "/", description = "This server")),
    tags(
        (name = "Accounts", description = "The tree of tenants."),
        (name = "APIs", description = "What is guarded: hosts, upstreams, routes, cross-origin policy."),
        (name = "People", description = "Members of accounts, their roles, and the tokens that admins show."),
        (name = "Keys", description = "API keys, their life and their usage."),
        (name = "Imports", description = "Keys that were made elsewhere, in and out in bulk."),
        (name = "Leaks", description = "Tokens that were found in public."),
        (name = "Audit log", description = "Who did what, when and from where."),
        (name = "Sync", description = "The edges: how far each has come, and whether it holds what it should."),
        (name = "Edge", description = "What the edges send."),
        (name = "Server", description = "Whether the server lives and can serve, and this documentation."),
    ),
    modifiers(&SecuritySchemes),
)]
struct Description;

struct SecuritySchemes;

impl utoipa::Modify for SecuritySchemes {
    fn modify(&self, document: &mut OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("kwa_ and 40 letters and digits")
            .description(Some(
                "An admin token. What an operation lists is the management permission that it needs.",
            ))
            .build();
        let signature = ApiKey::Header(ApiKeyValue::with_description(
            shared::webhook::SIGNATURE_HEADER,
            "The signature of webhook-id, webhook-timestamp and the body, by the push secret (Standard Webhooks).",
        ));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme(ADMIN_TOKEN, SecurityScheme::Http(bearer));
        components.add_security_scheme(EDGE_SIGNATURE, SecurityScheme::ApiKey(signature));
        let github = ApiKey::Header(ApiKeyValue::with_description(
            crate::leaks::github::SIGNATURE_HEADER,
            "The signature of the body by one of GitHub's published keys (secret scanning partner program).",
        ));
        components.add_security_scheme(GITHUB_SIGNATURE, SecurityScheme::ApiKey(github));
    }
}

/// Who may use an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Public,
    /// An edge, by its signature.
    Edge,
    /// Any admin.
    AnyAdmin,
    /// GitHub, by its signature.
    GitHub,
    /// An admin who holds this management permission.
    Admin(Permission),
}

/// An operation of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path's template, as the router has it too: `/v1/keys/{id}`.
    pub path: String,
    /// Who may use it; `None` when the document does not say it in one of the known ways.
    pub access: Option<Access>,
}

/// Every operation of a document with what it needs.
pub fn routes(document: &OpenApi) -> Vec<Route> {
    let mut routes = Vec::new();
    for (path, item) in &document.paths.paths {
        for (method, operation) in operations(item) {
            routes.push(Route {
                method,
                path: path.clone(),
                access: access(operation),
            });
        }
    }
    routes
}

fn access(operation: &Operation) -> Option<Access> {
    let [requirement] = operation.security.as_deref()? else {
        return None;
    };
    // The type keeps its content to itself but for its JSON.
    let json = serde_json::to_value(requirement).ok()?;
    let mut schemes = json.as_object()?.iter();
    match (schemes.next(), schemes.next()) {
        (None, _) => Some(Access::Public),
        (Some((name, needs)), None) => {
            let needs: Vec<String> = serde_json::from_value(needs.clone()).ok()?;
            match (name.as_str(), needs.as_slice()) {
                (ADMIN_TOKEN, []) => Some(Access::AnyAdmin),
                (ADMIN_TOKEN, [name]) if MANAGEMENT.contains(&name.as_str()) => {
                    Permission::parse(name).ok().map(Access::Admin)
                }
                (EDGE_SIGNATURE, []) => Some(Access::Edge),
                (GITHUB_SIGNATURE, []) => Some(Access::GitHub),
                _ => None,
            }
        }
        _ => None,
    }
}

fn operations(item: &PathItem) -> impl Iterator<Item = (Method, &Operation)> {
    [
        (Method::GET, &item.get),
        (Method::POST, &item.post),
        (Method::PUT, &item.put),
        (Method::PATCH, &item.patch),
        (Method::DELETE, &item.delete),
        (Method::HEAD, &item.head),
        (Method::OPTIONS, &item.options),
        (Method::TRACE, &item.trace),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

fn operations_mut(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [
        &mut item.get,
        &mut item.post,
        &mut item.put,
        &mut item.patch,
        &mut item.delete,
        &mut item.head,
        &mut item.options,
        &mut item.trace,
    ]
    .into_iter()
    .filter_map(Option::as_mut)
}
