//! The keys, their tokens, and the API that they are for.

use shared::Millis;
use shared::record::{ApiRecord, IdentityRecord, KeyRecord, RateLimits};
use shared::token::KeyHash;

/// The lease time.
pub const LEASE_MS: Millis = 1_000;

/// The hash of a key's n-th token.
pub fn token(key: usize, nth: u32) -> KeyHash {
    KeyHash::of(&format!("token {nth} of key {key}"))
}

/// A key's first record.
pub fn key(key: usize, limits: RateLimits) -> KeyRecord {
    let record = serde_json::json!({
        "id": key.to_string(), "version": 1, "account": "acc_Ab3dE6gH", "environment": "prod", "state": "active",
        "credentials": [{ "hash": token(key, 0) }], "permissions": ["*"], "limits": limits,
    });
    shared::read::from_str(&record.to_string()).unwrap()
}

/// The number of a key's identity, if it has one.
pub fn identity_of(record: &KeyRecord) -> Option<usize> {
    record.identity.as_deref().map(|n| n.parse().unwrap())
}

/// An identity with these limits.
pub fn identity(limits: RateLimits) -> IdentityRecord {
    IdentityRecord {
        id: "idn_1".into(),
        version: 1,
        account: "acc_Ab3dE6gH".into(),
        ancestors: Vec::new(),
        limits,
        deleted: false,
    }
}

/// An API of which every route is open and costs what its path says.
pub fn api() -> ApiRecord {
    let record = serde_json::json!({
        "id": "api_1", "version": 1, "account": "acc_Ab3dE6gH", "name": "Demo", "upstream": "http://localhost",
        "endpoints": [{ "host": "*", "environment": "production", "code": "prod" }], "routes": [],
    });
    shared::read::from_str(&record.to_string()).unwrap()
}
