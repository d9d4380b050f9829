//! `/v1/members`: the people of an account. A member begins as invited; see [`invitations`].

mod input;
mod invitations;
mod view;

use axum::extract::State;
use utoipa_axum::routes;

use crate::audit::Act;
use crate::auth::Admin;
use crate::entropy;
use crate::error::ApiError;
use crate::http::body::{Body, Reply};
use crate::http::page::{Page, PageRequest, Position};
use crate::http::params::{Id, Params};
use crate::http::precondition::Precondition;
use crate::openapi::Routes;
use crate::openapi::answers::{Conflict, NotFound, NotModified};
use crate::openapi::names::{IdempotencyKey, IfMatch, MemberId};
use crate::rights::{OWNER, Rights};
use crate::state::AppState;
use crate::store::members::{self, Member};
use crate::store::{Change, Conn, accounts, admin_tokens, roles};
use crate::validate::Checks;
use input::{CreateMember, ListMembers, PatchMember};
use view::{ChangedMember, InvitedMember, RemovedMember};

pub use view::MemberView;

/// The routes.
pub fn router() -> Routes {
    Routes::new()
        .with(routes!(list, create))
        .with(routes!(show, update, remove))
        .with(routes!(invitations::renew))
        .with(routes!(invitations::accept))
}

/// List members
///
/// Those of the caller's account and of the accounts below it, newest first.
#[utoipa::path(
    get, path = "/members", operation_id = "listMembers", tag = "People",
    params(ListMembers),
    responses((status = 200, description = "A page of members.", body = Page<MemberView>), NotFound),
    security(("adminToken" = ["members.read"])),
)]
async fn list(
    State(state): State<AppState>,
    admin: Admin,
    Params(query): Params<ListMembers>,
) -> Result<Reply<Page<MemberView>>, ApiError> {
    let mut checks = Checks::default();
    let page = PageRequest::check(&mut checks, query.limit.as_deref(), query.cursor.as_deref());
    let filter = query.filter(&mut checks);
    checks.finish()?;
    let mut conn = state.store().read().await?;
    if let Some(account) = &filter.account {
        accounts::find(&mut conn, &admin.account, account)
            .await?
            .ok_or_else(|| ApiError::no("account", account))?;
    }
    let rows = members::list(&mut conn, &admin.account, &filter, &page).await?;
    let position = |member: &Member| Position {
        created_at: member.created_at,
        id: member.id.clone(),
    };
    Ok(Reply::ok(page.page(rows, position, MemberView::of)))
}

/// Show a member
#[utoipa::path(
    get, path = "/members/{id}", operation_id = "showMember", tag = "People",
    params(("id" = inline(MemberId), Path)),
    responses((status = 200, description = "The member.", body = MemberView), NotModified),
    security(("adminToken" = ["members.read"])),
)]
async fn show(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
) -> Result<Reply<MemberView>, ApiError> {
    let mut conn = state.store().read().await?;
    let member = members::find(&mut conn, &admin.account, &id)
        .await?
        .ok_or_else(|| ApiError::no("member", &id))?;
    let version = member.version;
    Ok(Reply::ok(MemberView::of(member)).tagged(version))
}

/// Invite a member
///
/// The answer holds the invitation, which is shown this once: whoever has it becomes the member. The member can own
/// keys from now on. The role may hold no more than the caller does.
#[utoipa::path(
    post, path = "/members", operation_id = "createMember", tag = "People",
    params(IdempotencyKey),
    request_body(content = CreateMember, examples(
        ("developer" = (summary = "Makes keys",
            value = json!({"email": "ada@example.com", "name": "Ada Lovelace", "role": "developer"}))),
    )),
    responses((status = 201, description = "The member is invited.", body = InvitedMember), NotFound, Conflict),
    security(("adminToken" = ["members.write"])),
)]
async fn create(
    State(state): State<AppState>,
    admin: Admin,
    Body(input): Body<CreateMember>,
) -> Result<Reply<InvitedMember>, ApiError> {
    let (account, input) = input.check()?;
    let mut change = state.change(&admin).await?;
    let account = account.unwrap_or(admin.account.clone());
    accounts::find(change.conn(), &admin.account, &account)
        .await?
        .ok_or_else(|| ApiError::no("account", &account))?;
    let rights = rights_of_choice(change.conn(), &account, &input.role).await?;
    admin.outranks(&rights)?;
    if members::is_email_taken(change.conn(), &account, &input.email).await? {
        let detail = "The account has a member with this e-mail address already";
        return Err(ApiError::Conflict(detail.to_owned()));
    }
    let (invitation, token) = invitations::fresh(change.now())?;
    let member = Member {
        id: shared::id::member(&*entropy::draw()?),
        account_id: account,
        email: input.email,
        name: input.name,
        role: input.role,
        active: false,
        invitation: Some(invitation),
        version: change.next_version(),
        created_at: change.now(),
        updated_at: change.now(),
        removed: false,
    };
    members::insert(change.conn(), &member).await?;
    change.publish_member(&member).await?;
    let member = MemberView::of(member);
    let act = Act::create(&member)?;
    let reply = Reply::created(InvitedMember::of(member, &token));
    state.commit(change, act, reply).await
}

/// Change a member
///
/// Another role counts at once: for the member's admin tokens with the next request, for their keys at the edges within
/// the lease time. Neither the old role nor the new one may hold more than the caller does. An account with members keeps
/// an owner.
#[utoipa::path(
    patch, path = "/members/{id}", operation_id = "updateMember", tag = "People",
    params(("id" = inline(MemberId), Path), IfMatch),
    request_body(content = PatchMember, examples(
        ("role" = (summary = "Another role", value = json!({"role": "viewer"}))),
    )),
    responses((status = 200, description = "The member as it is now.", body = ChangedMember), Conflict),
    security(("adminToken" = ["members.write"])),
)]
async fn update(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
    precondition: Precondition,
    Body(patch): Body<PatchMember>,
) -> Result<Reply<ChangedMember>, ApiError> {
    let patch = patch.check()?;
    let (mut change, before) = begin(&state, &admin, &id, &precondition).await?;
    let mut member = before.clone();
    if let Some(name) = patch.name {
        member.name = name;
    }
    if let Some(role) = patch.role {
        let rights = rights_of_choice(change.conn(), &member.account_id, &role).await?;
        admin.outranks(&rights)?;
        let (_, has_other_owner) = members::others(change.conn(), &member).await?;
        if member.role == OWNER && role != OWNER && !has_other_owner {
            return Err(last_owner());
        }
        member.role = role;
    }
    save(&mut change, &mut member).await?;
    let member = MemberView::of(member);
    let act = Act::change("update", &MemberView::of(before), &member)?;
    let propagated = false;
    let reply = Reply::ok(ChangedMember { member, propagated });
    state.commit(change, act, reply).await
}

/// Remove a member
///
/// The member's admin tokens end at once. The keys that they own stay, but the edges refuse them, within the lease time,
/// until they have another owner; the answer says how many. An account with members keeps an owner.
#[utoipa::path(
    delete, path = "/members/{id}", operation_id = "deleteMember", tag = "People",
    params(("id" = inline(MemberId), Path), IfMatch),
    responses((status = 200, description = "The member is gone.", body = RemovedMember), Conflict),
    security(("adminToken" = ["members.write"])),
)]
async fn remove(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
    precondition: Precondition,
) -> Result<Reply<RemovedMember>, ApiError> {
    let (mut change, mut member) = begin(&state, &admin, &id, &precondition).await?;
    let act = Act::delete(&MemberView::of(member.clone()))?;
    let (has_others, has_other_owner) = members::others(change.conn(), &member).await?;
    if member.role == OWNER && has_others && !has_other_owner {
        return Err(last_owner());
    }
    member.removed = true;
    member.invitation = None;
    save(&mut change, &mut member).await?;
    let now = change.now();
    admin_tokens::revoke_of_member(change.conn(), &id, now).await?;
    let refused_keys = members::keys(change.conn(), &id).await?;
    let propagated = false;
    let reply = Reply::ok(RemovedMember {
        refused_keys,
        propagated,
    });
    state.commit(change, act, reply).await
}

/// Begins a change of a member who is within reach, and has no more rights than the caller.
async fn begin(
    state: &AppState,
    admin: &Admin,
    id: &str,
    precondition: &Precondition,
) -> Result<(Change, Member), ApiError> {
    let mut change = state.change(admin).await?;
    let member = members::find(change.conn(), &admin.account, id)
        .await?
        .ok_or_else(|| ApiError::no("member", id))?;
    let rights = roles::rights(change.conn(), &member.account_id, &member.role).await?;
    admin.outranks(&rights.unwrap_or_default())?;
    precondition.check(member.version)?;
    Ok((change, member))
}

/// Writes a changed member as the next version and puts it on its way to the edges.
async fn save(change: &mut Change, member: &mut Member) -> Result<(), ApiError> {
    member.version = change.next_version();
    member.updated_at = change.now();
    members::update(change.conn(), member).await?;
    change.publish_member(member).await?;
    Ok(())
}

/// What a role that was chosen may do.
///
/// # Errors
/// [`ApiError::Validation`] when the account has no such role.
pub async fn rights_of_choice(
    conn: &mut Conn,
    account: &str,
    role: &str,
) -> Result<Rights, ApiError> {
    let rights = roles::rights(conn, account, role).await?;
    rights.ok_or_else(|| {
        let mut checks = Checks::default();
        checks.fail(
            "role",
            "must be owner, admin, developer, viewer or the id of a role of the same account",
        );
        checks.into_error()
    })
}

fn last_owner() -> ApiError {
    let detail = "The account has other members and would be left without an owner; make another member its owner first";
    ApiError::Conflict(detail.to_owned())
}
