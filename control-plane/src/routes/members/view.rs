//! Members, as shown.

use serde::Serialize;
use utoipa::ToSchema;

use super::input::Email;
use crate::admin_token::InvitationToken;
use crate::audit::{Audited, Target};
use crate::http::body::Changed;
use crate::http::shown_once::ShownOnce;
use crate::openapi::names::{AccountId, MemberId, Name, RoleId, Version};
use crate::openapi::schema::schema;
use crate::store::members::Member;
use crate::timestamp::Timestamp;

schema! {
    /// Whether the invitation was accepted.
    Membership = word(&[("invited", ()), ("active", ())]);
    /// The invitation's token. It is shown this once.
    pub InvitationText = form("^kwi_[0-9A-Za-z]{40}$").examples(["kwi_shownThisOnceOnlyAndNeverAgainAnywhere00"]);
    /// Keys that the member owns.
    KeyCount = count().examples([3]);
}

/// A member of an account.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Member)]
#[serde(rename_all = "camelCase")]
pub struct MemberView {
    #[schema(value_type = MemberId)]
    id: String,
    #[schema(value_type = AccountId)]
    account_id: String,
    #[schema(value_type = Email)]
    email: String,
    #[schema(value_type = Name)]
    name: String,
    #[schema(value_type = RoleId)]
    role: String,
    #[schema(value_type = Membership)]
    status: &'static str,
    /// When the invitation under way ends; `null`: there is none.
    #[schema(required)]
    invitation_expires_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[schema(value_type = Version)]
    version: u64,
}

impl MemberView {
    /// The view of a member.
    pub fn of(member: Member) -> Self {
        Self {
            status: member.status(),
            invitation_expires_at: member.invitation.map(|i| Timestamp(i.expires_at)),
            id: member.id,
            account_id: member.account_id,
            email: member.email,
            name: member.name,
            role: member.role,
            created_at: Timestamp(member.created_at),
            updated_at: Timestamp(member.updated_at),
            version: member.version,
        }
    }
}

impl Audited for MemberView {
    fn target(&self) -> Target {
        Target {
            kind: "member",
            id: self.id.clone(),
            name: self.name.clone(),
            account: self.account_id.clone(),
        }
    }
}

/// A member after a change.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChangedMember {
    /// The member after it.
    pub member: MemberView,
    /// Whether every edge has it.
    pub propagated: bool,
}

/// A member with their invitation: no other answer ever holds it.
#[derive(Debug, Serialize, ToSchema)]
pub struct InvitedMember {
    member: MemberView,
    #[schema(value_type = InvitationText)]
    invitation: ShownOnce,
    /// Whether every edge has it.
    propagated: bool,
}

impl InvitedMember {
    /// The answer to an invitation.
    pub fn of(member: MemberView, invitation: &InvitationToken) -> Self {
        Self {
            member,
            invitation: ShownOnce::new(invitation.expose()),
            propagated: false,
        }
    }
}

impl Changed for ChangedMember {
    fn version(&self) -> Option<u64> {
        Some(self.member.version)
    }

    fn set_propagated(&mut self, propagated: bool) {
        self.propagated = propagated;
    }
}

impl Changed for InvitedMember {
    fn version(&self) -> Option<u64> {
        Some(self.member.version)
    }

    fn set_propagated(&mut self, propagated: bool) {
        self.propagated = propagated;
    }
}

impl Changed for RemovedMember {
    fn version(&self) -> Option<u64> {
        None
    }

    fn set_propagated(&mut self, propagated: bool) {
        self.propagated = propagated;
    }
}

/// The answer to a removal.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemovedMember {
    /// How many keys the member owned: they stay, and the edges refuse them until they have another owner.
    #[schema(value_type = KeyCount)]
    pub refused_keys: u64,
    /// Whether every edge has it.
    pub propagated: bool,
}
