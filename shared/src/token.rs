//! The token: the secret string that a caller presents.
//!
//! `{prefix}_{env}_sk_{random 24}{locator 8}{tag 8}{crc 6}`, all base62. The tag (HMAC-SHA256 under the
//! tag secret) lets the edge refuse a forged token without I/O; the CRC-32, public, lets scanners and
//! typo checks work without any secret.

use std::fmt;

use crc::{CRC_32_ISO_HDLC, Crc, NoTable};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::base62;
use crate::secret::{Secret, constant_time_eq};
use crate::wire;

const RANDOM: usize = 24;
const LOCATOR: usize = 8;
const TAG: usize = 8;
const CRC: usize = 6;
/// What follows the mark in every token, in characters.
pub const BODY: usize = RANDOM + LOCATOR + TAG + CRC;
/// What stands between the environment code and the body.
pub const MARK: &str = "_sk_";

/// The longest prefix of a token, in characters.
pub const MAX_PREFIX: usize = 12;
/// The longest environment code, in characters.
pub const MAX_ENV_CODE: usize = 10;
/// The longest token, in bytes.
pub const MAX_TOKEN: usize = MAX_PREFIX + MAX_ENV_CODE + BODY + 5;

/// Why a string is no token of ours. Decided without any I/O.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not of the form `{prefix}_{env}_sk_{46 characters}`.
    #[error("not of the form prefix_env_sk_…")]
    Grammar,
    /// The checksum does not fit: a typo, or cut off.
    #[error("the checksum does not match: mistyped or cut off")]
    Checksum,
}

impl TokenError {
    /// What callers are told.
    pub fn message(self) -> &'static str {
        match self {
            Self::Grammar => "The API key has not the form of a key",
            Self::Checksum => "The API key's checksum does not match: it is mistyped or cut off",
        }
    }
}

/// Whether `prefix` may begin a token: a lower-case letter, then letters and digits, 12 at most.
pub fn is_prefix(prefix: &str) -> bool {
    prefix.len() <= MAX_PREFIX
        && prefix.starts_with(|c: char| c.is_ascii_lowercase())
        && prefix
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// Whether `code` may be an environment's short code: `[a-z0-9]{1,10}`.
pub fn is_env_code(code: &str) -> bool {
    (1..=MAX_ENV_CODE).contains(&code.len())
        && code
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// The tag secrets in force: the current one signs, both verify, so that the secret can be rotated. Prepared once: to set
/// a keyed hash up takes half of what a check costs.
#[derive(Clone)]
pub struct TagSecrets {
    current: Option<Hmac<Sha256>>,
    previous: Option<Hmac<Sha256>>,
}

impl TagSecrets {
    /// The secret that signs, and one that is accepted beside it.
    pub fn new(current: &Secret, previous: Option<&Secret>) -> Self {
        Self {
            current: keyed(current),
            previous: previous.and_then(keyed),
        }
    }
}

impl fmt::Debug for TagSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TagSecrets(redacted)")
    }
}

/// HMAC takes keys of any length (RFC 2104), so there is always one.
fn keyed(secret: &Secret) -> Option<Hmac<Sha256>> {
    Hmac::new_from_slice(secret.expose()).ok()
}

/// A whole token, in the clear. Exists once, in the answer to create or rotate.
pub struct Token(Zeroizing<String>);

impl Token {
    /// Makes a token. `entropy` must come from the system's CSPRNG.
    ///
    /// # Errors
    /// [`TokenError::Grammar`] when prefix, environment code or locator are not well-formed.
    pub fn mint(
        prefix: &str,
        env_code: &str,
        locator: &str,
        entropy: &[u8; 32],
        secret: &Secret,
    ) -> Result<Self, TokenError> {
        let well_formed = is_prefix(prefix)
            && is_env_code(env_code)
            && locator.len() == LOCATOR
            && base62::is_base62(locator);
        if !well_formed {
            return Err(TokenError::Grammar);
        }
        let random = Zeroizing::new(base62::from_entropy(entropy, RANDOM));
        let mut text = Zeroizing::new(String::with_capacity(MAX_TOKEN));
        for part in [prefix, "_", env_code, MARK, &random, locator] {
            text.push_str(part);
        }
        let tag = keyed(secret)
            .map(|mac| tag_of(&text, mac))
            .ok_or(TokenError::Grammar)?;
        text.extend(tag.map(char::from));
        let crc = crc_of(&text);
        text.extend(crc.map(char::from));
        Ok(Self(text))
    }

    /// The token itself, to be shown once.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Its SHA-256, the only form that is stored.
    pub fn hash(&self) -> KeyHash {
        KeyHash::of(&self.0)
    }

    /// What people see of it.
    pub fn hints(&self) -> Hints {
        Hints::of(&self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(redacted)")
    }
}

/// What identifies a key to people: its beginning, through the first 4 random characters, and its last 8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hints {
    /// `kw_prod_sk_Ab3x`
    pub start: String,
    /// The last 8 characters.
    pub last8: String,
}

impl Hints {
    fn of(token: &str) -> Self {
        let random_at = token.len().saturating_sub(BODY);
        Self {
            start: token.chars().take(random_at + 4).collect(),
            last8: token.chars().skip(token.len().saturating_sub(8)).collect(),
        }
    }
}

/// A string that has a token's form and a fitting checksum; whether it was issued is the tag's to say.
#[derive(Clone, Copy)]
pub struct ParsedToken<'a> {
    text: &'a str,
    env_code: &'a str,
    locator: &'a str,
    tag: &'a str,
    signed: &'a str,
}

impl<'a> ParsedToken<'a> {
    /// Reads a token: grammar first, then checksum.
    ///
    /// # Errors
    /// [`TokenError`], in that order.
    pub fn parse(text: &'a str) -> Result<Self, TokenError> {
        let token = Self::split(text).ok_or(TokenError::Grammar)?;
        let checked = text.get(..text.len().saturating_sub(CRC));
        if checked.is_some_and(|checked| text.as_bytes().ends_with(&crc_of(checked))) {
            Ok(token)
        } else {
            Err(TokenError::Checksum)
        }
    }

    fn split(text: &'a str) -> Option<Self> {
        if text.len() > MAX_TOKEN {
            return None;
        }
        let (head, body) = text.split_at_checked(text.len().checked_sub(BODY)?)?;
        let (prefix, env_code) = head.strip_suffix(MARK)?.split_once('_')?;
        if !(is_prefix(prefix) && is_env_code(env_code) && base62::is_base62(body)) {
            return None;
        }
        let tag_at = text.len() - CRC - TAG;
        Some(Self {
            text,
            env_code,
            locator: body.get(RANDOM..RANDOM + LOCATOR)?,
            tag: text.get(tag_at..tag_at + TAG)?,
            signed: text.get(..tag_at)?,
        })
    }

    /// Whether the tag was made with one of our tag secrets: false means forged.
    pub fn is_genuine(&self, secrets: &TagSecrets) -> bool {
        let matches = |mac: &Hmac<Sha256>| {
            constant_time_eq(&tag_of(self.signed, mac.clone()), self.tag.as_bytes())
        };
        [&secrets.current, &secrets.previous]
            .into_iter()
            .flatten()
            .any(matches)
    }

    /// The environment's short code.
    pub fn env_code(&self) -> &'a str {
        self.env_code
    }

    /// The 8 characters that name the account's guard.
    pub fn locator(&self) -> &'a str {
        self.locator
    }

    /// SHA-256 of the whole token.
    pub fn hash(&self) -> KeyHash {
        KeyHash::of(self.text)
    }

    /// What people see of it.
    pub fn hints(&self) -> Hints {
        Hints::of(self.text)
    }
}

impl fmt::Debug for ParsedToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParsedToken")
            .field("env_code", &self.env_code)
            .field("locator", &self.locator)
            .finish_non_exhaustive()
    }
}

fn tag_of(signed: &str, mut mac: Hmac<Sha256>) -> [u8; TAG] {
    mac.update(signed.as_bytes());
    let bytes = mac.finalize().into_bytes();
    let head = bytes
        .iter()
        .take(8)
        .fold(0u64, |n, b| (n << 8) | u64::from(*b));
    base62::digits(head)
}

/// The CRC-32 of zip and PNG. A table would speed it up, and be 1 KB that no compression makes smaller; a caller that is
/// known is not checked again.
static CRC_32: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);

fn crc_of(text: &str) -> [u8; CRC] {
    base62::digits(u64::from(CRC_32.checksum(text.as_bytes())))
}

/// SHA-256 of a token: how a key is looked up, stored and pushed. Written as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// The hash of a whole token.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Reads 64 hex digits; `None` for anything else.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// 64 lower-case hex digits.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl AsRef<[u8]> for KeyHash {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl KeyHash {
    fn to_text(self) -> String {
        self.to_hex()
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyHash({})", self.to_hex())
    }
}

impl Serialize for KeyHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_hex())
    }
}

wire!(KeyHash: |text: &str| Self::from_hex(text).ok_or(()), "64 hex digits" or Self([0; 32]));

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
