//! The whole server, over real TCP, with a real database file.

mod accounts;
mod apis;
mod auth;
mod bootstrap;
mod crash;
mod edge_usage;
mod errors;
mod explain;
mod hostile;
mod imports;
mod key_changes;
mod key_lifecycle;
mod key_lists;
mod key_usage;
mod keys;
mod leaks;
mod openapi;
mod presets;
mod push;
mod push_retries;
mod secrets;
mod support;
mod sync;
mod sync_lanes;
mod sync_processes;
