//! Builds the Worker into edge/build/: cargo, wasm-bindgen, wasm-opt, and the hand-written JavaScript beside them.
//!
//! Each step is skipped when its input is what it was. Files are replaced whole and only when they differ, so that a
//! running `wrangler dev` reloads once for a change and not at all for none.

mod bindgen;
mod files;
mod names;
mod size;
mod vars;

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};

pub use vars::{Vars, write_private};

use size::Sizes;

use crate::exec;
use crate::project::Project;
use crate::report;
use crate::setup::{self, Tools, WasmToolchain};

/// What wasm-opt shall do and may use. The compiler has optimised already: higher levels take three times as long, and
/// their result is larger when gzipped. Functions of like names are alike, and compress better side by side. The features
/// are those that rustc's target enables by itself.
const WASM_OPT: [&str; 14] = [
    "-O1",
    "--duplicate-function-elimination",
    "--reorder-functions-by-name",
    "--enable-bulk-memory",
    "--enable-bulk-memory-opt",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
    "--rse",
    "--vacuum",
    "--strip-producers",
    "--strip-target-features",
];
/// The cargo profile of the edge.
const PROFILE: &str = "edge";
const WASM: &str = "keyward_edge_bg.wasm";
const GLUE: &str = "keyward_edge.js";
const ENTRY: &str = "worker.mjs";

/// `cargo xtask build-edge`.
pub fn run(project: &Project) -> Result<ExitCode> {
    let tools = setup::ensure(project)?;
    build(project, &tools)?;
    Ok(ExitCode::SUCCESS)
}

/// Where the built Worker is.
pub fn build_dir(project: &Project) -> PathBuf {
    project.path("edge/build")
}

/// Fails when the built Worker is larger than it may be.
pub fn check_size(project: &Project, tools: &Tools) -> Result<()> {
    sizes(project, tools)?.check()
}

/// How large the built Worker is when it is deployed.
pub fn sizes(project: &Project, tools: &Tools) -> Result<Sizes> {
    let build = build_dir(project);
    Sizes::measure(&tools.node, &build.join(WASM), &build.join(ENTRY))
}

/// Brings edge/build/ and `.dev.vars` up to date and says how large the Worker is.
pub fn build(project: &Project, tools: &Tools) -> Result<()> {
    let _lock = lock(project)?;
    vars::ensure(project)?;
    let compiled = compile(project, &tools.wasm)?;
    let build = build_dir(project);
    fs::create_dir_all(&build).with_context(|| format!("{} can't be made", build.display()))?;
    link(project, tools, &compiled)?;
    files::copy_changed(&project.path("edge/js"), &build, "mjs")?;
    let sizes = sizes(project, tools)?;
    report::line(&format!(
        "edge: {} in {}",
        sizes.describe(),
        build.display()
    ));
    Ok(())
}

/// Two builds at a time would mix their files: `wrangler dev` starts one of its own.
fn lock(project: &Project) -> Result<File> {
    let path = project.tools("build-edge.lock");
    fs::create_dir_all(project.tools(""))
        .and_then(|()| File::create(&path))
        .and_then(|file| file.lock().map(|()| file))
        .with_context(|| format!("{} can't be locked", path.display()))
}

fn compile(project: &Project, wasm: &WasmToolchain) -> Result<PathBuf> {
    let mut cargo = wasm.cargo(project);
    cargo.args(["build", "--package", "keyward-edge"]);
    cargo.args(["--profile", PROFILE, "--target", setup::WASM_TARGET]);
    exec::show(&mut cargo).context("the edge does not compile")?;
    Ok(wasm.output(project, PROFILE).join("keyward_edge.wasm"))
}

/// Makes wasm and glue from cargo's output, unless they were made from the same bytes in the same way.
fn link(project: &Project, tools: &Tools, compiled: &PathBuf) -> Result<()> {
    let input = fs::read(compiled).with_context(|| format!("{} is missing", compiled.display()))?;
    let build = build_dir(project);
    let recipe = format!("{} {WASM_OPT:?}", bindgen::RECIPE);
    let made_from = files::fingerprint(&[&input, recipe.as_bytes()]);
    let stamp = build.join(".made-from");
    let is_current = fs::read_to_string(&stamp).is_ok_and(|text| text == made_from);
    if is_current && build.join(WASM).is_file() && build.join(GLUE).is_file() {
        return Ok(());
    }
    // Without the stamp whatever stands there counts for nothing, should a step below fail.
    files::remove(&stamp)?;
    let stage = build.join(".stage");
    files::empty_dir(&stage)?;
    bindgen::generate(compiled, &stage, GLUE).context("wasm-bindgen refused the edge's wasm")?;
    let mut optimise = tools.node.script(project, "binaryen/bin/wasm-opt");
    optimise.args(WASM_OPT);
    optimise.args([stage.join(WASM), "-o".into(), stage.join("optimised.wasm")]);
    exec::capture(&mut optimise).context("wasm-opt refused the edge's wasm")?;
    fs::rename(stage.join("optimised.wasm"), stage.join(WASM))?;
    files::replace_with(&stage, &build)?;
    fs::remove_dir_all(&stage)?;
    fs::write(&stamp, made_from)?;
    Ok(())
}
