//! The HTTP API: one resource, one file.
//!
//! # How a route is written
//!
//! No route exists without its documentation and the management permission that it needs: [`Routes`] takes nothing else
//! than handlers with `#[utoipa::path]`, which stands right above the handler.
//!
//! ```ignore
//! /// List keys
//! ///
//! /// Those of the caller's account and of the accounts below it, newest first.
//! #[utoipa::path(
//!     get, path = "/keys", operation_id = "listKeys", tag = "Keys",
//!     params(ListKeys),
//!     responses((status = 200, description = "A page of keys.", body = Page<KeyView>), NotFound),
//!     security(("adminToken" = ["keys.read"])),
//! )]
//! async fn list(…)
//! ```
//!
//! - The first line of the doc comment is the summary, without a full stop; the rest is the description.
//! - `security` is `("adminToken" = ["<permission>"])` with exactly one permission of [`crate::rights::MANAGEMENT`], which
//!   [`crate::auth::guard`] asks for before the handler runs; `("adminToken" = [])` for what any admin may do;
//!   `("edgeSignature" = [])` or the like for what is signed; `()` for everybody, which a test allows to a few paths by name.
//! - `responses` lists the answer of success and the failures that are the operation's own, by their names in
//!   [`crate::openapi::answers`] (`Conflict`; `NotFound` for an id in body or query). What follows from the extractors is
//!   added to every operation: 401, 403 and 503 by the permission, 404 by an id in the path, 422 by a query string, 400, 413,
//!   415 and 422 by a body.
//! - `request_body(content = …, examples(…))`: the examples are sent to a real server by a test, which must accept them.
//!   Answers need none: theirs are composed from the examples of their members.
//! - Types derive `ToSchema`, query strings `IntoParams`. A name must be the type's alone: of two schemas with one name
//!   the second is lost; views go by `#[schema(as = Key)]`. Bounds come from the constants of the checks:
//!   `#[schema(value_type = KeyName)]` names a value that [`crate::openapi::schema`] describes with them; those of many
//!   resources are in [`crate::openapi::names`]. With `value_type`, a field read by `given` is `T`, one that may be `null` is
//!   `Option<T>`; of an answer, `Option<T>` with `required`. In parameters values are `inline`: `("id" = inline(KeyId), Path)`.

pub mod accounts;
mod admin_tokens;
mod apis;
mod audit_log;
mod docs;
mod edge_usage;
mod environments;
mod explain;
mod health;
mod identities;
mod imports;
pub mod keys;
mod leaks;
mod me;
mod members;
mod metrics;
mod presets;
mod roles;
mod sync;

use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::OpenApi;

use crate::auth::{self, Gate};
use crate::error::ApiError;
use crate::http::body::MAX_ADMIN_BODY;
use crate::http::client_address::{self, Proxies};
use crate::http::finish::{self, Finish};
use crate::http::{observe, precondition};
use crate::idempotency;
use crate::metrics::Metrics;
use crate::openapi::Routes;
use crate::state::AppState;

/// The longest that a request may take, its body included.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The whole API.
pub fn router(state: AppState, proxies: Proxies, finish: Finish) -> Router {
    let (routes, document) = routes().build();
    let gate = Gate::new(state.clone(), &document);
    // The last is the outermost: what is kept of a call is given to nobody but those who may make it.
    let routes = routes
        .route_layer(from_fn_with_state(state.clone(), idempotency::layer))
        .route_layer(from_fn_with_state(gate, auth::guard));
    let metrics = state.metrics().clone();
    layered(closed(routes), TIMEOUT, proxies, finish, metrics).with_state(state)
}

/// The metrics alone, for an address of their own.
pub fn metrics_router(state: AppState) -> Router {
    let routes = closed(metrics::alone());
    let metrics = state.metrics().clone();
    layered(routes, TIMEOUT, Proxies::None, Finish::default(), metrics).with_state(state)
}

/// What no route takes.
fn closed(routes: Router<AppState>) -> Router<AppState> {
    routes
        .fallback(|| async { ApiError::NotFound("There is nothing at this path".to_owned()) })
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
}

/// The documentation of the whole API.
pub fn document() -> OpenApi {
    let (_, document) = routes().build();
    document
}

fn routes() -> Routes {
    let v1 = Routes::new()
        .merge(accounts::router())
        .merge(me::router())
        .merge(members::router())
        .merge(roles::router())
        .merge(admin_tokens::router())
        .merge(apis::router())
        .merge(environments::router())
        .merge(identities::router())
        .merge(keys::router())
        .merge(presets::router())
        .merge(audit_log::router())
        .merge(explain::router())
        .merge(leaks::router())
        .merge(sync::router())
        .merge(imports::router())
        .merge(edge_usage::router());
    Routes::new()
        .merge(health::router())
        .merge(metrics::router())
        .merge(docs::router())
        .nest("/v1", v1)
}

/// Puts around the routes what every request goes through; the last is the outermost.
fn layered<S: Clone + Send + Sync + 'static>(
    routes: Router<S>,
    timeout: Duration,
    proxies: Proxies,
    finish: Finish,
    metrics: Metrics,
) -> Router<S> {
    routes
        .route_layer(from_fn(observe::note_route))
        .layer(from_fn(precondition::layer))
        .layer(DefaultBodyLimit::max(MAX_ADMIN_BODY))
        .layer(from_fn_with_state(timeout, limit_time))
        .layer(CatchPanicLayer::new())
        .layer(from_fn_with_state(finish, finish::layer))
        .layer(from_fn_with_state(proxies, client_address::layer))
        .layer(from_fn_with_state(metrics, observe::layer))
}

/// Gives a request up that takes too long. An import takes as long as its lines keep coming, which it sees to itself.
async fn limit_time(State(timeout): State<Duration>, request: Request, next: Next) -> Response {
    if request.method() == Method::POST && request.uri().path() == "/v1/imports" {
        return next.run(request).await;
    }
    match tokio::time::timeout(timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::routing::get;
    use serde_json::Value;
    use tower::ServiceExt;

    use super::*;

    async fn panics() -> &'static str {
        panic!("a secret")
    }

    #[tokio::test]
    async fn browsers_are_told_to_keep_to_tls_only_where_a_proxy_speaks_it() {
        for behind_tls in [false, true] {
            let routes: Router = Router::new().route("/", get(async || "page"));
            let finish = Finish { behind_tls };
            let app = layered(routes, TIMEOUT, Proxies::None, finish, Metrics::new(0));
            let request = Request::get("/").body(Body::empty()).unwrap();
            let response = app.oneshot(request).await.unwrap();
            let told = response.headers().get("strict-transport-security");
            assert_eq!(told.is_some_and(|v| v == "max-age=31536000"), behind_tls);
        }
    }

    async fn problem(path: &str) -> (u16, Value) {
        let routes: Router = Router::new()
            .route("/panics", get(panics))
            .route("/hangs", get(std::future::pending::<()>));
        let request = Request::get(path).body(Body::empty()).unwrap();
        let app = layered(
            routes,
            Duration::from_millis(20),
            Proxies::None,
            Finish::default(),
            Metrics::new(0),
        );
        let response = app.oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json"
        );
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn a_panic_is_an_internal_problem_and_is_not_shown() {
        let (status, body) = problem("/panics").await;
        assert_eq!((status, &body["code"]), (500, &Value::from("internal")));
        assert!(!body.to_string().contains("secret"));
    }

    #[tokio::test]
    async fn a_request_that_hangs_is_given_up() {
        let (status, body) = problem("/hangs").await;
        assert_eq!((status, &body["code"]), (503, &Value::from("unavailable")));
    }
}
