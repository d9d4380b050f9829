//! Whose limits a key shares.

use crate::error::ApiError;
use crate::store::keys::KeySettings;
use crate::store::{Conn, identities};
use crate::validate::Checks;

/// A key's identity is one of its own account.
///
/// # Errors
/// [`ApiError::Validation`] for any other.
pub async fn check(conn: &mut Conn, account: &str, settings: &KeySettings) -> Result<(), ApiError> {
    let mut checks = Checks::default();
    if let Some(id) = &settings.identity_id
        && !identities::is_of(conn, account, id).await?
    {
        checks.fail("identityId", "must be an identity of the key's account");
    }
    checks.finish()
}
