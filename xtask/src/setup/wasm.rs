//! A Rust toolchain that compiles for wasm32-unknown-unknown.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};

use super::debian;
use crate::exec;
use crate::project::Project;
use crate::report::Step;

/// The target of the edge.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// Which toolchain compiles the edge.
pub enum WasmToolchain {
    /// The one that runs this xtask.
    Active,
    /// Debian's, with a standard library built here.
    Debian(debian::Toolchain),
}

impl WasmToolchain {
    /// A cargo command that compiles for wasm32; `--target` is still to be given.
    pub fn cargo(&self, project: &Project) -> Command {
        let mut cargo = match self {
            Self::Active => project.cargo(),
            Self::Debian(toolchain) => toolchain.cargo(project),
        };
        // Flags meant for the machine's own processor would break the wasm build.
        cargo
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS");
        if matches!(self, Self::Active) {
            let mut flags = remapped();
            flags.push(SMALL_SHA.to_owned());
            cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join(FLAG_END));
        }
        cargo
    }

    /// Where cargo puts what it compiles for wasm32 in the given profile.
    pub fn output(&self, project: &Project, profile: &str) -> PathBuf {
        let target = match self {
            Self::Active => project.target(""),
            Self::Debian(_) => debian::target_dir(project),
        };
        target.join(TARGET).join(profile)
    }

    /// Whether the toolchain's clippy can check wasm32 code.
    pub fn has_clippy(&self) -> bool {
        matches!(self, Self::Active)
    }

    /// What a person is told about it.
    pub fn describe(&self) -> String {
        match self {
            Self::Active => "part of the active toolchain".to_owned(),
            Self::Debian(toolchain) => toolchain.describe(),
        }
    }
}

/// The smaller of sha2's two codes: 2 KB less of the Worker, gzipped, and no slower there.
pub const SMALL_SHA: &str = "--cfg=sha2_backend_soft=\"compact\"";

/// Between the flags of `CARGO_ENCODED_RUSTFLAGS`.
const FLAG_END: &str = "\u{1f}";

/// Flags that keep the folders of this machine's dependencies out of the Worker: they are nobody's business, and its size
/// would hang on their names.
fn remapped() -> Vec<String> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(env::home_dir()?.join(".cargo")));
    let sources = home.and_then(|home| fs::read_dir(home.join("registry/src")).ok());
    let folders = sources.into_iter().flatten().flatten();
    folders
        .map(|folder| format!("--remap-path-prefix={}=deps", folder.path().display()))
        .collect()
}

/// Finds a toolchain for wasm32, or installs what is missing for one.
///
/// `KEYWARD_WASM_TOOLCHAIN=debian` takes Debian's even where rustup's would do.
pub fn ensure(project: &Project) -> Result<WasmToolchain> {
    match env::var("KEYWARD_WASM_TOOLCHAIN").as_deref() {
        Err(_) | Ok("" | "rustup") => {}
        Ok("debian") => return debian::ensure(project).map(WasmToolchain::Debian),
        Ok(other) => bail!("KEYWARD_WASM_TOOLCHAIN is `{other}`, but may be `rustup` or `debian`"),
    }
    if has_std(&active_libdir()) {
        return Ok(WasmToolchain::Active);
    }
    if let Some(toolchain) = debian::find(project) {
        return Ok(WasmToolchain::Debian(toolchain));
    }
    let step = Step::begin(TARGET, "rustup target add, only the first time");
    let refused = match exec::capture(Command::new("rustup").args(["target", "add", TARGET])) {
        Ok(_) if has_std(&active_libdir()) => {
            step.done("installed");
            return Ok(WasmToolchain::Active);
        }
        Ok(_) => "rustup added the target to another toolchain than the active one".to_owned(),
        Err(error) => first_cause(&error),
    };
    step.done("not to be had from rustup, trying Debian's packages");
    debian::ensure(project)
        .map(WasmToolchain::Debian)
        .with_context(|| {
            format!("the Rust target {TARGET} is missing ({refused}) and Debian's is no help")
        })
}

/// The folder that holds the active toolchain's standard library for wasm32, if it has one.
fn active_libdir() -> Result<PathBuf> {
    let output = exec::capture(Command::new("rustc").args([
        "--print",
        "target-libdir",
        "--target",
        TARGET,
    ]))?;
    Ok(PathBuf::from(output.stdout.trim()))
}

fn has_std(libdir: &Result<PathBuf>) -> bool {
    libdir.as_deref().is_ok_and(holds_std)
}

/// Whether a folder holds a compiled standard library.
pub fn holds_std(libdir: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(libdir) else {
        return false;
    };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("libstd-") && name.ends_with(".rlib")
    })
}

/// The first line of an error that says something, without rustup's progress lines.
fn first_cause(error: &anyhow::Error) -> String {
    let text = match error.downcast_ref::<exec::Failure>() {
        Some(failure) => failure.output.clone(),
        None => error.to_string(),
    };
    text.lines()
        .map(str::trim)
        .find_map(|line| line.strip_prefix("error: "))
        .map_or_else(|| exec::last_lines(&text, 1), str::to_owned)
}
