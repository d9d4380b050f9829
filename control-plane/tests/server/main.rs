//! The whole server, over real TCP, with a real database file.

mod accounts;
mod admin_tokens;
mod apis;
mod auth;
mod bootstrap;
mod crash;
mod edge_usage;
mod errors;
mod explain;
mod hostile;
mod key_changes;
mod key_lifecycle;
mod key_lists;
mod key_owners;
mod key_usage;
mod keys;
mod leaks;
mod matrix;
mod members;
mod openapi;
mod presets;
mod push;
mod push_retries;
mod roles;
mod secrets;
mod support;
