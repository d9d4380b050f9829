//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a POST that is repeated with the same key within 24 hours
//! is not carried out again, but gets the first one's answer.
//!
//! The answer is kept in the transaction of the change, so there is never one without the other. It may hold a new token,
//! which must not be found in the database: it is encrypted with AES-256-GCM under a key that HKDF derives from the caller's
//! admin token and the `Idempotency-Key`. Neither is stored, and the row's id is derived from them as well.
//! Calls that fail keep nothing and may be repeated.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::anyhow;
use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{self, HKDF_SHA256, KeyType, Prk};
use axum::body::{self, Body};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use shared::Millis;
use zeroize::Zeroizing;

use crate::admin_token::AdminToken;
use crate::auth::{self, Admin};
use crate::error::ApiError;
use crate::http::body::{MAX_ADMIN_BODY, is_json};
use crate::http::precondition::etag;
use crate::state::AppState;
use crate::store::idempotency::{self as rows, Kept};
use crate::store::{Change, Store};

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
/// Tells that an answer is a repetition.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// The longest key, in bytes.
pub const MAX_KEY: usize = 255;
/// How long an answer is kept, in milliseconds.
const KEPT_FOR: Millis = 24 * 60 * 60 * 1000;
/// Separates these derivations from any other use of the same secrets.
const SALT: &[u8] = b"keyward idempotent answers 1";
const NONCE: usize = 12;
const HASH: usize = 32;

/// The right to keep one call's answer.
pub struct Ticket {
    /// The row's id.
    id: String,
    /// SHA-256 of the request.
    fingerprint: String,
    key: RandomizedNonceKey,
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The length that is asked of HKDF.
struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        HASH
    }
}

fn derive(secret: &Prk, purpose: &[u8]) -> anyhow::Result<Zeroizing<[u8; HASH]>> {
    let mut bytes = Zeroizing::new([0; HASH]);
    let purpose = [purpose];
    let derived = secret.expand(&purpose, Length);
    derived
        .and_then(|okm| okm.fill(bytes.as_mut_slice()))
        .map_err(|_| anyhow!("no key could be derived"))?;
    Ok(bytes)
}

impl Ticket {
    fn new(token: &AdminToken, key: &str, fingerprint: String) -> anyhow::Result<Self> {
        // A token's length is fixed, so where the key begins is not in question.
        let secret = Zeroizing::new([token.expose().as_bytes(), key.as_bytes()].concat());
        let secret = hkdf::Salt::new(HKDF_SHA256, SALT).extract(&secret);
        let key = RandomizedNonceKey::new(&AES_256_GCM, &*derive(&secret, b"answer")?)
            .map_err(|_| anyhow!("the derived key was refused"))?;
        Ok(Self {
            id: hex::encode(*derive(&secret, b"id")?),
            fingerprint,
            key,
        })
    }

    /// What the answer is bound to: it opens for no other row or request.
    fn bound_to(&self) -> Aad<String> {
        Aad::from(format!("{} {}", self.id, self.fingerprint))
    }

    fn seal(&self, body: &[u8]) -> anyhow::Result<String> {
        let mut bytes = Zeroizing::new(body.to_vec());
        let nonce = self
            .key
            .seal_in_place_append_tag(self.bound_to(), &mut *bytes)
            .map_err(|_| anyhow!("an answer could not be encrypted"))?;
        Ok(STANDARD.encode([nonce.as_ref().as_slice(), &bytes].concat()))
    }

    fn open(&self, sealed: &str) -> anyhow::Result<Vec<u8>> {
        let broken = || anyhow!("a kept answer can't be decrypted");
        let mut bytes = STANDARD.decode(sealed).map_err(|_| broken())?;
        let (nonce, sealed) = bytes.split_at_mut_checked(NONCE).ok_or_else(broken)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| broken())?;
        let body = self.key.open_in_place(nonce, self.bound_to(), sealed);
        Ok(body.map_err(|_| broken())?.to_vec())
    }

    /// Keeps the answer, in the change that it tells of.
    ///
    /// # Errors
    /// [`ApiError::InProgress`] when another server has answered the same call meanwhile: nothing may be committed then.
    pub async fn keep(
        &self,
        change: &mut Change,
        status: StatusCode,
        version: Option<u64>,
        body: &[u8],
    ) -> Result<(), ApiError> {
        let kept = Kept {
            fingerprint: self.fingerprint.clone(),
            status: status.as_u16(),
            version,
            sealed: self.seal(body)?,
        };
        let now = change.now();
        if rows::insert(change.conn(), &self.id, &kept, now, now + KEPT_FOR).await? {
            Ok(())
        } else {
            Err(ApiError::InProgress)
        }
    }

    /// Gives the kept answer its last form. If that fails, repetitions get the one before, which is true as well.
    pub async fn settle(&self, store: &Store, body: &[u8]) {
        let settled = async {
            let sealed = self.seal(body)?;
            let mut tx = store.write().await?;
            rows::replace(&mut tx, &self.id, &sealed).await?;
            anyhow::Ok(tx.commit().await?)
        };
        if let Err(error) = settled.await {
            tracing::warn!(
                error = format!("{error:#}"),
                "a kept answer was not brought up to date"
            );
        }
    }

    fn replay(&self, kept: &Kept) -> Result<Response, ApiError> {
        if kept.fingerprint != self.fingerprint {
            return Err(ApiError::KeyReused);
        }
        let body = self.open(&kept.sealed)?;
        let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
        if let Some(version) = kept.version {
            headers.insert(header::ETAG, etag(version));
        }
        Ok(response)
    }
}

/// The calls with an `Idempotency-Key` that this server has under way.
#[derive(Debug, Clone, Default)]
pub struct UnderWay(Arc<Mutex<HashSet<String>>>);

/// One of them, until it is dropped.
#[derive(Debug)]
struct Running {
    all: UnderWay,
    id: String,
}

impl UnderWay {
    fn begin(&self, id: &str) -> Option<Running> {
        let mut ids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ids.insert(id.to_owned()).then(|| Running {
            all: self.clone(),
            id: id.to_owned(),
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut ids = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        ids.remove(&self.id);
    }
}

/// Answers repetitions, and lets the first call of an `Idempotency-Key` keep its answer.
///
/// # Errors
/// 400 for a key that can't be one, 409 while the first call is under way, 422 for the key of another request.
pub async fn layer(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let headers = request.headers();
    // What is not JSON is streamed, and the answer to a stream is not kept.
    let is_streamed = headers.contains_key(header::CONTENT_TYPE) && !is_json(headers);
    let has_key = request.method() == Method::POST && headers.contains_key(HEADER);
    if !has_key || is_streamed {
        return Ok(next.run(request).await);
    }
    let (mut parts, body) = request.into_parts();
    // Who is no admin needs none here, and has no answers that are kept. A token that is not valid any more, or may not do this any
    // more, did not come so far: it gets nothing, kept answers included.
    let (Some(token), Some(mut admin)) = (auth::token(&parts), parts.extensions.remove::<Admin>())
    else {
        return Ok(next.run(Request::from_parts(parts, body)).await);
    };
    let key = key(&parts.headers)?;
    let body = body::to_bytes(body, MAX_ADMIN_BODY)
        .await
        .map_err(|_| ApiError::PayloadTooLarge(MAX_ADMIN_BODY))?;
    let path = parts.uri.path_and_query().map_or("/", |p| p.as_str());
    let mut hash = Sha256::new();
    for part in [
        parts.method.as_str().as_bytes(),
        b" ",
        path.as_bytes(),
        b"\n",
        &body,
    ] {
        hash.update(part);
    }
    let ticket = Ticket::new(&token, key, hex::encode(hash.finalize()))?;

    let running = state.under_way().begin(&ticket.id);
    let _running = running.ok_or(ApiError::InProgress)?;
    let mut conn = state.store().read().await?;
    let kept = rows::find(&mut conn, &ticket.id, state.now()).await?;
    drop(conn);
    if let Some(kept) = kept {
        return ticket.replay(&kept);
    }
    admin.caller.ticket = Some(Arc::new(ticket));
    parts.extensions.insert(admin);
    Ok(next.run(Request::from_parts(parts, Body::from(body))).await)
}

fn key(headers: &HeaderMap) -> Result<&str, ApiError> {
    let mut values = headers.get_all(HEADER).iter();
    let value = match (values.next(), values.next()) {
        (Some(value), None) => value.as_bytes(),
        _ => &[],
    };
    let is_key = (1..=MAX_KEY).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic);
    let text = std::str::from_utf8(value).ok().filter(|_| is_key);
    text.ok_or_else(|| {
        ApiError::BadRequest(format!(
            "An Idempotency-Key is one header of 1 to {MAX_KEY} visible ASCII characters without spaces"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(token: &AdminToken, key: &str, request: &str) -> Ticket {
        Ticket::new(token, key, request.to_owned()).unwrap()
    }

    #[test]
    fn an_answer_opens_only_with_the_same_token_key_and_request() {
        let token = AdminToken::mint().unwrap();
        let sealed = ticket(&token, "a", "r").seal(b"secret").unwrap();
        assert_eq!(ticket(&token, "a", "r").open(&sealed).unwrap(), b"secret");
        for other in [
            ticket(&AdminToken::mint().unwrap(), "a", "r"),
            ticket(&token, "b", "r"),
            ticket(&token, "a", "s"),
        ] {
            assert!(other.open(&sealed).is_err());
        }
        assert!(ticket(&token, "a", "r").open("AAAA").is_err());
    }

    #[test]
    fn nothing_is_encrypted_the_same_way_twice_and_ids_tell_callers_apart() {
        let token = AdminToken::mint().unwrap();
        let one = ticket(&token, "a", "r");
        assert_ne!(one.seal(b"x").unwrap(), one.seal(b"x").unwrap());
        assert_eq!(one.id, ticket(&token, "a", "other").id);
        assert_ne!(one.id, ticket(&token, "b", "r").id);
        assert_ne!(one.id, ticket(&AdminToken::mint().unwrap(), "a", "r").id);
    }

    #[test]
    fn a_call_is_under_way_once() {
        let calls = UnderWay::default();
        let first = calls.begin("a");
        assert!(first.is_some() && calls.begin("a").is_none() && calls.begin("b").is_some());
        drop(first);
        assert!(calls.begin("a").is_some());
    }
}
