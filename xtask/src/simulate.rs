//! `cargo xtask simulate`: gates all over the world that share keys, natively, from a seed.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::exec;
use crate::project::Project;

/// How to simulate.
#[derive(Args)]
pub struct Options {
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

/// Builds the simulation and runs it.
pub fn run(project: &Project, options: &Options) -> Result<ExitCode> {
    let mut simulate = project.cargo();
    simulate.args(["run", "--quiet", "--release", "--package", "keyward-tests"]);
    simulate.args(["--bin", "simulate", "--"]);
    simulate.args(["--seed", &options.seed.to_string()]);
    simulate.args(["--lease-ms", &options.lease_ms.to_string()]);
    if options.quick {
        simulate.arg("--quick");
    }
    exec::show(&mut simulate)?;
    Ok(ExitCode::SUCCESS)
}
