//! Simulates gates all over the world that share keys, natively: the real purse, ledger, reporter and answers of
//! `shared`, with all that lies between them drawn from a seed. Run by `cargo xtask simulate`.
//!
//! What it is for: that nothing is admitted over a limit, and what sizes and times of leases cost: how much of a limit is
//! left unused, how often the guard is called, how long requests wait.

mod event;
mod gate;
mod guard;
mod load;
mod network;
mod oracle;
mod outcome;
mod scenario;
mod table;
#[cfg(test)]
mod tests;
mod world;

use std::process::ExitCode;

use clap::Parser;

/// The most of a limit that may be left unused when more is asked for, from [`BOUND_FROM`] on.
const MOST_UNUSED: f64 = 0.02;
/// In units a minute: below, single requests are a larger share than that.
const BOUND_FROM: u32 = 1_000;

/// Simulates.
#[derive(Parser)]
#[command(name = "simulate")]
struct Options {
    /// Of all that is drawn: the same seed gives the same figures.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Less of it: a glance, not a figure.
    #[arg(long)]
    quick: bool,
    /// The lease time, in milliseconds.
    #[arg(long, default_value_t = 1_000)]
    lease_ms: u64,
}

fn main() -> ExitCode {
    let options = Options::parse();
    println!("seed {}, leases of {} ms", options.seed, options.lease_ms);
    let broken = table::print_all(&options);
    for promise in &broken {
        println!("BROKEN: {promise}");
    }
    if broken.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
