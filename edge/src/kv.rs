//! What KV holds: copies of records near the callers, written by guards and read by gates.

use shared::text::join;

/// The KV name of a key's record, by the hash of its token (hex).
pub fn key_name(hash: &str) -> String {
    join(&["k/", hash], "")
}

/// The KV name of the record of the API that answers for a host.
pub fn host_name(host: &str) -> String {
    join(&["h/", host], "")
}

/// The KV name of an account's record.
pub fn account_name(id: &str) -> String {
    join(&["a/", id], "")
}
