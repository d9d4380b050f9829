//! Every decision of Keyward, in one crate that the edge (wasm32) and the control plane (native) share.
//!
//! Nothing here does I/O, reads a clock or draws randomness: facts, entropy and `now` are passed in,
//! so that the same inputs always give the same answer, in production, in tests and in a model checker.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod account;
pub mod assertion;
pub mod base62;
pub mod base64;
pub mod by_name;
pub mod columns;
pub mod cors;
pub mod credential;
pub mod decide;
pub mod denial;
pub mod fields;
pub mod guard;
pub mod host;
pub mod id;
pub mod ip;
pub mod json;
pub mod lease;
pub mod ledger;
pub mod message;
pub mod origin;
pub mod path;
pub mod permission;
pub mod policy;
pub mod preset;
pub mod problem;
pub mod ratelimit;
pub mod read;
pub mod record;
pub mod report;
pub mod resource;
pub mod route;
pub mod secret;
pub mod text;
pub mod token;
pub mod usage;
pub mod webhook;
pub mod window;
pub mod write;

/// A point in time: milliseconds since the Unix epoch, or a span of milliseconds.
pub type Millis = u64;
