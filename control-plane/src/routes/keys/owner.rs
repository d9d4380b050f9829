//! Whom a key belongs to, and what it may do for that reason.

use shared::permission::allows;

use crate::auth::Admin;
use crate::error::ApiError;
use crate::store::keys::KeySettings;
use crate::store::{Conn, members, roles};
use crate::validate::Checks;

/// A key's owner is a member of its own account, and the owner's role and the caller's allow what it may do. What was so
/// before is let be: a role may have shrunk since, and the edges follow the role in any case.
///
/// # Errors
/// [`ApiError::Forbidden`] for what the caller may not give, [`ApiError::Validation`] for the rest.
pub async fn check(
    conn: &mut Conn,
    admin: &Admin,
    account: &str,
    settings: &KeySettings,
    before: Option<&KeySettings>,
) -> Result<(), ApiError> {
    let is_as_before = |before: &KeySettings| {
        before.owner_id == settings.owner_id && before.permissions == settings.permissions
    };
    if before.is_some_and(is_as_before) {
        return Ok(());
    }
    admin.may_give_keys(&settings.permissions)?;
    let Some(owner) = &settings.owner_id else {
        return Ok(());
    };
    let mut checks = Checks::default();
    match members::of_account(conn, account, owner).await? {
        None => checks.fail("ownerId", "must be a member of the key's account"),
        Some(member) => {
            let rights = roles::rights(conn, account, &member.role).await?;
            let bound = rights.unwrap_or_default().api;
            for permission in settings.permissions.iter().filter(|p| !allows(&bound, p)) {
                let detail = format!("the role of the key's owner does not allow {permission}");
                checks.fail("permissions", detail);
            }
        }
    }
    checks.finish()
}
