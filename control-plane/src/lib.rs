//! Keyward's control plane: owns accounts, APIs and keys, shows them to admins through a JSON API, and
//! pushes their state to the edges.
//!
//! A request comes in through [`routes`], is checked with the parsers of `shared`, changes the database
//! through [`store`] in one transaction together with the record for the edges, and is delivered by [`sync`].

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic
    )
)]

pub mod admin_token;
pub mod audit;
pub mod auth;
pub mod backup;
pub mod bootstrap;
pub mod check_config;
pub mod cli;
pub mod clock;
pub mod config;
pub mod entropy;
pub mod environment;
pub mod error;
pub mod explain;
pub mod http;
pub mod idempotency;
pub mod leaks;
pub mod left;
pub mod listener;
pub mod logging;
pub mod login_limit;
pub mod metrics;
pub mod openapi;
pub mod outbound;
pub mod rights;
pub mod routes;
pub mod scan;
pub mod server;
pub mod state;
pub mod store;
pub mod sync;
pub mod terminal;
pub mod timestamp;
pub mod tracing_export;
pub mod validate;
