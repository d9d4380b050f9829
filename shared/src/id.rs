//! Ids: a prefix that names the kind, and base62 characters from the system's CSPRNG.

use crate::{account, base62};

/// An account's id, `acc_` and 8 characters: its suffix is the locator in its keys' tokens.
pub fn account(entropy: &[u8; 32]) -> String {
    account::id_from_locator(&base62::from_entropy(entropy, account::LOCATOR))
}

/// A key's id, `key_` and 20 characters.
pub fn key(entropy: &[u8; 32]) -> String {
    format!("key_{}", base62::from_entropy(entropy, 20))
}

/// An API's id, `api_` and 16 characters.
pub fn api(entropy: &[u8; 32]) -> String {
    format!("api_{}", base62::from_entropy(entropy, 16))
}

/// A member's id, `mem_` and 20 characters.
pub fn member(entropy: &[u8; 32]) -> String {
    format!("mem_{}", base62::from_entropy(entropy, 20))
}

/// The id of a role of an account's own, `role_` and 16 characters.
pub fn role(entropy: &[u8; 32]) -> String {
    format!("role_{}", base62::from_entropy(entropy, 16))
}

/// An admin token's id, `tok_` and 20 characters: a name for it, not the token.
pub fn admin_token(entropy: &[u8; 32]) -> String {
    format!("tok_{}", base62::from_entropy(entropy, 20))
}

/// An audit entry's id, `aud_` and 20 characters.
pub fn audit(entropy: &[u8; 32]) -> String {
    format!("aud_{}", base62::from_entropy(entropy, 20))
}

/// An import's id, `imp_` and 16 characters.
pub fn import(entropy: &[u8; 32]) -> String {
    format!("imp_{}", base62::from_entropy(entropy, 16))
}

/// A request's id, `req_` and 20 characters.
pub fn request(entropy: &[u8; 32]) -> String {
    format!("req_{}", base62::from_entropy(entropy, 20))
}

/// The id of an environment of an account's own, `env_` and 16 characters.
pub fn environment(entropy: &[u8; 32]) -> String {
    format!("env_{}", base62::from_entropy(entropy, 16))
}

/// An identity's id, `idn_` and 16 characters.
pub fn identity(entropy: &[u8; 32]) -> String {
    format!("idn_{}", base62::from_entropy(entropy, 16))
}
