//! What admins show: admin tokens, `kwa_` and 40 base62 characters, and invitations, `kwi_` and as many. Only their
//! SHA-256 is kept.

use std::fmt;

use sha2::{Digest, Sha256};
use shared::base62;
use zeroize::Zeroizing;

use crate::entropy;

const RANDOM: usize = 40;

macro_rules! token {
    ($(#[doc = $doc:literal])+ $name:ident, $prefix:literal, $error:ident, $wrong:literal) => {
        $(#[doc = $doc])+
        #[derive(Clone)]
        pub struct $name(Zeroizing<String>);

        #[doc = concat!("Why a text is no [`", stringify!($name), "`]. Does not repeat the text.")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
        #[error($wrong)]
        pub struct $error;

        impl $name {
            /// A fresh one.
            ///
            /// # Errors
            /// When the system has no randomness.
            pub fn mint() -> anyhow::Result<Self> {
                mint($prefix).map(Self)
            }

            /// Reads one.
            ///
            /// # Errors
            /// For any other form.
            pub fn parse(text: &str) -> Result<Self, $error> {
                let random = text.strip_prefix($prefix).ok_or($error)?;
                if random.len() != RANDOM || !base62::is_base62(random) {
                    return Err($error);
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
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(redacted)"))
            }
        }
    };
}

token! {
    /// An admin token in the clear: never logged, wiped when dropped.
    AdminToken, "kwa_", AdminTokenError,
    "an admin token is kwa_ followed by 40 letters and digits"
}

token! {
    /// An invitation in the clear: never logged, wiped when dropped.
    InvitationToken, "kwi_", InvitationTokenError,
    "an invitation is kwi_ followed by 40 letters and digits"
}

fn mint(prefix: &str) -> anyhow::Result<Zeroizing<String>> {
    // 40 characters hold 238 bits: twice 32 bytes leave no bias worth speaking of.
    let bytes = Zeroizing::new([*entropy::draw()?, *entropy::draw()?].concat());
    let text = Zeroizing::new(base62::from_entropy(&bytes, RANDOM));
    Ok(Zeroizing::new(format!("{prefix}{}", *text)))
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
    fn an_invitation_is_no_admin_token() {
        let invitation = InvitationToken::mint().unwrap();
        assert_eq!(format!("{invitation:?}"), "InvitationToken(redacted)");
        assert_eq!(
            InvitationToken::parse(invitation.expose()).unwrap().hash(),
            invitation.hash()
        );
        assert!(AdminToken::parse(invitation.expose()).is_err());
    }

    #[test]
    fn other_forms_are_refused() {
        let long = format!("kwa_{}", "a".repeat(41));
        for text in ["", "kwa_", "kwa_short", &long, &"a".repeat(44)] {
            assert!(AdminToken::parse(text).is_err(), "{text}");
        }
    }
}
