//! rustfmt and clippy: part of a usual installation, not of a minimal one.

use std::process::Command;

use anyhow::{Context, Result};

use crate::exec;
use crate::project::Project;
use crate::report::Step;

/// Makes sure that `cargo fmt` and `cargo clippy` work.
pub fn ensure(project: &Project) -> Result<()> {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if exec::capture(project.cargo().args([subcommand, "--version"])).is_ok() {
            continue;
        }
        let step = Step::begin(component, "rustup component add, only the first time");
        exec::capture(Command::new("rustup").args(["component", "add", component]))
            .with_context(|| format!("cargo {subcommand} is missing and can't be installed"))?;
        step.done("installed");
    }
    Ok(())
}
