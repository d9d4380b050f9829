//! `cargo test`, with what the end-to-end tests need in the environment.

use std::io::{BufRead, BufReader, Read, Write, stderr, stdout};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context, Result};

use super::count::{Count, Scanner};
use crate::edge;
use crate::exec;
use crate::project::Project;
use crate::setup::{Programs, Tools};

/// Runs every test, passes on what cargo says, and adds up.
pub fn run(project: &Project, tools: &Tools, programs: &Programs, count: &mut Count) -> Result<()> {
    let mut cargo = command(project, tools)?;
    cargo.envs(programs.variables());
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
fn command(project: &Project, tools: &Tools) -> Result<Command> {
    let mut cargo = project.cargo();
    cargo
        .args(["test", "--workspace"])
        // Shows what passing tests wrote: a test that can't run here says so and passes.
        .args(["--no-fail-fast", "--", "--show-output"])
        .env("KEYWARD_EDGE_BUILD", edge::build_dir(project))
        .env("KEYWARD_WORKERD", tools.node.workerd()?)
        .env("KEYWARD_NODE", tools.node.binary())
        .env("KEYWARD_NODE_MODULES", tools.node.modules())
        .env("KEYWARD_BIN", project.binary("keyward"));
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
