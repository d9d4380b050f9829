//! Installs what is missing, pinned. A second run finds everything in place and asks no network.

mod apt;
mod components;
mod debian;
mod lockfile;
mod node;
mod postgres;
mod programs;
mod wasm;

use std::process::ExitCode;

use anyhow::Result;

pub use components::ensure as ensure_components;
pub use node::Node;
pub use postgres::Postgres;
pub use programs::{Programs, ensure as ensure_programs, ensure_postgres};
pub use wasm::{TARGET as WASM_TARGET, WasmToolchain};

use crate::project::Project;
use crate::report;

/// The tools that the other commands work with.
pub struct Tools {
    /// Node and the npm packages.
    pub node: Node,
    /// The compiler for the edge.
    pub wasm: WasmToolchain,
}

/// `cargo xtask setup`: makes sure of the tools and of the programs that tests drive, and says where they are.
pub fn run(project: &Project) -> Result<ExitCode> {
    report::line("Setting up");
    let tools = ensure(project)?;
    report::fact("wasm32-unknown-unknown", &tools.wasm.describe());
    report::fact("Node", &tools.node.describe());
    report::fact("npm packages", "as package-lock.json has them");
    ensure_programs(project);
    Ok(ExitCode::SUCCESS)
}

/// Finds the tools, or installs them; speaks only of what it installs.
pub fn ensure(project: &Project) -> Result<Tools> {
    let wasm = wasm::ensure(project)?;
    let node = node::ensure(project)?;
    Ok(Tools { node, wasm })
}
