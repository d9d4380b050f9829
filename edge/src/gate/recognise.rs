//! Callers that were recognised before.
//!
//! What a request says of its API and its key (the host and the credential headers) is mostly the same as a moment
//! ago. To read, check and hash it anew is half of what a hot decision costs, so the outcome is remembered: which API,
//! and the SHA-256 of the token. Everything that is decided about them is decided anew.
//!
//! No token is kept: entries go by a 128-bit SipHash under a secret that each isolate draws. Who does not know the
//! secret cannot find two texts with one hash, and a chance hit is as likely as a guessed token.

use std::hash::Hasher;
use std::rc::Rc;

use shared::Millis;
use shared::token::KeyHash;
use siphasher::sip128::{Hasher128, SipHasher13};

use super::head::Head;
use super::isolate::Api;

/// How many callers are remembered. One that falls on another's place is read and checked again.
const PLACES: usize = 2_048;

/// What is remembered of a caller.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The API that it calls.
    pub api: Rc<Api>,
    /// Its token's hash. The token was genuine, and is for the API's environment.
    pub hash: KeyHash,
    tag: u128,
    epoch: u64,
    until: Millis,
}

/// The callers of an isolate.
pub struct Callers {
    hasher: SipHasher13,
    places: Vec<Option<Caller>>,
    epoch: u64,
}

impl Callers {
    /// Knows nobody yet; the secret is the isolate's own.
    pub fn new(secret: &[u8; 16]) -> Self {
        Self {
            hasher: SipHasher13::new_with_key(secret),
            places: vec![None; PLACES],
            epoch: 0,
        }
    }

    /// What identifies a caller.
    pub fn tag(&self, head: &Head<'_>) -> u128 {
        let mut hasher = self.hasher;
        for part in [Some(head.host), head.authorization, head.x_api_key] {
            hasher.write(part.unwrap_or_default().as_bytes());
            // No text holds this byte: so neither the parts' borders nor a missing part can be mistaken.
            hasher.write_u8(if part.is_some() { 0xff } else { 0xfe });
        }
        hasher.finish128().as_u128()
    }

    /// The caller with this tag.
    pub fn get(&self, tag: u128, now: Millis) -> Option<&Caller> {
        let caller = self.places.get(tag as usize % PLACES)?.as_ref()?;
        let known = caller.tag == tag && caller.epoch == self.epoch && now < caller.until;
        known.then_some(caller)
    }

    /// Remembers a caller until a moment.
    pub fn remember(&mut self, tag: u128, api: &Rc<Api>, hash: KeyHash, until: Millis) {
        if let Some(place) = self.places.get_mut(tag as usize % PLACES) {
            *place = Some(Caller {
                api: Rc::clone(api),
                hash,
                tag,
                epoch: self.epoch,
                until,
            });
        }
    }

    /// Forgets everybody: hosts may lead to other APIs now.
    pub fn forget_all(&mut self) {
        self.epoch += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(secret: u8, host: &str, authorization: Option<&str>, key: Option<&str>) -> u128 {
        let head = Head {
            host,
            authorization,
            x_api_key: key,
            ..Head::default()
        };
        Callers::new(&[secret; 16]).tag(&head)
    }

    #[test]
    fn callers_that_differ_in_anything_have_different_tags() {
        let tags = [
            tag(1, "a", Some("b"), None),
            tag(1, "a", None, Some("b")),
            tag(1, "ab", Some(""), None),
            tag(1, "ab", None, None),
            tag(1, "a", Some("b"), Some("b")),
            tag(1, "a", Some("b"), Some("")),
            tag(2, "a", Some("b"), None),
        ];
        let different: std::collections::BTreeSet<_> = tags.iter().collect();
        assert_eq!(different.len(), tags.len());
        assert_eq!(tags[0], tag(1, "a", Some("b"), None));
    }
}
