//! `cargo xtask bench`: every figure a ratio against a baseline of the same run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Result;
use clap::Args;

use crate::project::Project;
use crate::report::Step;
use crate::test::Cluster;
use crate::{edge, exec, report, setup};

/// What to measure, and how long.
#[derive(Args)]
pub struct Options {
    /// Sections by name and flags of the benchmark (`throughput proxy --quick`; `--help` lists them); none: everything.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

/// Names the PostgreSQL server of the benchmark.
const POSTGRES: &str = "KEYWARD_BENCH_POSTGRES";

impl Options {
    fn is_everything(&self) -> bool {
        self.args.iter().all(|arg| arg.starts_with('-'))
    }

    /// What measures the control plane itself; everywhere else it only stands beside.
    fn wants_control_plane(&self) -> bool {
        self.is_everything() || self.args.iter().any(|arg| arg == "control-plane")
    }
}

/// Measures the Worker on workerd and, unless sections are named, `shared` natively.
pub fn run(project: &Project, options: &Options) -> Result<ExitCode> {
    let tools = setup::ensure(project)?;
    edge::build(project, &tools)?;
    install_rivals(project);
    let server = build_server(project, options.wants_control_plane())?;
    let cluster = options.wants_control_plane().then(|| postgres(project));
    let cluster = cluster.flatten();
    if options.is_everything() {
        measure_decisions(project)?;
    }
    report::line("bench: the Worker on workerd");
    let mut worker = project.cargo();
    worker.args([
        "run",
        "--quiet",
        "--release",
        "--package",
        "keyward-tests",
        "--bin",
        "bench",
        "--",
        "--bundle",
    ]);
    worker.arg(edge::sizes(project, &tools)?.gzipped().to_string());
    worker.arg("--json").arg(project.target("bench.json"));
    worker.args(&options.args);
    worker.env("KEYWARD_BIN", server);
    worker.env_remove(POSTGRES);
    if let Some(cluster) = &cluster {
        worker.env(POSTGRES, cluster.url());
    }
    exec::show(&mut worker)?;
    Ok(ExitCode::SUCCESS)
}

/// Builds the control plane, as it is deployed where it is measured; gives the program.
fn build_server(project: &Project, as_deployed: bool) -> Result<PathBuf> {
    let mut cargo = project.cargo();
    cargo.args(["build", "--package", "keyward", "--bin", "keyward"]);
    if !as_deployed {
        exec::show(&mut cargo)?;
        return Ok(project.binary("keyward"));
    }
    exec::show(cargo.arg("--release"))?;
    let name = format!("keyward{}", std::env::consts::EXE_SUFFIX);
    Ok(project.target(Path::new("release").join(name)))
}

/// A PostgreSQL of the benchmark's own. Without one the control plane is measured on SQLite alone.
fn postgres(project: &Project) -> Option<Cluster> {
    let started = setup::ensure_postgres(project).and_then(|found| Cluster::start(&found));
    started
        .map_err(|why| report::line(&format!("PostgreSQL is left out: {why:#}")))
        .ok()
}

fn measure_decisions(project: &Project) -> Result<()> {
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
    exec::show(native.args(["--warm-up-time", "1", "--measurement-time", "3"]))
}

/// The npm packages of the rivals, which nothing else needs. Without them they are left out, by name.
fn install_rivals(project: &Project) {
    let rivals = project.path("tests/bench/rivals");
    let changed = |file: &str| fs::metadata(rivals.join(file)).and_then(|file| file.modified());
    let installed = changed("node_modules/.package-lock.json");
    if let (Ok(installed), Ok(lock)) = (installed, changed("package-lock.json"))
        && installed >= lock
    {
        return;
    }
    let step = Step::begin("npm packages of the rivals", "50 MB, only the first time");
    let mut npm = Command::new("npm");
    npm.current_dir(&rivals)
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    match exec::capture(&mut npm) {
        Ok(_) => step.done("installed"),
        Err(error) => step.done(&format!("left out: {error}")),
    }
}
