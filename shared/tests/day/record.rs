//! The keys, their tokens, and the API that they are for.

use shared::Millis;
use shared::record::{ApiRecord, KeyRecord, RateLimits};
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

/// An API of which every route is open and costs what its path says.
pub fn api() -> ApiRecord {
    let record = serde_json::json!({
        "id": "api_1", "version": 1, "account": "acc_Ab3dE6gH", "name": "Demo", "upstream": "http://localhost",
        "endpoints": [{ "host": "*", "environment": "production", "code": "prod" }], "routes": [],
    });
    shared::read::from_str(&record.to_string()).unwrap()
}
