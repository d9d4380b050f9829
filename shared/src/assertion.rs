//! The signed assertion: how an upstream tells a guarded request from any other.
//!
//! A JWT (RFC 7519) signed with HMAC-SHA256 (`HS256`, RFC 7515), in the header `X-Keyward-Assertion`. It is
//! short-lived and names the request, so that a leaked one is soon worth nothing.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::base64;
use crate::json::Object;
use crate::secret::Secret;

/// How long an assertion may be accepted, in seconds.
pub const LIFETIME_SECONDS: u64 = 60;
/// `{"alg":"HS256","typ":"JWT"}`, encoded.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

/// What is asserted.
#[derive(Debug, Clone, Copy)]
pub struct Claims<'a> {
    /// Who asserts it.
    pub iss: &'a str,
    /// The API.
    pub aud: &'a str,
    /// The key.
    pub sub: &'a str,
    /// The key's account.
    pub account: &'a str,
    /// The environment's name.
    pub environment: &'a str,
    /// The request's method.
    pub method: &'a str,
    /// The request's path, as the upstream receives it.
    pub path: &'a str,
    /// The request's id.
    pub jti: &'a str,
    /// When it was issued: seconds since the Unix epoch.
    pub iat: u64,
    /// Until when it may be accepted.
    pub exp: u64,
}

/// Signs assertions. The secret is expanded once, not for each of them.
#[derive(Clone)]
pub struct Signer(Option<Hmac<Sha256>>);

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(redacted)")
    }
}

impl Signer {
    /// Signs with this secret.
    pub fn new(secret: &Secret) -> Self {
        // HMAC takes keys of any length (RFC 2104), so this cannot fail.
        Self(Hmac::new_from_slice(secret.expose()).ok())
    }

    /// The compact JWT of these claims.
    pub fn sign(&self, claims: &Claims<'_>) -> String {
        let mut payload = Object::default();
        payload
            .text("iss", claims.iss)
            .text("aud", claims.aud)
            .text("sub", claims.sub)
            .text("account", claims.account)
            .text("environment", claims.environment)
            .text("method", claims.method)
            .text("path", claims.path)
            .text("jti", claims.jti)
            .number("iat", claims.iat)
            .number("exp", claims.exp);
        let mut jwt = String::with_capacity(512);
        jwt.push_str(HEADER);
        jwt.push('.');
        jwt.push_str(&base64::encode_url(payload.finish().as_bytes()));
        if let Some(mut mac) = self.0.clone() {
            mac.update(jwt.as_bytes());
            jwt.push('.');
            jwt.push_str(&base64::encode_url(&mac.finalize().into_bytes()));
        }
        jwt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_assertion_is_a_jwt_that_other_libraries_verify() {
        let claims = Claims {
            iss: "keyward",
            aud: "api_1",
            sub: "key_1",
            account: "acc_1",
            environment: "production",
            method: "GET",
            path: "/v1",
            jti: "req_1",
            iat: 1,
            exp: 61,
        };
        let secret = Secret::from_text("0123456789abcdef").unwrap();
        // Computed with Python's hmac and base64 over the same claims.
        assert_eq!(
            Signer::new(&secret).sign(&claims),
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJrZXl3YXJkIiwiYXVkIjoiYXBpXzEiLCJzdWIiOiJrZXlfMSIsImFjY291bnQiOiJhY2NfMSIsImVudmlyb25tZW50IjoicHJvZHVjdGlvbiIsIm1ldGhvZCI6IkdFVCIsInBhdGgiOiIvdjEiLCJqdGkiOiJyZXFfMSIsImlhdCI6MSwiZXhwIjo2MX0.0BdRdyIY4KqFvdt1kjngp_YXzjrGUPs19GILggofQYk"
        );
    }
}
