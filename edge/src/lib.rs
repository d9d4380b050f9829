//! Keyward's Worker: the gate, which stands in front of an API and lives in every isolate, and the guard, the
//! Durable Object of one account. Decisions are `shared`'s; this crate gathers the facts for them.
//!
//! `boundary` is the only module that JavaScript sees.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod boundary;
mod config;
mod gate;
mod guard;
mod kv;
#[cfg(any(target_arch = "wasm32", test))]
mod memory;
