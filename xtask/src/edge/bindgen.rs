//! wasm-bindgen, as the library that Cargo.lock holds to the version of the edge's own dependency.

use std::path::Path;

use anyhow::Result;
use wasm_bindgen_cli_support::Bindgen;

/// Stands for the options below: to be changed with them, so that the edge is generated anew.
pub const RECIPE: &str = "wasm-bindgen web, reset state";

/// Generates the JavaScript glue and the wasm that fits it.
pub fn generate(compiled: &Path, to: &Path) -> Result<()> {
    let mut bindgen = Bindgen::new();
    bindgen
        .input_path(compiled)
        .out_name("keyward_edge")
        // The `web` mode exports `initSync`: the entry hands it the module that the Worker's bundle holds.
        .web(true)?
        .typescript(false)
        .omit_default_module_path(true)
        // Lets the entry start a fresh instance after a trap.
        .reset_state_function(true)
        .generate(to)
}
