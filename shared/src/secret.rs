//! Secret values: never printed, compared in constant time, wiped when dropped.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::base64;

/// Bytes that must not be seen: a tag secret or a push secret.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

/// Why a configured secret can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Too short to be a secret.
    #[error("a secret needs at least 16 bytes")]
    TooShort,
    /// Not `whsec_` followed by base64.
    #[error("a push secret is written whsec_ followed by base64")]
    NotWebhookSecret,
}

impl Secret {
    /// The fewest bytes a secret may have.
    pub const MIN_BYTES: usize = 16;

    /// A secret given as text, its UTF-8 bytes being the secret.
    pub fn from_text(text: &str) -> Result<Self, SecretError> {
        Self::from_bytes(text.trim().as_bytes().to_vec())
    }

    /// A Standard Webhooks secret: `whsec_` and the base64 of its bytes.
    pub fn from_webhook(text: &str) -> Result<Self, SecretError> {
        let encoded = text
            .trim()
            .strip_prefix("whsec_")
            .ok_or(SecretError::NotWebhookSecret)?;
        let bytes = base64::decode(encoded).ok_or(SecretError::NotWebhookSecret)?;
        Self::from_bytes(bytes)
    }

    fn from_bytes(bytes: Vec<u8>) -> Result<Self, SecretError> {
        let bytes = Zeroizing::new(bytes);
        if bytes.len() < Self::MIN_BYTES {
            return Err(SecretError::TooShort);
        }
        Ok(Self(bytes))
    }

    /// The bytes, for a keyed hash.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// Whether two byte strings are equal, in time that depends on their lengths only.
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_does_not_show_the_secret() {
        let secret = Secret::from_text("correct horse battery staple").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(redacted)");
    }

    #[test]
    fn short_or_badly_written_secrets_are_refused() {
        assert_eq!(
            Secret::from_text("short").unwrap_err(),
            SecretError::TooShort
        );
        assert_eq!(
            Secret::from_webhook("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap_err(),
            SecretError::NotWebhookSecret
        );
        assert!(Secret::from_webhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_ok());
    }
}
