//! GitHub's secret scanning partner program: the signature of its reports, and the keys to check it with.
//!
//! A report is signed with ECDSA on P-256 over the SHA-256 of its raw body; header fields name the key and carry the
//! signature, DER in base64. The public keys are published as JSON: `{"public_keys": [{"key_identifier", "key", …}]}`.

use std::time::Duration;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{DerSignature, VerifyingKey};
use p256::pkcs8::DecodePublicKey;
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use serde::Deserialize;
use shared::Millis;
use tokio::sync::Mutex;

/// Names the key.
pub const KEY_HEADER: &str = "github-public-key-identifier";
/// Carries the signature.
pub const SIGNATURE_HEADER: &str = "github-public-key-signature";
/// Where GitHub publishes the keys.
pub const KEYS_URL: &str = "https://api.github.com/meta/public_keys/secret_scanning";

const TIMEOUT: Duration = Duration::from_secs(5);
/// The most that is read of the list of keys, in bytes.
const MAX_LIST: usize = 64 * 1024;
/// How long a list of keys is used, in milliseconds.
const FRESH: Millis = 3_600_000;
/// An unknown key has the list fetched again, at most this often, in milliseconds.
const RETRY: Millis = 60_000;

/// Why a report is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Unverified {
    /// The header fields are missing or can't be read.
    #[error("the report is not signed")]
    Unsigned,
    /// No such key is published.
    #[error("the report is signed with a key that is not published")]
    UnknownKey,
    /// The signature is not of this key and body.
    #[error("the report's signature does not match")]
    Mismatch,
    /// The keys can't be had at the moment.
    #[error("the keys can't be fetched")]
    Unreachable(#[source] anyhow::Error),
}

/// The published keys, fetched when needed.
#[derive(Debug)]
pub struct Keys {
    http: Client,
    url: Url,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    keys: Vec<(String, VerifyingKey)>,
    fetched_at: Option<Millis>,
}

#[derive(Deserialize)]
struct List {
    public_keys: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    key_identifier: String,
    key: String,
}

impl Keys {
    /// The keys that are published at a URL.
    ///
    /// # Errors
    /// When TLS can't be set up.
    pub fn at(url: Url) -> anyhow::Result<Self> {
        let http = Client::builder()
            .timeout(TIMEOUT)
            .redirect(Policy::none())
            .user_agent(concat!("keyward/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("no HTTP client can be made")?;
        Ok(Self {
            http,
            url,
            known: Mutex::default(),
        })
    }

    /// Checks a report.
    ///
    /// # Errors
    /// [`Unverified`].
    pub async fn verify(
        &self,
        key_id: Option<&str>,
        signature: Option<&str>,
        body: &[u8],
        now: Millis,
    ) -> Result<(), Unverified> {
        let (Some(key_id), Some(signature)) = (key_id, signature) else {
            return Err(Unverified::Unsigned);
        };
        let signature = STANDARD
            .decode(signature)
            .map_err(|_| Unverified::Unsigned)?;
        let signature = DerSignature::from_bytes(&signature).map_err(|_| Unverified::Unsigned)?;
        let key = self.key(key_id, now).await?;
        key.verify(body, &signature)
            .map_err(|_| Unverified::Mismatch)
    }

    async fn key(&self, id: &str, now: Millis) -> Result<VerifyingKey, Unverified> {
        let mut known = self.known.lock().await;
        let find = |known: &Known| {
            let found = known.keys.iter().find(|(known, _)| known == id);
            found.map(|(_, key)| *key)
        };
        let age = known.fetched_at.map(|at| now.saturating_sub(at));
        let found = find(&known);
        let fetch = match age {
            None => true,
            Some(age) => age >= if found.is_some() { FRESH } else { RETRY },
        };
        if !fetch {
            return found.ok_or(Unverified::UnknownKey);
        }
        // A failure counts as a fetch: a flood of reports must not become one of fetches.
        known.fetched_at = Some(now);
        match self.fetch().await {
            Ok(keys) => known.keys = keys,
            // Keys change rarely: those at hand serve on.
            Err(error) if found.is_none() => return Err(Unverified::Unreachable(error)),
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "GitHub's keys can't be fetched"
                );
            }
        }
        find(&known).ok_or(Unverified::UnknownKey)
    }

    async fn fetch(&self) -> anyhow::Result<Vec<(String, VerifyingKey)>> {
        let request = self.http.get(self.url.clone());
        let mut response = request.send().await?.error_for_status()?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            anyhow::ensure!(body.len() + chunk.len() <= MAX_LIST, "the list is too long");
            body.extend_from_slice(&chunk);
        }
        let list: List = serde_json::from_slice(&body).context("the list can't be read")?;
        let mut keys = Vec::new();
        for listed in list.public_keys {
            // One key of another kind must not hide the others.
            if let Ok(key) = VerifyingKey::from_public_key_pem(&listed.key) {
                keys.push((listed.key_identifier, key));
            }
        }
        Ok(keys)
    }
}
