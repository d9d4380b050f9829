//! `/v1/roles`: what members and admin tokens may do. Four roles are built in; an account may have its own beside them.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use shared::permission::Permission;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use crate::audit::{Act, Audited, Target};
use crate::auth::Admin;
use crate::entropy;
use crate::error::ApiError;
use crate::http::body::{Body, Changed, Done, Reply, given};
use crate::http::page::{Cursor, Page, PageLimit, PageRequest, Position};
use crate::http::params::{Id, Params};
use crate::http::precondition::Precondition;
use crate::openapi::Routes;
use crate::openapi::answers::{Conflict, NotFound, NotModified};
use crate::openapi::names::{
    AccountId, IdempotencyKey, IfMatch, ManagementPermissions, Name, Permissions, RoleId, Version,
};
use crate::openapi::schema::schema;
use crate::rights::{self, BUILT_IN, BuiltIn, Rights};
use crate::state::AppState;
use crate::store::roles::{self, Role};
use crate::store::{Change, accounts};
use crate::timestamp::Timestamp;
use crate::validate::{Checks, MAX_NAME};

/// In characters.
const MAX_DESCRIPTION: usize = 500;

/// The routes.
pub fn router() -> Routes {
    Routes::new()
        .with(routes!(list, create))
        .with(routes!(show, update, remove))
}

schema! {
    /// For people; may be empty.
    Description = text(0, MAX_DESCRIPTION).examples(["Looks after the keys of partners"]);
}

/// A role to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CreateRole {
    /// The account whose members may have it; the token's own by default.
    #[schema(value_type = AccountId)]
    #[serde(default, deserialize_with = "given")]
    account_id: Option<String>,
    #[schema(value_type = Name)]
    name: String,
    #[schema(value_type = Description)]
    #[serde(default, deserialize_with = "given")]
    description: Option<String>,
    /// What it may do here.
    #[schema(value_type = ManagementPermissions)]
    management_permissions: Vec<String>,
    /// What keys of its members may do at APIs.
    #[schema(value_type = Permissions)]
    api_permissions: Vec<String>,
}

/// What is given replaces what there was.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PatchRole {
    #[schema(value_type = Name)]
    #[serde(default, deserialize_with = "given")]
    name: Option<String>,
    #[schema(value_type = Description)]
    #[serde(default, deserialize_with = "given")]
    description: Option<String>,
    /// What it may do here.
    #[schema(value_type = ManagementPermissions)]
    #[serde(default, deserialize_with = "given")]
    management_permissions: Option<Vec<String>>,
    /// What keys of its members may do at APIs.
    #[schema(value_type = Permissions)]
    #[serde(default, deserialize_with = "given")]
    api_permissions: Option<Vec<String>>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ListRoles {
    /// Only roles that members of this account may have.
    #[param(inline, value_type = Option<AccountId>)]
    account: Option<String>,
    #[param(inline, value_type = Option<PageLimit>)]
    limit: Option<String>,
    #[param(inline, value_type = Option<Cursor>)]
    cursor: Option<String>,
}

/// A role.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Role)]
#[serde(rename_all = "camelCase")]
struct RoleView {
    #[schema(value_type = RoleId)]
    id: String,
    /// The account whose members may have it; `null`: built in, for every account.
    #[schema(required, value_type = Option<AccountId>)]
    account_id: Option<String>,
    #[schema(value_type = Name)]
    name: String,
    #[schema(value_type = Description)]
    description: String,
    /// What it may do here.
    #[schema(value_type = ManagementPermissions)]
    management_permissions: Vec<Permission>,
    /// What keys of its members may do at APIs.
    #[schema(value_type = Permissions)]
    api_permissions: Vec<Permission>,
    /// `null`: built in.
    #[schema(required)]
    created_at: Option<Timestamp>,
    /// `null`: built in.
    #[schema(required)]
    updated_at: Option<Timestamp>,
    /// `null`: built in.
    #[schema(required, value_type = Option<Version>)]
    version: Option<u64>,
}

impl RoleView {
    fn of(role: Role) -> Self {
        Self {
            id: role.id,
            account_id: Some(role.account_id),
            name: role.name,
            description: role.description,
            management_permissions: role.rights.management,
            api_permissions: role.rights.api,
            created_at: Some(Timestamp(role.created_at)),
            updated_at: Some(Timestamp(role.updated_at)),
            version: Some(role.version),
        }
    }

    fn built_in(role: &BuiltIn) -> Self {
        let Rights { management, api } = role.rights();
        Self {
            id: role.name.to_owned(),
            account_id: None,
            name: role.name.to_owned(),
            description: role.description.to_owned(),
            management_permissions: management,
            api_permissions: api,
            created_at: None,
            updated_at: None,
            version: None,
        }
    }

    /// Built-in roles come after all others.
    fn position(&self) -> Position {
        Position {
            created_at: self.created_at.map_or(0, |at| at.0),
            id: self.id.clone(),
        }
    }
}

/// A role after a change.
#[derive(Debug, Serialize, ToSchema)]
struct ChangedRole {
    role: RoleView,
    /// Whether every edge has it.
    propagated: bool,
}

impl ChangedRole {
    fn of(role: RoleView) -> Self {
        let propagated = false;
        Self { role, propagated }
    }
}

impl Changed for ChangedRole {
    fn version(&self) -> Option<u64> {
        self.role.version
    }

    fn set_propagated(&mut self, propagated: bool) {
        self.propagated = propagated;
    }
}

impl Audited for RoleView {
    fn target(&self) -> Target {
        Target {
            kind: "role",
            id: self.id.clone(),
            name: self.name.clone(),
            account: self.account_id.clone().unwrap_or_default(),
        }
    }
}

/// List roles
///
/// Those of the caller's account and of the accounts below it, newest first, then the built-in ones.
#[utoipa::path(
    get, path = "/roles", operation_id = "listRoles", tag = "People",
    params(ListRoles),
    responses((status = 200, description = "A page of roles.", body = Page<RoleView>), NotFound),
    security(("adminToken" = ["roles.read"])),
)]
async fn list(
    State(state): State<AppState>,
    admin: Admin,
    Params(query): Params<ListRoles>,
) -> Result<Reply<Page<RoleView>>, ApiError> {
    let mut checks = Checks::default();
    let page = PageRequest::check(&mut checks, query.limit.as_deref(), query.cursor.as_deref());
    checks.finish()?;
    let mut conn = state.store().read().await?;
    let account = query.account.as_deref();
    if let Some(account) = account {
        accounts::find(&mut conn, &admin.account, account)
            .await?
            .ok_or_else(|| ApiError::no("account", account))?;
    }
    let own = roles::list(&mut conn, &admin.account, account, &page).await?;
    let mut built_in: Vec<RoleView> = BUILT_IN.iter().map(RoleView::built_in).collect();
    built_in.sort_by(|a, b| b.id.cmp(&a.id));
    let is_after = |role: &RoleView| match &page.after {
        Some(after) => after.created_at > 0 || role.id < after.id,
        None => true,
    };
    let rows = own.into_iter().map(RoleView::of);
    let rows = rows.chain(built_in.into_iter().filter(is_after)).collect();
    Ok(Reply::ok(page.page(rows, RoleView::position, |row| row)))
}

/// Show a role
#[utoipa::path(
    get, path = "/roles/{id}", operation_id = "showRole", tag = "People",
    params(("id" = inline(RoleId), Path)),
    responses((status = 200, description = "The role.", body = RoleView), NotModified),
    security(("adminToken" = ["roles.read"])),
)]
async fn show(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
) -> Result<Reply<RoleView>, ApiError> {
    if let Some(role) = BUILT_IN.iter().find(|role| role.name == id) {
        return Ok(Reply::ok(RoleView::built_in(role)));
    }
    let mut conn = state.store().read().await?;
    let role = roles::find(&mut conn, &admin.account, &id)
        .await?
        .ok_or_else(|| ApiError::no("role", &id))?;
    let version = role.version;
    Ok(Reply::ok(RoleView::of(role)).tagged(version))
}

/// Create a role
///
/// It may hold no more than the caller does.
#[utoipa::path(
    post, path = "/roles", operation_id = "createRole", tag = "People",
    params(IdempotencyKey),
    request_body(content = CreateRole, examples(
        ("partners" = (summary = "Looks after keys that may only read", value = json!({
            "name": "Partner desk",
            "managementPermissions": ["keys.*", "usage.read"],
            "apiPermissions": ["customers.read", "orders.read"],
        }))),
    )),
    responses((status = 201, description = "The role is there.", body = ChangedRole), NotFound, Conflict),
    security(("adminToken" = ["roles.write"])),
)]
async fn create(
    State(state): State<AppState>,
    admin: Admin,
    Body(input): Body<CreateRole>,
) -> Result<Reply<ChangedRole>, ApiError> {
    let patch = PatchRole {
        name: Some(input.name),
        description: input.description,
        management_permissions: Some(input.management_permissions),
        api_permissions: Some(input.api_permissions),
    };
    let mut change = state.change(&admin).await?;
    let mut role = Role {
        id: shared::id::role(&*entropy::draw()?),
        account_id: input.account_id.unwrap_or(admin.account.clone()),
        name: String::new(),
        description: String::new(),
        rights: Rights::default(),
        version: change.next_version(),
        created_at: change.now(),
        updated_at: change.now(),
        deleted: false,
    };
    patch.apply(&mut role)?;
    accounts::find(change.conn(), &admin.account, &role.account_id)
        .await?
        .ok_or_else(|| ApiError::no("account", &role.account_id))?;
    admin.outranks(&role.rights)?;
    claim_name(&mut change, &role).await?;
    roles::insert(change.conn(), &role).await?;
    change.publish_role(&role).await?;
    let role = RoleView::of(role);
    let act = Act::create(&role)?;
    state
        .commit(change, act, Reply::created(ChangedRole::of(role)))
        .await
}

/// Change a role
///
/// It counts at once for everybody who has the role: their admin tokens with the next request, their keys at the edges
/// within the lease time. Neither before nor after may it hold more than the caller does.
#[utoipa::path(
    patch, path = "/roles/{id}", operation_id = "updateRole", tag = "People",
    params(("id" = inline(RoleId), Path), IfMatch),
    request_body(content = PatchRole, examples(
        ("bound" = (summary = "Keys may only read customers",
            value = json!({"apiPermissions": ["customers.read"]}))),
    )),
    responses((status = 200, description = "The role as it is now.", body = ChangedRole), Conflict),
    security(("adminToken" = ["roles.write"])),
)]
async fn update(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
    precondition: Precondition,
    Body(patch): Body<PatchRole>,
) -> Result<Reply<ChangedRole>, ApiError> {
    let (mut change, before) = begin(&state, &admin, &id, &precondition).await?;
    let mut role = before.clone();
    patch.apply(&mut role)?;
    admin.outranks(&role.rights)?;
    claim_name(&mut change, &role).await?;
    save(&mut change, &mut role).await?;
    let role = RoleView::of(role);
    let act = Act::change("update", &RoleView::of(before), &role)?;
    state
        .commit(change, act, Reply::ok(ChangedRole::of(role)))
        .await
}

/// Delete a role
///
/// No member and no admin token may have it any more.
#[utoipa::path(
    delete, path = "/roles/{id}", operation_id = "deleteRole", tag = "People",
    params(("id" = inline(RoleId), Path), IfMatch),
    responses((status = 200, description = "The role is gone.", body = Done), Conflict),
    security(("adminToken" = ["roles.write"])),
)]
async fn remove(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
    precondition: Precondition,
) -> Result<Reply<Done>, ApiError> {
    let (mut change, mut role) = begin(&state, &admin, &id, &precondition).await?;
    let act = Act::delete(&RoleView::of(role.clone()))?;
    let now = change.now();
    let (members, tokens) = roles::users(change.conn(), &id, now).await?;
    if members + tokens > 0 {
        let detail = format!(
            "The role is in use by {members} members and {tokens} admin tokens; give them another one first"
        );
        return Err(ApiError::Conflict(detail));
    }
    role.deleted = true;
    save(&mut change, &mut role).await?;
    state.commit(change, act, Reply::ok(Done::default())).await
}

/// Begins a change of a role that is within reach, and holds no more than the caller.
async fn begin(
    state: &AppState,
    admin: &Admin,
    id: &str,
    precondition: &Precondition,
) -> Result<(Change, Role), ApiError> {
    if Rights::built_in(id).is_some() {
        let detail = format!("The role {id} is built in and can't be changed");
        return Err(ApiError::Conflict(detail));
    }
    let mut change = state.change(admin).await?;
    let role = roles::find(change.conn(), &admin.account, id)
        .await?
        .ok_or_else(|| ApiError::no("role", id))?;
    admin.outranks(&role.rights)?;
    precondition.check(role.version)?;
    Ok((change, role))
}

async fn save(change: &mut Change, role: &mut Role) -> Result<(), ApiError> {
    role.version = change.next_version();
    role.updated_at = change.now();
    roles::update(change.conn(), role).await?;
    change.publish_role(role).await?;
    Ok(())
}

async fn claim_name(change: &mut Change, role: &Role) -> Result<(), ApiError> {
    if roles::is_name_taken(change.conn(), role).await? {
        let detail = "The account has another role with this name";
        return Err(ApiError::Conflict(detail.to_owned()));
    }
    Ok(())
}

impl PatchRole {
    fn apply(self, role: &mut Role) -> Result<(), ApiError> {
        let mut checks = Checks::default();
        if let Some(name) = self.name {
            role.name = checks.text("name", &name, MAX_NAME);
            if Rights::built_in(&role.name).is_some() {
                checks.fail("name", "is the name of a built-in role");
            }
        }
        if let Some(description) = self.description {
            role.description = match description.trim() {
                "" => String::new(),
                text => checks.text("description", text, MAX_DESCRIPTION),
            };
        }
        if let Some(texts) = self.management_permissions {
            let field = "managementPermissions";
            role.rights.management = rights::check_management(&mut checks, field, &texts);
        }
        if let Some(texts) = self.api_permissions {
            role.rights.api = checks.list("apiPermissions", &texts, Permission::parse);
        }
        checks.finish()
    }
}
