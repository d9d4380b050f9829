//! `cargo xtask bench`: every figure a ratio against a baseline of the same run.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::project::Project;
use crate::{edge, exec, report, setup};

/// Measures `shared` natively, then the Worker on workerd.
pub fn run(project: &Project) -> Result<ExitCode> {
    let tools = setup::ensure(project)?;
    edge::build(project, &tools)?;
    find_wrk()?;
    exec::show(
        project
            .cargo()
            .args(["build", "--package", "keyward", "--bin", "keyward"]),
    )?;
    report::line(
        "bench: decisions, natively; the SHA-256 of a token is what no gate can do without",
    );
    let mut native = project.cargo();
    native.args([
        "bench",
        "--package",
        "keyward-shared",
        "--bench",
        "decisions",
        "--",
    ]);
    exec::show(native.args(["--warm-up-time", "1", "--measurement-time", "3"]))?;
    report::line("bench: the Worker on workerd");
    let mut worker = project.cargo();
    worker.args([
        "run",
        "--release",
        "--package",
        "keyward-tests",
        "--bin",
        "bench",
    ]);
    worker.env("KEYWARD_BIN", project.binary("keyward"));
    exec::show(&mut worker)?;
    Ok(ExitCode::SUCCESS)
}

/// wrk makes the load; Debian has it.
fn find_wrk() -> Result<()> {
    let on_path = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join("wrk").is_file())
    });
    if on_path {
        return Ok(());
    }
    report::line("bench: installing wrk");
    let mut apt = Command::new("apt-get");
    apt.args(["install", "--yes", "--no-install-recommends", "wrk"]);
    exec::capture(&mut apt)
        .map(drop)
        .context("the load generator wrk is missing; `apt-get install wrk` (as root, after `apt-get update`) brings it")
}
