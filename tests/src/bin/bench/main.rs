//! Measures the Worker against what it is compared with: same machine, same runtime (workerd, without wrangler),
//! interleaved rounds, medians. Run by `cargo xtask bench`.

mod bare;
mod closed_loop;
mod compare;
mod cpu;
mod distinct;
mod edge;
mod fill;
mod floor;
mod lab;
mod open_loop;
mod passage;
mod report;
mod request;
mod rivals;
mod sections;
mod server;
mod upstream;
mod workerd;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::{Parser, ValueEnum};

use lab::Lab;
use report::Report;

/// Measures; all sections unless some are named.
#[derive(Parser)]
#[command(name = "bench")]
struct Options {
    /// What to measure.
    sections: Vec<Section>,
    /// Short rounds and few: a glance, not a figure.
    #[arg(long)]
    quick: bool,
    /// Also what takes minutes by itself: 100,000 distinct keys.
    #[arg(long)]
    long: bool,
    /// Size of the Worker as it is deployed, gzipped, in bytes.
    #[arg(long)]
    bundle: Option<usize>,
    /// Where the figures go, as JSON.
    #[arg(long, default_value = "target/bench.json")]
    json: PathBuf,
    /// Serves bare handlers on a database instead, for what is compared with them.
    #[arg(long, hide = true)]
    bare: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Section {
    /// A hot key, answered by the Worker.
    Throughput,
    /// A hot key, passed on.
    Proxy,
    /// What is refused.
    Garbage,
    /// Calls of guards and KV.
    Storage,
    /// At a fixed rate.
    Latency,
    /// Size of the bundle, first answers.
    Start,
    /// Many keys, old guards.
    Growth,
    /// Very many keys at one isolate.
    Memory,
    /// What one guard sustains.
    Guard,
    /// Very many keys in the control plane, and what its calls cost.
    ControlPlane,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the sections. One that fails does not keep the others from running.
async fn run(options: &Options) -> Result<()> {
    if let Some(database) = &options.bare {
        return bare::serve(database).await;
    }
    let lab = Lab::open(options.quick, options.long, options.bundle)?;
    let mut report = Report::new();
    let mut failed = Vec::new();
    for section in Section::value_variants() {
        if !options.sections.is_empty() && !options.sections.contains(section) {
            continue;
        }
        if let Err(error) = section.run(&lab, &mut report).await {
            eprintln!("bench: {section:?} failed: {error:#}");
            failed.push(format!("{section:?}"));
        }
    }
    report.finish(&options.json)?;
    ensure!(failed.is_empty(), "not measured: {}", failed.join(", "));
    Ok(())
}

impl Section {
    async fn run(self, lab: &Lab, report: &mut Report) -> Result<()> {
        match self {
            Self::Throughput => sections::throughput::run(lab, report).await,
            Self::Proxy => sections::proxy::run(lab, report).await,
            Self::Storage => sections::storage::run(lab, report).await,
            Self::Garbage => sections::garbage::run(lab, report).await,
            Self::Latency => sections::latency::run(lab, report).await,
            Self::Start => sections::start::run(lab, report).await,
            Self::Growth => sections::growth::run(lab, report).await,
            Self::Memory => sections::memory::run(lab, report).await,
            Self::Guard => sections::guard::run(lab, report).await,
            Self::ControlPlane => sections::control_plane::run(lab, report).await,
        }
    }
}
