//! wasm-bindgen, as the library that Cargo.lock holds to the version of the edge's own dependency.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use wasm_bindgen_cli_support::Bindgen;

use super::names::Names;

/// Stands for what is done below: to be changed with it, so that the edge is generated anew.
pub const RECIPE: &str = "wasm-bindgen web, reset state, short names of imports and exports";

/// Generates the JavaScript glue and the wasm that fits it.
pub fn generate(compiled: &Path, to: &Path, glue: &str) -> Result<()> {
    let mut bindgen = Bindgen::new();
    bindgen
        .input_path(compiled)
        .out_name("keyward_edge")
        // The `web` mode exports `initSync`: the entry hands it the module that the Worker's bundle holds.
        .web(true)?
        .typescript(false)
        .omit_default_module_path(true)
        // Lets the entry start a fresh instance after a trap.
        .reset_state_function(true);
    let mut output = bindgen.generate_output()?;
    let mut names = Names::of(output.js());
    let wasm = output.wasm_mut();
    for import in wasm.imports.iter_mut() {
        names.shorten_import(&mut import.name);
    }
    for export in wasm.exports.iter_mut() {
        names.shorten_export(&mut export.name);
    }
    output.emit(to)?;
    let path = to.join(glue);
    let text = fs::read_to_string(&path)?;
    fs::write(&path, names.written_in(&text)?)
        .with_context(|| format!("{} can't be written", path.display()))
}
