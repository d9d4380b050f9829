//! `cargo test`, with what the end-to-end tests need in the environment.

use std::io::{BufRead, BufReader, Read, Write, stderr, stdout};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context, Result};

use super::count::{Count, Scanner};
use super::postgres::Cluster;
use crate::edge;
use crate::exec;
use crate::project::Project;
use crate::report;
use crate::setup::{Programs, Tools};

/// The run of the control plane's tests on the second database, as the summary calls it.
const ON_POSTGRES: &str = "the control plane's tests on PostgreSQL";

/// Runs every test, and those of the control plane on PostgreSQL too.
pub fn run(project: &Project, tools: &Tools, programs: &Programs, count: &mut Count) -> Result<()> {
    let cluster = match programs.postgres() {
        Ok(postgres) => Cluster::start(postgres).map_err(|error| format!("{error:#}")),
        Err(why) => Err(format!("{why:#}")),
    };
    let url = cluster.as_ref().ok().map(Cluster::url);
    report::line("Testing");
    run_cargo(
        command(project, tools, programs, url, &["--workspace"])?,
        count,
    )?;
    match cluster {
        Ok(cluster) => {
            report::line(&format!("Testing: {ON_POSTGRES}"));
            let package = ["--package", "keyward", "--test", "server"];
            let mut cargo = command(project, tools, programs, Some(cluster.url()), &package)?;
            cargo.env("KEYWARD_TEST_DATABASE", "postgres");
            run_cargo(cargo, count)?;
        }
        Err(why) => count.skip_run(ON_POSTGRES, &why),
    }
    Ok(())
}

/// Runs cargo, passes on what it says, and adds up.
fn run_cargo(mut cargo: Command, count: &mut Count) -> Result<()> {
    let mut child = cargo
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| exec::start_error("cargo", &error))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let shared = Mutex::new(std::mem::take(count));
    std::thread::scope(|scope| {
        // A test writes to either stream, and both have to be emptied.
        scope.spawn(|| out.map(|stream| pass_on(stream, stdout(), &shared)));
        scope.spawn(|| err.map(|stream| pass_on(stream, stderr(), &shared)));
    });
    let status = child.wait().context("cargo test was lost")?;
    *count = shared
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    count.end(status.success());
    Ok(())
}

/// The edge as a whole runs only in workerd, where the end-to-end tests start it; its pure modules have unit tests.
fn command(
    project: &Project,
    tools: &Tools,
    programs: &Programs,
    postgres: Option<&str>,
    selection: &[&str],
) -> Result<Command> {
    let mut cargo = project.cargo();
    cargo
        .arg("test")
        .args(selection)
        // Shows what passing tests wrote: a test that can't run here says so and passes.
        .args(["--no-fail-fast", "--", "--show-output"])
        .env("KEYWARD_EDGE_BUILD", edge::build_dir(project))
        .env("KEYWARD_WORKERD", tools.node.workerd()?)
        .env("KEYWARD_NODE", tools.node.binary())
        .env("KEYWARD_NODE_MODULES", tools.node.modules())
        .env("KEYWARD_BIN", project.binary("keyward"))
        .envs(programs.variables());
    for name in ["KEYWARD_TEST_DATABASE", "KEYWARD_TEST_POSTGRES"] {
        cargo.env_remove(name);
    }
    if let Some(url) = postgres {
        cargo.env("KEYWARD_TEST_POSTGRES", url);
    }
    Ok(cargo)
}

fn pass_on(stream: impl Read, mut to: impl Write, count: &Mutex<Count>) {
    let mut stream = BufReader::new(stream);
    let mut scanner = Scanner::default();
    let mut line = Vec::new();
    while matches!(stream.read_until(b'\n', &mut line), Ok(read) if read > 0) {
        let text = String::from_utf8_lossy(&line);
        let is_shown = match count.lock() {
            Ok(mut count) => scanner.read(&text, &mut count),
            Err(_) => true,
        };
        if is_shown {
            // A reader that is gone is no reason to stop the tests.
            let _ = to.write_all(&line);
        }
        line.clear();
    }
}
