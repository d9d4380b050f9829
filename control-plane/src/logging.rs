//! Logs on standard error: for people on a terminal, else one JSON object a line.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::Directive;

/// Libraries that would show headers or bodies at their finest levels: capped, whatever `RUST_LOG` says.
const CAPPED: [&str; 5] = [
    "hyper=info",
    "hyper_util=info",
    "reqwest=info",
    "h2=info",
    "rustls=info",
];

/// Starts logging. `RUST_LOG` sets the levels, `info` by default.
pub fn start() {
    let capped: Vec<Directive> = CAPPED.iter().filter_map(|d| d.parse().ok()).collect();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let filter = capped.into_iter().fold(filter, EnvFilter::add_directive);
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr);
    if stderr().is_terminal() {
        logs.init();
    } else {
        logs.json().flatten_event(true).init();
    }
}
