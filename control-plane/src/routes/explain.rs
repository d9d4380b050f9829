//! `POST /v1/explain`: why a request would pass or be refused.

use std::net::IpAddr;

use crate::http::token_text::TokenText;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::credential::{self, Form};
use shared::denial::{CODES, Denial};
use shared::path::MAX_PATH;
use shared::record::{ApiRecord, Endpoint, KeyRecord};
use shared::route::{MAX_COST, RouteTable};
use shared::token::{KeyHash, TagSecrets};
use shared::{host, path};

use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::auth::Admin;
use crate::error::ApiError;
use crate::explain::{Request, Step, Trace, unknown_key};
use crate::http::body::{Body, Reply, given};
use crate::left;
use crate::openapi::Routes;
use crate::openapi::answers::NotFound;
use crate::openapi::names::KeyId;
use crate::openapi::schema::schema;
use crate::state::AppState;
use crate::store::key_list::{self, KeyStatus};
use crate::store::keys::{self, Key};
use crate::store::{Conn, accounts, apis, targets};
use crate::timestamp::Timestamp;
use crate::validate::Checks;

/// The longest host or origin that is looked at, in bytes.
const MAX_HEADER: usize = 512;
const MAX_METHOD: usize = 32;

/// The route.
pub fn router() -> Routes {
    Routes::new().with(routes!(explain))
}

schema! {
    /// A host, with its port if it has one.
    Host = text(0, MAX_HEADER).examples(["api.example.com"]);
    /// A token.
    TokenSchema = text(0, crate::http::body::MAX_ADMIN_BODY);
    /// An HTTP method.
    MethodText = text(1, MAX_METHOD).examples(["GET"]);
    /// A path, with the query or without.
    PathText = text(1, MAX_PATH).examples(["/v1/customers/c_9"]);
    /// An origin, as browsers send it.
    OriginHeader = text(0, MAX_HEADER).examples(["https://app.example.com"]);
    /// An IPv4 or IPv6 address.
    Address = text(2, 45).examples(["203.0.113.7"]);
    /// The status that callers get.
    StatusNumber = whole(400, 599).examples([403]);
    /// The refusal's code.
    CodeWord = word(&CODES.map(|code| (code, ())));
    /// What a request costs, in units.
    CostUnits = whole(1, MAX_COST).examples([1]);
}

/// A request to the edge, described: by the key's id, or by the token as presented, or without either.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = DescribedRequest)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Described {
    /// The guarded host, with its port if it has one.
    #[schema(value_type = Host)]
    host: String,
    /// The key; its current token is taken to be presented.
    #[schema(value_type = KeyId)]
    #[serde(default, deserialize_with = "given")]
    key_id: Option<String>,
    /// The token as presented. It is neither kept nor logged.
    #[schema(value_type = TokenSchema)]
    #[serde(default, deserialize_with = "given")]
    token: Option<TokenText>,
    /// `GET` by default.
    #[schema(value_type = MethodText)]
    #[serde(default, deserialize_with = "given")]
    method: Option<String>,
    /// With the query or without; `/` by default.
    #[schema(value_type = PathText)]
    #[serde(default, deserialize_with = "given")]
    path: Option<String>,
    /// The `Origin` header.
    #[schema(value_type = OriginHeader)]
    #[serde(default, deserialize_with = "given")]
    origin: Option<String>,
    /// The client's address.
    #[schema(value_type = Address)]
    #[serde(default, deserialize_with = "given")]
    ip: Option<String>,
    /// When; now by default.
    #[schema(value_type = Timestamp)]
    #[serde(default, deserialize_with = "given")]
    at: Option<String>,
}

/// What a request comes to, and why.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Explanation {
    /// Whether it passes, its quota aside: what is left of that changes with every request.
    allowed: bool,
    /// What callers are answered; `null` when it passes.
    #[schema(required)]
    refusal: Option<RefusalView>,
    /// When it is taken to happen.
    at: Timestamp,
    /// What it costs, in units; `null` when it did not come so far.
    #[schema(required, value_type = Option<CostUnits>)]
    cost: Option<u32>,
    /// Every step, in the order in which the edge takes them.
    steps: Vec<Step>,
}

/// A refusal, as callers see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExplainedRefusal)]
#[serde(rename_all = "camelCase")]
struct RefusalView {
    #[schema(value_type = StatusNumber)]
    status: u16,
    #[schema(value_type = CodeWord)]
    code: &'static str,
    title: &'static str,
    detail: String,
}

/// A description, checked.
struct Question {
    host: String,
    key_id: Option<String>,
    token: Option<TokenText>,
    method: String,
    path: String,
    origin: Option<String>,
    ip: Option<IpAddr>,
    at: u64,
}

impl Described {
    fn check(self, now: u64) -> Result<Question, ApiError> {
        let mut checks = Checks::default();
        if self.key_id.is_some() && self.token.is_some() {
            checks.fail("token", "either keyId or token is given, not both");
        }
        for (field, text) in [("host", Some(&self.host)), ("origin", self.origin.as_ref())] {
            if text.is_some_and(|t| t.len() > MAX_HEADER) {
                checks.fail(field, format!("at most {MAX_HEADER} bytes"));
            }
        }
        let method = self.method.map_or("GET".to_owned(), |m| m.to_uppercase());
        if method.len() > MAX_METHOD || !shared::cors::is_token(&method) {
            checks.fail("method", "an HTTP method");
        }
        let path = self.path.unwrap_or_else(|| "/".to_owned());
        if !path.starts_with('/') {
            checks.fail("path", "begins with a slash");
        }
        let ip = self.ip.as_deref().map(|text| text.parse::<IpAddr>());
        if ip.as_ref().is_some_and(Result::is_err) {
            checks.fail("ip", "an IPv4 or IPv6 address");
        }
        let at = self.at.as_deref().map(Timestamp::parse);
        let at = at.and_then(|result| checks.accept("at", result));
        checks.finish()?;
        Ok(Question {
            host: self.host,
            key_id: self.key_id,
            token: self.token,
            method,
            path,
            origin: self.origin,
            ip: ip.and_then(Result::ok),
            at: at.map_or(now, |t| t.0),
        })
    }
}

/// Explain a request
///
/// Takes the steps that the edge takes, in its order, and tells what each of them saw. Steps after the one that refuses are
/// shown too, once API and key are known. How much of the quota is left now, whatever `at` says, the edges are asked; the step
/// tells when they can't be.
#[utoipa::path(
    post, path = "/explain", operation_id = "explainRequest", tag = "Keys",
    request_body(content = Described, examples(
        ("keyless" = (summary = "Without a credential", value = json!({"host": "api.example.com"}))),
        ("token" = (summary = "By its token", value = json!({
            "host": "api.example.com", "method": "GET", "path": "/v1/customers/c_9?page=2",
            "token": "kw_prod_sk_Ab3xT0kenThatWasPresented", "origin": "https://app.example.com",
            "ip": "203.0.113.7", "at": "2027-01-31T09:30:00Z",
        }))),
    )),
    responses((status = 200, description = "Every step.", body = Explanation), NotFound),
    security(("adminToken" = ["keys.read"])),
)]
async fn explain(
    State(state): State<AppState>,
    admin: Admin,
    Body(input): Body<Described>,
) -> Result<Reply<Explanation>, ApiError> {
    let question = input.check(state.now())?;
    let conn = state.store().read().await?;
    let mut trace = Trace::default();
    let cost = walk(&state, conn, &admin, &question, &mut trace).await?;
    let refusal = trace.denial.map(|denial| RefusalView {
        status: denial.status(),
        code: denial.code(),
        title: denial.title(),
        detail: denial.detail(),
    });
    Ok(Reply::ok(Explanation {
        allowed: refusal.is_none(),
        refusal,
        at: Timestamp(question.at),
        cost,
        steps: trace.steps,
    }))
}

/// The gate's steps, in its order. Those up to the key end the walk when they fail, for there is nothing to look at then.
async fn walk(
    state: &AppState,
    mut reader: Conn,
    admin: &Admin,
    question: &Question,
    trace: &mut Trace,
) -> Result<Option<u32>, ApiError> {
    let conn = &mut reader;
    let presented = presented(state, question);
    let key = find_key(conn, admin, question, &presented).await?;
    let Some((api, endpoint)) = find_api(conn, admin, question, key.as_ref(), trace).await? else {
        return Ok(None);
    };
    if question.method == "TRACE" {
        let allow = Vec::new();
        let saw = json!({"method": "TRACE"});
        trace.failed("route", saw, Denial::MethodNotAllowed { allow });
        return Ok(None);
    }
    if !credential_step(question, &presented, &api, &endpoint, trace) {
        return Ok(None);
    }
    let Some(key) = key else {
        trace.failed("key", json!({"found": false}), unknown_key());
        return Ok(None);
    };
    let status = key_list::status(conn, &key, question.at).await?;
    let ancestors = accounts::ancestors(conn, &key.account_id).await?;
    let credentials = keys::credentials(conn, &key.id).await?;
    let current = credentials.first().map(|c| c.hash);
    let record: KeyRecord = key.record(ancestors, credentials);
    trace.passed(
        "key",
        json!({"id": record.id, "name": key.settings.name, "version": record.version}),
    );
    let target = question.path.split(['?', '#']).next().unwrap_or("/");
    let canonical = match path::canonical(target) {
        Ok(canonical) => canonical,
        Err(error) => {
            let denial = Denial::BadRequest {
                status: 400,
                detail: error.to_string(),
            };
            trace.failed("path", json!({"path": target}), denial);
            return Ok(None);
        }
    };
    trace.passed("path", json!({"path": canonical}));
    let Some(hash) = presented.hash.or(current) else {
        trace.failed("key", json!({"tokens": 0}), unknown_key());
        return Ok(None);
    };
    let routes = RouteTable::compile(&api.routes).map_err(|e| ApiError::Internal(e.into()))?;
    let named = named_account(conn, &routes, &question.method, &canonical).await?;
    let edges = targets::all(conn).await?;
    // An edge may be slow to answer; others want the connection.
    drop(reader);
    let left = left::ask(state, edges, &record).await;
    let request = Request {
        at: question.at,
        method: &question.method,
        path: &canonical,
        origin: question.origin.as_deref(),
        ip: question.ip,
        hash: &hash,
        key: &record,
        api: &api,
        endpoint: &endpoint,
        is_throttled: status == KeyStatus::RateLimited,
        left: &left,
        asked_at: state.now(),
    };
    Ok(Some(trace.decide(&request, &routes, |_| named)))
}

/// What the token says by itself.
#[derive(Default)]
struct Presented<'t> {
    hash: Option<KeyHash>,
    form: Option<Form<'t>>,
    denial: Option<Denial>,
}

fn presented<'t>(state: &AppState, question: &'t Question) -> Presented<'t> {
    let Some(token) = &question.token else {
        let missing = question.key_id.is_none();
        return Presented {
            denial: missing.then_some(Denial::MissingCredential),
            ..Presented::default()
        };
    };
    let secrets = TagSecrets::new(state.tag_secret(), None);
    let read = credential::presented(None, Some(token.expose()))
        .and_then(|text| Ok((KeyHash::of(text), Form::of(text, &secrets)?)));
    match read {
        Ok((hash, form)) => Presented {
            hash: Some(hash),
            form: Some(form),
            denial: None,
        },
        Err(denial) => Presented {
            denial: Some(denial),
            ..Presented::default()
        },
    }
}

/// Notes what the credential comes to; whether the walk goes on.
fn credential_step(
    question: &Question,
    presented: &Presented<'_>,
    api: &ApiRecord,
    endpoint: &Endpoint,
    trace: &mut Trace,
) -> bool {
    if question.key_id.is_some() {
        trace.skipped("credential", "The key was named; no token was looked at");
        return true;
    }
    let code = match presented.form {
        Some(Form::Own(token)) => Some(token.env_code()),
        _ => None,
    };
    let saw = json!({
        "presented": question.token.is_some(), "environmentCode": code, "endpointCode": endpoint.code,
        "isOfOurForm": presented.form.map(|form| matches!(form, Form::Own(_))),
        "acceptImported": api.accept_imported,
    });
    let admitted = match (&presented.denial, presented.form) {
        (Some(denial), _) => Err(denial.clone()),
        (None, Some(form)) => form.admit(api, endpoint),
        (None, None) => Err(Denial::MissingCredential),
    };
    match admitted {
        Ok(()) => trace.passed("credential", saw),
        Err(denial) => {
            trace.failed("credential", saw, denial);
            return false;
        }
    }
    true
}

/// The key that is named or whose token was presented, if it is within the admin's reach; a deleted one, too.
async fn find_key(
    conn: &mut Conn,
    admin: &Admin,
    question: &Question,
    presented: &Presented<'_>,
) -> Result<Option<Key>, ApiError> {
    if let Some(id) = &question.key_id {
        let key = keys::find_with_deleted(conn, &admin.account, id).await?;
        return key.map(Some).ok_or_else(|| ApiError::no("key", id));
    }
    match &presented.hash {
        Some(hash) => Ok(keys::by_hash(conn, &admin.account, hash).await?),
        None => Ok(None),
    }
}

/// The API that answers for the host. One of an account outside the admin's reach is told of only to those whose key is
/// for it, without its id.
async fn find_api(
    conn: &mut Conn,
    admin: &Admin,
    question: &Question,
    key: Option<&Key>,
    trace: &mut Trace,
) -> Result<Option<(ApiRecord, Endpoint)>, ApiError> {
    let Some(name) = host::normalise(&question.host) else {
        let denial = Denial::BadRequest {
            status: 400,
            detail: "The Host header is not a host".to_owned(),
        };
        trace.failed("api", json!({"host": question.host}), denial);
        return Ok(None);
    };
    for candidate in host::candidates(&name) {
        let Some(api) = apis::by_host(conn, &candidate).await? else {
            continue;
        };
        let above = accounts::ancestors(conn, &api.account_id).await?;
        let is_own = api.account_id == admin.account || above.contains(&admin.account);
        let is_for_key = match key {
            Some(key) => {
                let over_key = accounts::ancestors(conn, &key.account_id).await?;
                over_key.contains(&api.account_id)
            }
            None => false,
        };
        if !is_own && !is_for_key {
            break;
        }
        let record = api.record(above);
        let endpoint = record.endpoints.iter().find(|e| e.host == candidate);
        let Some(endpoint) = endpoint.cloned() else {
            break;
        };
        let saw = json!({
            "host": name, "api": is_own.then_some(&record.id), "endpoint": endpoint.host,
            "environment": endpoint.environment,
        });
        trace.passed("api", saw);
        return Ok(Some((record, endpoint)));
    }
    trace.failed("api", json!({"host": name}), Denial::UnknownApi);
    Ok(None)
}

/// The account that the path names, if it exists.
async fn named_account(
    conn: &mut Conn,
    routes: &RouteTable,
    method: &str,
    path: &str,
) -> Result<Option<shared::account::AccountRecord>, ApiError> {
    let shared::route::Lookup::Found(matched) = routes.lookup(method, path) else {
        return Ok(None);
    };
    let Some(id) = matched.account else {
        return Ok(None);
    };
    let Some(account) = accounts::by_id(conn, id).await? else {
        return Ok(None);
    };
    let ancestors = accounts::ancestors(conn, id).await?;
    Ok(Some(account.record(ancestors)))
}
