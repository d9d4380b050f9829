//! `/v1/identities`: whoever stands behind several keys of an account, which share its limits.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shared::record::RateLimits;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use crate::audit::{Act, Audited, Target};
use crate::auth::Admin;
use crate::entropy;
use crate::error::ApiError;
use crate::http::body::{Body, Changed, Done, Reply, given, nullable};
use crate::http::page::{Cursor, Page, PageLimit, PageRequest, Position};
use crate::http::params::{Id, Params};
use crate::http::precondition::Precondition;
use crate::openapi::Routes;
use crate::openapi::answers::{Conflict, NotFound, NotModified};
use crate::openapi::names::{
    AccountId, IdempotencyKey, IdentityId, IfMatch, Metadata, Name, Version,
};
use crate::openapi::schema::schema;
use crate::routes::keys::LimitsSchema;
use crate::routes::keys::input::{Limit, MAX_LIMIT, check_metadata};
use crate::state::AppState;
use crate::store::identities::{self, Identity};
use crate::store::{Change, accounts};
use crate::timestamp::Timestamp;
use crate::validate::{Checks, MAX_NAME};

/// In characters.
const MAX_EXTERNAL: usize = 200;
/// In characters.
const MAX_SEARCH: usize = 100;

/// The routes.
pub fn router() -> Routes {
    Routes::new()
        .with(routes!(list, create))
        .with(routes!(show, update, remove))
}

schema! {
    /// What it is called elsewhere; need not be its alone.
    ExternalId = text(1, MAX_EXTERNAL).examples(["cus_81Nn0sPz5cGh"]);
    /// Part of a name, an external id or an id.
    Search = text(1, MAX_SEARCH).examples(["acme"]);
}

/// An identity to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CreateIdentity {
    /// The account whose keys may share its limits; the token's own by default.
    #[schema(value_type = AccountId)]
    #[serde(default, deserialize_with = "given")]
    account_id: Option<String>,
    #[schema(value_type = Name)]
    name: String,
    #[schema(value_type = Option<ExternalId>)]
    #[serde(default)]
    external_id: Option<String>,
    #[schema(value_type = IdentityLimits)]
    #[serde(default, deserialize_with = "given")]
    rate_limits: Option<IdentityLimits>,
    /// Anything; at most 8 KiB as JSON.
    #[schema(value_type = Metadata)]
    #[serde(default, deserialize_with = "given")]
    metadata: Option<Map<String, Value>>,
}

/// What is given replaces what there was; of `rateLimits` each by itself.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PatchIdentity {
    #[schema(value_type = Name)]
    #[serde(default, deserialize_with = "given")]
    name: Option<String>,
    #[schema(value_type = Option<ExternalId>)]
    #[serde(default, deserialize_with = "nullable")]
    external_id: Option<Option<String>>,
    #[schema(value_type = IdentityLimits)]
    #[serde(default, deserialize_with = "given")]
    rate_limits: Option<IdentityLimits>,
    /// Anything; at most 8 KiB as JSON.
    #[schema(value_type = Metadata)]
    #[serde(default, deserialize_with = "given")]
    metadata: Option<Map<String, Value>>,
}

/// What all keys of an identity may spend together; `null`: not limited in that window.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct IdentityLimits {
    /// In any rolling 60 s.
    #[schema(value_type = Option<Limit>)]
    #[serde(deserialize_with = "nullable")]
    requests_per_minute: Option<Option<u32>>,
    /// In any rolling 3600 s.
    #[schema(value_type = Option<Limit>)]
    #[serde(deserialize_with = "nullable")]
    requests_per_hour: Option<Option<u32>>,
    /// In a UTC day.
    #[schema(value_type = Option<Limit>)]
    #[serde(deserialize_with = "nullable")]
    requests_per_day: Option<Option<u32>>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ListIdentities {
    /// Only identities of this account.
    #[param(inline, value_type = Option<AccountId>)]
    account: Option<String>,
    #[param(inline, value_type = Option<Search>)]
    q: Option<String>,
    #[param(inline, value_type = Option<PageLimit>)]
    limit: Option<String>,
    #[param(inline, value_type = Option<Cursor>)]
    cursor: Option<String>,
}

/// An identity.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Identity)]
#[serde(rename_all = "camelCase")]
struct IdentityView {
    #[schema(value_type = IdentityId)]
    id: String,
    /// The account whose keys may share its limits.
    #[schema(value_type = AccountId)]
    account_id: String,
    #[schema(value_type = Name)]
    name: String,
    #[schema(required, value_type = Option<ExternalId>)]
    external_id: Option<String>,
    #[schema(value_type = LimitsSchema)]
    rate_limits: RateLimits,
    #[schema(value_type = Metadata)]
    metadata: Map<String, Value>,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[schema(value_type = Version)]
    version: u64,
}

impl IdentityView {
    fn of(identity: Identity) -> Self {
        Self {
            id: identity.id,
            account_id: identity.account_id,
            name: identity.name,
            external_id: identity.external_id,
            rate_limits: identity.limits,
            metadata: identity.metadata,
            created_at: Timestamp(identity.created_at),
            updated_at: Timestamp(identity.updated_at),
            version: identity.version,
        }
    }
}

impl Audited for IdentityView {
    fn target(&self) -> Target {
        Target {
            kind: "identity",
            id: self.id.clone(),
            name: self.name.clone(),
            account: self.account_id.clone(),
        }
    }
}

/// An identity after a change.
#[derive(Debug, Serialize, ToSchema)]
struct ChangedIdentity {
    identity: IdentityView,
    /// Whether every edge has it.
    propagated: bool,
}

impl ChangedIdentity {
    fn of(identity: IdentityView) -> Self {
        Self {
            identity,
            propagated: false,
        }
    }
}

impl Changed for ChangedIdentity {
    fn version(&self) -> Option<u64> {
        Some(self.identity.version)
    }

    fn set_propagated(&mut self, propagated: bool) {
        self.propagated = propagated;
    }
}

/// List identities
///
/// Those of the caller's account and of the accounts below it, newest first.
#[utoipa::path(
    get, path = "/identities", operation_id = "listIdentities", tag = "Identities",
    params(ListIdentities),
    responses((status = 200, description = "A page of identities.", body = Page<IdentityView>), NotFound),
    security(("adminToken" = ["identities.read"])),
)]
async fn list(
    State(state): State<AppState>,
    admin: Admin,
    Params(query): Params<ListIdentities>,
) -> Result<Reply<Page<IdentityView>>, ApiError> {
    let mut checks = Checks::default();
    let page = PageRequest::check(&mut checks, query.limit.as_deref(), query.cursor.as_deref());
    let text = query.q.map(|text| checks.text("q", &text, MAX_SEARCH));
    checks.finish()?;
    let mut conn = state.store().read().await?;
    let account = query.account.as_deref();
    if let Some(account) = account {
        accounts::find(&mut conn, &admin.account, account)
            .await?
            .ok_or_else(|| ApiError::no("account", account))?;
    }
    let text = text.as_deref();
    let rows = identities::list(&mut conn, &admin.account, account, text, &page).await?;
    let position = |identity: &Identity| Position {
        created_at: identity.created_at,
        id: identity.id.clone(),
    };
    Ok(Reply::ok(page.page(rows, position, IdentityView::of)))
}

/// Show an identity
#[utoipa::path(
    get, path = "/identities/{id}", operation_id = "showIdentity", tag = "Identities",
    params(("id" = inline(IdentityId), Path)),
    responses((status = 200, description = "The identity.", body = IdentityView), NotModified),
    security(("adminToken" = ["identities.read"])),
)]
async fn show(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
) -> Result<Reply<IdentityView>, ApiError> {
    let mut conn = state.store().read().await?;
    let identity = identities::find(&mut conn, &admin.account, &id)
        .await?
        .ok_or_else(|| ApiError::no("identity", &id))?;
    let version = identity.version;
    Ok(Reply::ok(IdentityView::of(identity)).tagged(version))
}

/// Create an identity
///
/// Keys share its limits, beside the limits of each, once they name it as their `identityId`.
#[utoipa::path(
    post, path = "/identities", operation_id = "createIdentity", tag = "Identities",
    params(IdempotencyKey),
    request_body(content = CreateIdentity, examples(
        ("smallest" = (summary = "Without limits yet", value = json!({"name": "Acme"}))),
        ("full" = (summary = "A customer that is known elsewhere, too", value = json!({
            "name": "Acme",
            "accountId": "acc_4Tn0xQz9",
            "externalId": "cus_81Nn0sPz5cGh",
            "rateLimits": {"requestsPerMinute": 600, "requestsPerHour": null, "requestsPerDay": 100_000},
            "metadata": {"plan": "gold"},
        }))),
    )),
    responses((status = 201, description = "The identity is there.", body = ChangedIdentity), NotFound),
    security(("adminToken" = ["identities.write"])),
)]
async fn create(
    State(state): State<AppState>,
    admin: Admin,
    Body(input): Body<CreateIdentity>,
) -> Result<Reply<ChangedIdentity>, ApiError> {
    let patch = PatchIdentity {
        name: Some(input.name),
        external_id: Some(input.external_id),
        rate_limits: input.rate_limits,
        metadata: input.metadata,
    };
    let mut change = state.change(&admin).await?;
    let mut identity = Identity {
        id: shared::id::identity(&*entropy::draw()?),
        account_id: input.account_id.unwrap_or(admin.account.clone()),
        name: String::new(),
        external_id: None,
        limits: RateLimits::default(),
        metadata: Map::new(),
        version: change.next_version(),
        created_at: change.now(),
        updated_at: change.now(),
        deleted: false,
    };
    patch.apply(&mut identity)?;
    accounts::find(change.conn(), &admin.account, &identity.account_id)
        .await?
        .ok_or_else(|| ApiError::no("account", &identity.account_id))?;
    identities::insert(change.conn(), &identity).await?;
    change.publish_identity(&identity).await?;
    let identity = IdentityView::of(identity);
    let act = Act::create(&identity)?;
    let reply = Reply::created(ChangedIdentity::of(identity));
    state.commit(change, act, reply).await
}

/// Change an identity
///
/// Its limits count at once for all its keys, at the edges within the lease time.
#[utoipa::path(
    patch, path = "/identities/{id}", operation_id = "updateIdentity", tag = "Identities",
    params(("id" = inline(IdentityId), Path), IfMatch),
    request_body(content = PatchIdentity, examples(
        ("limits" = (summary = "Another limit of a minute, none of a day",
            value = json!({"rateLimits": {"requestsPerMinute": 1_200, "requestsPerDay": null}}))),
    )),
    responses((status = 200, description = "The identity as it is now.", body = ChangedIdentity)),
    security(("adminToken" = ["identities.write"])),
)]
async fn update(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
    precondition: Precondition,
    Body(patch): Body<PatchIdentity>,
) -> Result<Reply<ChangedIdentity>, ApiError> {
    let (mut change, before) = begin(&state, &admin, &id, &precondition).await?;
    let mut identity = before.clone();
    patch.apply(&mut identity)?;
    save(&mut change, &mut identity).await?;
    let identity = IdentityView::of(identity);
    let act = Act::change("update", &IdentityView::of(before), &identity)?;
    let reply = Reply::ok(ChangedIdentity::of(identity));
    state.commit(change, act, reply).await
}

/// Delete an identity
///
/// No key may name it any more: one that did would get nothing at the edges.
#[utoipa::path(
    delete, path = "/identities/{id}", operation_id = "deleteIdentity", tag = "Identities",
    params(("id" = inline(IdentityId), Path), IfMatch),
    responses((status = 200, description = "The identity is gone.", body = Done), Conflict),
    security(("adminToken" = ["identities.write"])),
)]
async fn remove(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
    precondition: Precondition,
) -> Result<Reply<Done>, ApiError> {
    let (mut change, mut identity) = begin(&state, &admin, &id, &precondition).await?;
    let keys = identities::keys(change.conn(), &id).await?;
    if keys > 0 {
        let detail =
            format!("{keys} keys share the limits of the identity; take it from them first");
        return Err(ApiError::Conflict(detail));
    }
    let act = Act::delete(&IdentityView::of(identity.clone()))?;
    identity.deleted = true;
    save(&mut change, &mut identity).await?;
    state.commit(change, act, Reply::ok(Done::default())).await
}

/// Begins a change of an identity that exists and is within reach.
async fn begin(
    state: &AppState,
    admin: &Admin,
    id: &str,
    precondition: &Precondition,
) -> Result<(Change, Identity), ApiError> {
    let mut change = state.change(admin).await?;
    let identity = identities::find(change.conn(), &admin.account, id)
        .await?
        .ok_or_else(|| ApiError::no("identity", id))?;
    precondition.check(identity.version)?;
    Ok((change, identity))
}

async fn save(change: &mut Change, identity: &mut Identity) -> Result<(), ApiError> {
    identity.version = change.next_version();
    identity.updated_at = change.now();
    identities::update(change.conn(), identity).await?;
    change.publish_identity(identity).await?;
    Ok(())
}

impl PatchIdentity {
    fn apply(self, identity: &mut Identity) -> Result<(), ApiError> {
        let mut checks = Checks::default();
        if let Some(name) = self.name {
            identity.name = checks.text("name", &name, MAX_NAME);
        }
        if let Some(external) = self.external_id {
            identity.external_id = external.map(|id| checks.text("externalId", &id, MAX_EXTERNAL));
        }
        if let Some(limits) = self.rate_limits {
            limits.apply(&mut checks, &mut identity.limits);
        }
        if let Some(metadata) = self.metadata {
            identity.metadata = check_metadata(&mut checks, metadata);
        }
        checks.finish()
    }
}

impl IdentityLimits {
    fn apply(self, checks: &mut Checks, limits: &mut RateLimits) {
        let mut set = |field: &str, limit: &mut Option<u32>, given: Option<Option<u32>>| {
            if let Some(given) = given {
                let field = format!("rateLimits.{field}");
                *limit = given.map(|n| checks.number(&field, n, 1, MAX_LIMIT));
            }
        };
        let minute = self.requests_per_minute;
        set("requestsPerMinute", &mut limits.requests_per_minute, minute);
        let hour = self.requests_per_hour;
        set("requestsPerHour", &mut limits.requests_per_hour, hour);
        let day = self.requests_per_day;
        set("requestsPerDay", &mut limits.requests_per_day, day);
    }
}
