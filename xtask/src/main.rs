//! Keyward's own commands, run as `cargo xtask COMMAND`.
//!
//! Each command is one module with a `run` function. To add one: a module, a variant of [`Command`], a line in
//! [`run`].

mod bench;
mod dev;
mod edge;
mod exec;
mod http;
mod project;
mod random;
mod report;
mod setup;
mod simulate;
mod test;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::project::Project;

/// Sets up, builds, runs and tests Keyward.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what is missing: the wasm target, Node and the npm packages, all pinned; the programs that tests drive.
    Setup,
    /// Build the Worker into edge/build/.
    BuildEdge,
    /// Run control plane, Worker and a demo upstream on this machine, with a demo key.
    Dev(dev::Options),
    /// Run every check and every test.
    Test,
    /// Measure, each figure beside its baseline of the same run.
    Bench(bench::Options),
    /// Simulate gates all over the world that share keys: what leases cost, and that no limit is passed.
    Simulate(simulate::Options),
}

fn run(command: &Command) -> Result<ExitCode> {
    let project = Project::find()?;
    match command {
        Command::Setup => setup::run(&project),
        Command::BuildEdge => edge::run(&project),
        Command::Dev(options) => dev::run(&project, options),
        Command::Test => test::run(&project),
        Command::Bench(options) => bench::run(&project, options),
        Command::Simulate(options) => simulate::run(&project, options),
    }
}

fn main() -> ExitCode {
    match run(&Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            // One line with its causes; a backtrace would bury what to do.
            report::line(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
