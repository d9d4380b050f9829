//! Invitations: a one-time token makes whoever has it the member, with a first admin token.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use shared::Millis;
use utoipa::ToSchema;

use super::view::{InvitationText, InvitedMember};
use super::{MemberView, begin, save};
use crate::admin_token::{AdminToken, InvitationToken};
use crate::audit::{Act, Actor, Caller};
use crate::auth::Admin;
use crate::entropy;
use crate::error::ApiError;
use crate::http::body::{Body, Changed, OptionalBody, Reply};
use crate::http::client::Client;
use crate::http::params::Id;
use crate::http::precondition::Precondition;
use crate::http::shown_once::ShownOnce;
use crate::openapi::answers::{Conflict, NotFound};
use crate::openapi::names::{AdminTokenText, IdempotencyKey, IfMatch, MemberId};
use crate::routes::admin_tokens::TokenView;
use crate::routes::keys::Nothing;
use crate::state::AppState;
use crate::store::admin_tokens::{self, TokenRow};
use crate::store::members::{self, Invitation};
use crate::validate::Checks;

/// Seven days, in milliseconds.
const LIFETIME: Millis = 7 * 24 * 60 * 60 * 1000;

/// An invitation to be accepted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AcceptInvitation {
    #[schema(value_type = InvitationText)]
    token: String,
}

/// A member with their first admin token: no other answer ever holds it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AcceptedInvitation {
    #[schema(value_type = AdminTokenText)]
    token: ShownOnce,
    admin_token: TokenView,
    member: MemberView,
    /// Whether every edge has it.
    propagated: bool,
}

impl Changed for AcceptedInvitation {
    fn version(&self) -> Option<u64> {
        None
    }

    fn set_propagated(&mut self, propagated: bool) {
        self.propagated = propagated;
    }
}

/// A fresh invitation.
///
/// # Errors
/// When the system has no randomness.
pub fn fresh(now: Millis) -> anyhow::Result<(Invitation, InvitationToken)> {
    let token = InvitationToken::mint()?;
    let invitation = Invitation {
        hash: token.hash(),
        expires_at: now + LIFETIME,
    };
    Ok((invitation, token))
}

/// Renew an invitation
///
/// The one before is worth nothing from now on. The answer holds the new one, which is shown this once.
#[utoipa::path(
    post, path = "/members/{id}/invitation", operation_id = "renewInvitation", tag = "People",
    params(("id" = inline(MemberId), Path), IfMatch, IdempotencyKey),
    request_body(content = Option<Nothing>, example = json!({})),
    responses((status = 200, description = "The member is invited anew.", body = InvitedMember), Conflict),
    security(("adminToken" = ["members.write"])),
)]
pub async fn renew(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
    precondition: Precondition,
    OptionalBody(Nothing {}): OptionalBody<Nothing>,
) -> Result<Reply<InvitedMember>, ApiError> {
    let (mut change, before) = begin(&state, &admin, &id, &precondition).await?;
    let mut member = before.clone();
    if member.active {
        let detail = "The member has accepted an invitation; make an admin token for them instead";
        return Err(ApiError::Conflict(detail.to_owned()));
    }
    let (invitation, token) = fresh(change.now())?;
    member.invitation = Some(invitation);
    save(&mut change, &mut member).await?;
    let member = MemberView::of(member);
    let act = Act::change("invite", &MemberView::of(before), &member)?;
    let reply = Reply::ok(InvitedMember::of(member, &token));
    state.commit(change, act, reply).await
}

/// Accept an invitation
///
/// Needs no admin token: the invitation is the proof. It can be used once. The answer holds the member's first admin
/// token, which is shown this once.
#[utoipa::path(
    post, path = "/invitations/accept", operation_id = "acceptInvitation", tag = "People",
    request_body(content = AcceptInvitation, example = json!({"token": "kwi_shownThisOnceOnlyAndNeverAgainAnywhere00"})),
    responses((status = 201, description = "The member is active.", body = AcceptedInvitation), NotFound),
    security(()),
)]
pub async fn accept(
    State(state): State<AppState>,
    client: Client,
    Body(input): Body<AcceptInvitation>,
) -> Result<Reply<AcceptedInvitation>, ApiError> {
    let mut checks = Checks::default();
    let invitation = checks.accept("token", InvitationToken::parse(&input.token));
    checks.finish()?;
    let unknown = || {
        let detail =
            "There is no such invitation: it was used, renewed or withdrawn, or its time is over";
        ApiError::NotFound(detail.to_owned())
    };
    let hash = invitation.map(|i| i.hash()).ok_or_else(unknown)?;
    let mut change = state.change_by(Caller::new(Actor::Holder, client)).await?;
    let now = change.now();
    let mut member = members::invited(change.conn(), &hash, now)
        .await?
        .ok_or_else(unknown)?;
    let before = MemberView::of(member.clone());
    member.active = true;
    member.invitation = None;
    save(&mut change, &mut member).await?;
    let token = AdminToken::mint()?;
    let row = TokenRow {
        id: shared::id::admin_token(&*entropy::draw()?),
        account_id: member.account_id.clone(),
        name: "First token".to_owned(),
        member_id: Some(member.id.clone()),
        role: member.role.clone(),
        scope: None,
        created_by: None,
        created_at: now,
        last_used_at: None,
        expires_at: None,
    };
    admin_tokens::insert(change.conn(), &token, &row).await?;
    let member = MemberView::of(member);
    let act = Act::change("accept", &before, &member)?;
    let reply = Reply::created(AcceptedInvitation {
        token: ShownOnce::new(token.expose()),
        admin_token: TokenView::of(row),
        member,
        propagated: false,
    });
    state.commit(change, act, reply).await
}
