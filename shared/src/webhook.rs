//! Standard Webhooks 1.0 (symmetric, `v1`): how pushes and usage batches are signed.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::base64;
use crate::secret::{Secret, constant_time_eq};
use crate::text;

/// The message's id.
pub const ID_HEADER: &str = "webhook-id";
/// When it was sent: seconds since the Unix epoch.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// Its signatures, separated by spaces.
pub const SIGNATURE_HEADER: &str = "webhook-signature";
/// How far a timestamp may be from now, in seconds.
pub const TOLERANCE_SECONDS: u64 = 300;
/// The longest id, in bytes.
pub const MAX_ID: usize = 128;

/// The three headers of a signed message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedHeaders<'a> {
    /// `webhook-id`.
    pub id: Option<&'a str>,
    /// `webhook-timestamp`.
    pub timestamp: Option<&'a str>,
    /// `webhook-signature`.
    pub signature: Option<&'a str>,
}

/// Why a message is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookError {
    /// One of the headers is missing or can't be read.
    Headers,
    /// The timestamp is too far from now.
    Timestamp,
    /// No signature fits.
    Signature,
}

impl WebhookError {
    /// What is wrong, for people.
    pub fn message(self) -> &'static str {
        match self {
            Self::Headers => {
                "the headers webhook-id, webhook-timestamp and webhook-signature are needed"
            }
            Self::Timestamp => "the timestamp is more than 5 minutes from now",
            Self::Signature => "the signature does not match",
        }
    }
}

impl std::fmt::Display for WebhookError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for WebhookError {}

/// The value of `webhook-signature` for a message.
pub fn sign(secret: &Secret, id: &str, timestamp: u64, body: &[u8]) -> String {
    let mac = mac(secret, id, itoa::Buffer::new().format(timestamp), body);
    text::join(&["v1,", &base64::encode(&mac)], "")
}

/// Accepts a message signed with `secret` within [`TOLERANCE_SECONDS`] of `now` (seconds since the epoch).
/// Gives the message's id and timestamp, the pair by which a replay is known.
///
/// # Errors
/// [`WebhookError`]; nothing of the body is to be believed then.
pub fn verify(
    secret: &Secret,
    headers: SignedHeaders<'_>,
    body: &[u8],
    now: u64,
) -> Result<String, WebhookError> {
    let (Some(id), Some(timestamp), Some(signatures)) =
        (headers.id, headers.timestamp, headers.signature)
    else {
        return Err(WebhookError::Headers);
    };
    let id_fits = (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
    let sent: u64 = timestamp.parse().map_err(|_| WebhookError::Headers)?;
    if !id_fits {
        return Err(WebhookError::Headers);
    }
    if sent.abs_diff(now) > TOLERANCE_SECONDS {
        return Err(WebhookError::Timestamp);
    }
    let expected = mac(secret, id, timestamp, body);
    let fits = signatures
        .split(' ')
        .take(8)
        .filter_map(|s| s.strip_prefix("v1,"))
        .filter_map(base64::decode)
        .any(|given| constant_time_eq(&given, &expected));
    if fits {
        Ok(format!("{id}.{sent}"))
    } else {
        Err(WebhookError::Signature)
    }
}

fn mac(secret: &Secret, id: &str, timestamp: &str, body: &[u8]) -> Vec<u8> {
    // HMAC takes keys of any length (RFC 2104), so this cannot fail.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose()) else {
        return Vec::new();
    };
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const AT: u64 = 1_614_265_330;

    fn secret() -> Secret {
        Secret::from_webhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()
    }

    fn headers<'a>(timestamp: &'a str, signature: &'a str) -> SignedHeaders<'a> {
        SignedHeaders {
            id: Some(ID),
            timestamp: Some(timestamp),
            signature: Some(signature),
        }
    }

    /// The test vector of the Standard Webhooks reference libraries.
    #[test]
    fn the_published_vector_is_made_and_accepted() {
        let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(sign(&secret(), ID, AT, BODY), signature);
        let many = format!("v1a,zzz v1,AAAA {signature}");
        assert!(verify(&secret(), headers("1614265330", &many), BODY, AT + 300).is_ok());
    }

    #[test]
    fn tampered_late_and_unsigned_messages_are_refused() {
        let signature = sign(&secret(), ID, AT, BODY);
        let at = AT.to_string();
        let check = |h, body: &[u8], now| verify(&secret(), h, body, now).unwrap_err();
        assert_eq!(
            check(headers(&at, &signature), b"{}", AT),
            WebhookError::Signature
        );
        assert_eq!(
            check(headers(&at, &signature), BODY, AT + 301),
            WebhookError::Timestamp
        );
        assert_eq!(
            check(headers("1614265331", &signature), BODY, AT),
            WebhookError::Signature
        );
        assert_eq!(
            check(headers("soon", &signature), BODY, AT),
            WebhookError::Headers
        );
        assert_eq!(check(headers(&at, ""), BODY, AT), WebhookError::Signature);
        let unsigned = SignedHeaders {
            id: None,
            timestamp: None,
            signature: None,
        };
        assert_eq!(check(unsigned, BODY, AT), WebhookError::Headers);
        let other = Secret::from_webhook("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").unwrap();
        assert!(verify(&other, headers(&at, &signature), BODY, AT).is_err());
    }
}
