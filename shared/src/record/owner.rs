//! Who owns keys, and what bounds them: members and their roles. They are records of their own, so that a changed role
//! bounds all keys of all its members by one push.

use serde::Serialize;

use crate::permission::Permission;
use crate::wire;

/// A member of an account, as the edge knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberRecord {
    /// `mem_…`
    pub id: String,
    /// Grows by every change.
    pub version: u64,
    /// The account it is a member of.
    pub account: String,
    /// The accounts above that one, root first.
    pub ancestors: Vec<String>,
    /// A built-in role's name, or the id of one of the account's own: `role_…`.
    pub role: String,
    /// Whether it is one no longer; the record is its tombstone.
    pub removed: bool,
}

wire!(MemberRecord {
    id: "id",
    version: "version",
    account: "account",
    ancestors: "ancestors" or Vec::new(),
    role: "role",
    removed: "removed" or false,
});

/// A role of an account's own, as the edge knows it: what it may do at APIs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleRecord {
    /// `role_…`
    pub id: String,
    /// Grows by every change.
    pub version: u64,
    /// The account whose role it is.
    pub account: String,
    /// The accounts above that one, root first.
    pub ancestors: Vec<String>,
    /// What its members' keys may do at most.
    pub permissions: Vec<Permission>,
    /// Whether it is gone; the record is its tombstone, and allows nothing.
    pub deleted: bool,
}

wire!(RoleRecord {
    id: "id",
    version: "version",
    account: "account",
    ancestors: "ancestors" or Vec::new(),
    permissions: "permissions" or Vec::new(),
    deleted: "deleted" or false,
});

/// What a built-in role allows its members' keys; `None` for the id of a role of an account's own, and for any other
/// name.
pub fn built_in_role(name: &str) -> Option<Vec<Permission>> {
    match name {
        "owner" | "admin" | "developer" => Some(vec![Permission::everything()]),
        "viewer" => Some(Vec::new()),
        _ => None,
    }
}
