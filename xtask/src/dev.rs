//! `cargo xtask dev`: the whole of Keyward on this machine, ready for a first request.

mod demo;
mod log;
mod part;
mod ports;
mod signals;
mod state;
mod supervisor;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use self::ports::Ports;
use self::signals::Signals;
use self::state::State;
use self::supervisor::{Ready, Supervisor};
use crate::edge::{self, Vars};
use crate::exec;
use crate::project::Project;
use crate::report;
use crate::setup::{self, Tools};

/// Names of the parts, as they stand in messages and as log files.
const CONTROL_PLANE: &str = "control-plane";
const EDGE: &str = "edge";
const UPSTREAM: &str = "upstream";
/// How long a part may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// Options of `cargo xtask dev`.
#[derive(clap::Args)]
pub struct Options {
    /// Port of the control plane; the edge takes the next one, the demo upstream the one after.
    #[arg(long, value_name = "N", default_value_t = 8700, value_parser = clap::value_parser!(u16).range(1..=65533))]
    port: u16,
    /// Forget accounts, keys and counters of earlier runs.
    #[arg(long)]
    fresh: bool,
}

/// Sets up, builds, starts the parts and stays until it is told to stop or a part dies.
pub fn run(project: &Project, options: &Options) -> Result<ExitCode> {
    let started = Instant::now();
    let ports = Ports::from(options.port);
    let lock = State::lock(project)?;
    ports.check()?;
    let tools = setup::ensure(project)?;
    build(project, &tools)?;
    let state = State::open(project, lock, options.fresh)?;
    // From here on a signal must stop the parts first.
    let signals = Signals::watch()?;
    let mut parts = Supervisor::new(state.logs());
    let outcome = start(project, &tools, &state, &ports, &mut parts, &signals).and_then(|ready| {
        if ready == Ready::Yes {
            let seconds = started.elapsed().as_secs_f64();
            report::line(&format!("Ready after {seconds:.1} s, Ctrl-C stops it."));
            parts.watch(&signals)?;
        }
        Ok(())
    });
    parts.stop(&signals);
    outcome.map(|()| {
        report::line("Stopped.");
        ExitCode::SUCCESS
    })
}

fn build(project: &Project, tools: &Tools) -> Result<()> {
    report::line("Building");
    exec::show(&mut native_build(project)).context("Keyward does not compile")?;
    edge::build(project, tools)
}

/// Builds the control plane and the demo upstream.
pub fn native_build(project: &Project) -> Command {
    let mut cargo = project.cargo();
    cargo.args(["build", "--package", "keyward", "--bin", "keyward"]);
    cargo.args(["--package", "keyward-tests", "--bin", "demo-upstream"]);
    cargo
}

/// Starts the parts, waits for each, makes the demo key and says where everything is.
fn start(
    project: &Project,
    tools: &Tools,
    state: &State,
    ports: &Ports,
    parts: &mut Supervisor,
    signals: &Signals,
) -> Result<Ready> {
    report::line("Starting");
    let mut vars = Vars::read(project)?;
    vars.set("CONTROL_PLANE_URL", &ports.control_plane());
    let vars_file = state.path("edge.vars");
    vars.write(&vars_file)?;

    parts.start(UPSTREAM, &mut upstream(project, ports))?;
    parts.start(EDGE, &mut worker(project, tools, state, ports, &vars_file))?;
    // The control plane comes last: it pushes at once, and the edge should be there to take it.
    for (part, url) in [
        (UPSTREAM, ports.upstream()),
        (EDGE, format!("{}/.keyward/health", ports.edge())),
    ] {
        if parts.await_ready(part, &url, PATIENCE, signals)? == Ready::Interrupted {
            return Ok(Ready::Interrupted);
        }
    }
    parts.start(
        CONTROL_PLANE,
        &mut control_plane(project, state, ports, &vars)?,
    )?;
    let url = format!("{}/readyz", ports.control_plane());
    if parts.await_ready(CONTROL_PLANE, &url, PATIENCE, signals)? == Ready::Interrupted {
        return Ok(Ready::Interrupted);
    }
    let demo = demo::ensure(state, ports)?;
    state.write(ports, &demo)?;
    demo::announce(ports, &demo, &state.path("dev.json"));
    Ok(Ready::Yes)
}

/// The Worker in `wrangler dev`: the real runtime, storage below `.keyward/`.
fn worker(
    project: &Project,
    tools: &Tools,
    state: &State,
    ports: &Ports,
    vars_file: &Path,
) -> Command {
    let mut command = tools.node.wrangler(project);
    command
        .arg("dev")
        .args(["--ip", "127.0.0.1", "--port", &ports.edge_port()])
        .args(["--inspector-port", "0"])
        .args(["--show-interactive-dev-session=false", "--log-level=log"])
        .arg("--persist-to")
        .arg(state.path("wrangler"))
        .arg("--env-file")
        .arg(vars_file)
        // Otherwise it asks a server on the internet what a request from here looks like.
        .env("CLOUDFLARE_CF_FETCH_ENABLED", "false")
        .env("WRANGLER_LOG_PATH", state.logs());
    command
}

fn upstream(project: &Project, ports: &Ports) -> Command {
    let mut command = Command::new(project.binary("demo-upstream"));
    command.args(["--listen", &ports.upstream_address()]);
    command
}

fn control_plane(project: &Project, state: &State, ports: &Ports, vars: &Vars) -> Result<Command> {
    let secret = |name| {
        vars.get(name)
            .with_context(|| format!("{name} is missing in .dev.vars"))
    };
    let database = state.path("keyward.db");
    let mut command = Command::new(project.binary("keyward"));
    command
        .arg("serve")
        .current_dir(project.path(""))
        .env("KEYWARD_LISTEN", ports.control_plane_address())
        .env(
            "KEYWARD_DATABASE_URL",
            format!("sqlite://{}", database.display()),
        )
        .env("KEYWARD_TAG_SECRET", secret("TAG_SECRET")?)
        .env("KEYWARD_PUSH_SECRET", secret("PUSH_SECRET")?)
        .env("KEYWARD_EDGE_TARGETS", ports.edge())
        .env("KEYWARD_ADMIN_TOKEN", state.admin_token())
        // The demo upstream is on this machine.
        .env("KEYWARD_ALLOW_PRIVATE_DESTINATIONS", "true")
        .env("KEYWARD_DRAIN_MS", "0");
    Ok(command)
}
