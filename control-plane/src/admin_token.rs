//! Admin tokens: `kwa_` and 40 base62 characters. Only their SHA-256 is kept.

use std::fmt;

use sha2::{Digest, Sha256};
use shared::base62;
use zeroize::Zeroizing;

use crate::entropy;

const PREFIX: &str = "kwa_";
const RANDOM: usize = 40;

/// An admin token in the clear: never logged, wiped when dropped.
#[derive(Clone)]
pub struct AdminToken(Zeroizing<String>);

/// Why a text is no admin token. Does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an admin token is kwa_ followed by 40 letters and digits")]
pub struct AdminTokenError;

impl AdminToken {
    /// A fresh token.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn mint() -> anyhow::Result<Self> {
        // 40 characters hold 238 bits: twice 32 bytes leave no bias worth speaking of.
        let bytes = Zeroizing::new([*entropy::draw()?, *entropy::draw()?].concat());
        let text = Zeroizing::new(base62::from_entropy(&bytes, RANDOM));
        Ok(Self(Zeroizing::new(format!("{PREFIX}{}", *text))))
    }

    /// Reads a token.
    ///
    /// # Errors
    /// [`AdminTokenError`] for any other form.
    pub fn parse(text: &str) -> Result<Self, AdminTokenError> {
        let random = text.strip_prefix(PREFIX).ok_or(AdminTokenError)?;
        if random.len() != RANDOM || !base62::is_base62(random) {
            return Err(AdminTokenError);
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// The token itself, to be shown once.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Its SHA-256 in hex, the only form that is stored.
    pub fn hash(&self) -> String {
        hex::encode(Sha256::digest(self.0.as_bytes()))
    }

    /// Its id, `tok_` and the first 20 digits of its hash.
    pub fn id(&self) -> String {
        let mut id = self.hash();
        id.truncate(20);
        format!("tok_{id}")
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_token_reads_back_and_is_never_shown_by_debug() {
        let token = AdminToken::mint().unwrap();
        let again = AdminToken::parse(token.expose()).unwrap();
        assert_eq!(token.hash(), again.hash());
        assert_ne!(token.hash(), AdminToken::mint().unwrap().hash());
        assert_eq!(format!("{token:?}"), "AdminToken(redacted)");
    }

    #[test]
    fn other_forms_are_refused() {
        let long = format!("kwa_{}", "a".repeat(41));
        for text in ["", "kwa_", "kwa_short", &long, &"a".repeat(44)] {
            assert!(AdminToken::parse(text).is_err(), "{text}");
        }
    }
}
