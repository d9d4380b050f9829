//! `cargo xtask test`: every check and every test, the end-to-end ones in the real runtime included.
//!
//! Nothing stops at the first failure, so that one run shows all of them. The last line is the total of all tests; a
//! check that fails counts as one failure more.

mod count;
mod postgres;
mod tests;

use std::env;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use self::count::Count;
pub use self::postgres::Cluster;
use crate::dev;
use crate::edge;
use crate::exec;
use crate::project::Project;
use crate::report::{self, Step};
use crate::setup::{self, Tools, WASM_TARGET};

/// Runs all of it and prints the total.
pub fn run(project: &Project) -> Result<ExitCode> {
    let mut count = Count::default();
    if let Err(error) = run_all(project, &mut count) {
        report::line(&format!("error: {error:#}"));
        count.fail();
    }
    let strict = env::var("CI").is_ok_and(|value| value == "true");
    for skip in count.skips() {
        report::line(&format!("skipped: {skip}"));
    }
    if strict && count.skips().next().is_some() {
        report::line("error: with CI=true every test has to run");
        count.fail();
    }
    println!("{count}");
    Ok(if count.is_green() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn run_all(project: &Project, count: &mut Count) -> Result<()> {
    let tools = setup::ensure(project)?;
    setup::ensure_components(project)?;
    let programs = setup::ensure_programs(project);
    report::line("Building");
    exec::show(&mut dev::native_build(project)).context("Keyward does not compile")?;
    edge::build(project, &tools)?;
    report::line("Checking");
    if let Err(error) = edge::check_size(project, &tools) {
        report::line(&format!("error: {error:#}"));
        count.fail();
    }
    for (name, mut command) in checks(project, &tools) {
        let step = Step::begin(name, "");
        match exec::capture(&mut command) {
            Ok(_) => step.done("passed"),
            Err(error) => {
                step.done("FAILED");
                let output = error.downcast_ref::<exec::Failure>();
                report::line(&output.map_or(error.to_string(), |f| f.output.clone()));
                count.fail();
            }
        }
    }
    tests::run(project, &tools, &programs, count)
}

/// What has to hold beside the tests.
fn checks(project: &Project, tools: &Tools) -> Vec<(&'static str, Command)> {
    let mut format = project.cargo();
    format.args(["fmt", "--all", "--check"]);
    let mut native = project.cargo();
    native.args(["clippy", "--quiet", "--workspace", "--all-targets"]);
    native.args(["--", "-D", "warnings"]);
    let mut deploy = Command::new("npx");
    deploy
        .current_dir(project.path(""))
        .args(["--no", "wrangler", "deploy", "--dry-run"])
        .env("WRANGLER_SEND_METRICS", "false")
        .env("WRANGLER_HIDE_BANNER", "true");
    let mut checks = vec![
        ("cargo fmt --check", format),
        ("cargo clippy", native),
        ("npx wrangler deploy --dry-run", deploy),
    ];
    if tools.wasm.has_clippy() {
        let mut wasm = tools.wasm.cargo(project);
        wasm.args(["clippy", "--quiet", "--package", "keyward-edge"]);
        wasm.args(["--target", WASM_TARGET, "--", "-D", "warnings"]);
        checks.insert(2, ("cargo clippy for wasm32", wasm));
    } else {
        let why = "left out, this toolchain for wasm32 has none; the native run saw the same code";
        report::fact("cargo clippy for wasm32", why);
    }
    checks
}
