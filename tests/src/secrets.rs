//! Fresh secrets for one world, so that a search for them afterwards can't find another run's.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use shared::secret::Secret;

use crate::random;

/// The secrets of a world, in the clear.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// Signs the tags in tokens.
    pub tag: String,
    /// Signs pushes and usage, `whsec_…`.
    pub push: String,
    /// Signs the assertion to upstreams.
    pub assertion: String,
    /// The first admin token.
    pub admin_token: String,
}

impl Secrets {
    /// Draws them.
    pub fn draw() -> Self {
        Self {
            tag: hex::encode(random::bytes::<32>()),
            push: format!("whsec_{}", STANDARD.encode(random::bytes::<24>())),
            assertion: hex::encode(random::bytes::<32>()),
            admin_token: format!("kwa_{}", random::letters(40)),
        }
    }

    /// The push secret, for signing.
    pub fn push_secret(&self) -> Secret {
        Secret::from_webhook(&self.push).expect("a drawn secret is well-formed")
    }

    /// Each by its name, to search for.
    pub fn all(&self) -> [(&'static str, &str); 4] {
        [
            ("tag secret", &self.tag),
            ("push secret", &self.push),
            ("assertion secret", &self.assertion),
            ("admin token", &self.admin_token),
        ]
    }
}
