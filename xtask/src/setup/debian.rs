//! Debian's Rust as the compiler for wasm32, where rustup's server is out of reach.
//!
//! Debian packages the compiler and the sources of the standard library, not the library for wasm32. It is built once
//! from those sources, as part of an empty crate, and kept in a sysroot of the project's own: nothing below /usr changes
//! but by apt. The code for wasm32 has a target folder of its own, because two compilers in one rebuild each other's work.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::apt;
use super::wasm::{SMALL_SHA, TARGET, holds_std};
use crate::exec;
use crate::project::Project;
use crate::report::Step;

const CARGO: &str = "/usr/bin/cargo";
const RUSTC: &str = "/usr/bin/rustc";
const PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];

/// Debian's compiler with a standard library for wasm32.
pub struct Toolchain {
    sysroot: PathBuf,
    linker: PathBuf,
    version: String,
}

impl Toolchain {
    /// Debian's cargo, set to compile for wasm32 with our sysroot.
    pub fn cargo(&self, project: &Project) -> Command {
        let mut cargo = plain_cargo();
        cargo
            .current_dir(project.path(""))
            .env("CARGO_TARGET_DIR", target_dir(project))
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", &self.linker)
            .env(
                "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS",
                format!("--sysroot={} {SMALL_SHA}", self.sysroot.display()),
            );
        cargo
    }

    /// What a person is told about it.
    pub fn describe(&self) -> String {
        format!("Debian's {} in {}", self.version, self.sysroot.display())
    }
}

/// Where Debian's cargo puts what it compiles.
pub fn target_dir(project: &Project) -> PathBuf {
    project.target("wasm-debian")
}

/// The toolchain, if it is installed and its standard library was built by this very compiler.
pub fn find(project: &Project) -> Option<Toolchain> {
    let version = version().ok()?;
    let sysroot = project.tools("wasm-debian");
    let built_by = fs::read_to_string(sysroot.join("version")).ok()?;
    if built_by != version || !holds_std(&libdir(&sysroot)) {
        return None;
    }
    Some(Toolchain {
        sysroot,
        linker: linker().ok()?,
        version,
    })
}

/// Finds the toolchain, or installs and builds what is missing.
pub fn ensure(project: &Project) -> Result<Toolchain> {
    if let Some(toolchain) = find(project) {
        return Ok(toolchain);
    }
    let sources = Path::new("/usr/lib/rustlib/src/rust/library/Cargo.toml");
    if version().is_err() || !Path::new(CARGO).is_file() || !sources.is_file() {
        install_packages()?;
    }
    let linker = linker()?;
    build_std(project, &linker)?;
    find(project).context("Debian's compiler built no standard library for wasm32")
}

/// What Debian's compiler calls itself; an error where there is none.
fn version() -> Result<String> {
    let output = exec::capture(Command::new(RUSTC).arg("--version"))?;
    Ok(output.stdout.trim().to_owned())
}

fn install_packages() -> Result<()> {
    let names = PACKAGES.join(" ");
    if !apt::is_there() {
        bail!("this is no Debian system, add the target to your Rust toolchain and run this again");
    }
    if !rustix::process::geteuid().is_root() {
        bail!("as root, run `apt-get install {names}`, then run this again");
    }
    let step = Step::begin("Debian's Rust", "apt-get install, 500 MB");
    apt::install(&PACKAGES)?;
    step.done("installed");
    Ok(())
}

/// Debian's cargo without anything that rustup or an outer cargo set.
fn plain_cargo() -> Command {
    let mut cargo = Command::new(CARGO);
    for name in ["CARGO", "RUSTUP_TOOLCHAIN", "RUSTFLAGS", "LD_LIBRARY_PATH"] {
        cargo.env_remove(name);
    }
    cargo.env("RUSTC", RUSTC);
    cargo
}

fn build_std(project: &Project, linker: &Path) -> Result<()> {
    let step = Step::begin(
        "wasm32 standard library",
        "built once from Debian's sources",
    );
    let work = project.tools("wasm-debian-build");
    let source = work.join("src");
    fs::create_dir_all(&source).with_context(|| format!("{} can't be made", source.display()))?;
    let manifest =
        "[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2021\"\n[workspace]\n";
    fs::write(work.join("Cargo.toml"), manifest)?;
    fs::write(source.join("lib.rs"), "")?;

    let mut cargo = plain_cargo();
    cargo
        .current_dir(&work)
        .args(["build", "--release", "--target", TARGET])
        .arg("-Zbuild-std=std,panic_abort,proc_macro")
        .env("CARGO_TARGET_DIR", work.join("target"))
        .env("RUSTC_BOOTSTRAP", "1")
        // Whoever links with this library may want link-time optimisation.
        .env("RUSTFLAGS", "-Cembed-bitcode=yes")
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
    exec::capture(&mut cargo).context("the standard library for wasm32 could not be built")?;

    let built = work.join("target").join(TARGET).join("release/deps");
    fill_sysroot(&project.tools("wasm-debian"), &built)?;
    fs::remove_dir_all(&work)?;
    step.done("built");
    Ok(())
}

/// Lays out a sysroot: the system's libraries by link, those for wasm32 as built. The version comes last and so says that
/// the rest is complete.
fn fill_sysroot(sysroot: &Path, built: &Path) -> Result<()> {
    if sysroot.exists() {
        fs::remove_dir_all(sysroot)?;
    }
    let libdir = libdir(sysroot);
    fs::create_dir_all(&libdir)?;
    for entry in fs::read_dir("/usr/lib/rustlib")? {
        let entry = entry?;
        if entry.file_name() != TARGET {
            symlink(
                entry.path(),
                sysroot.join("lib/rustlib").join(entry.file_name()),
            )?;
        }
    }
    for entry in fs::read_dir(built)? {
        let path = entry?.path();
        let is_library = path
            .extension()
            .is_some_and(|extension| extension == "rlib");
        if let (true, Some(name)) = (is_library, path.file_name()) {
            fs::copy(&path, libdir.join(name))?;
        }
    }
    fs::write(sysroot.join("version"), version()?)?;
    Ok(())
}

fn libdir(sysroot: &Path) -> PathBuf {
    sysroot.join("lib/rustlib").join(TARGET).join("lib")
}

/// A linker for wasm: the `rust-lld` of any toolchain on this machine, else one that Debian has.
fn linker() -> Result<PathBuf> {
    let mut places = vec![PathBuf::from("/usr/lib/rustlib")];
    if let Ok(sysroot) = exec::capture(Command::new("rustc").args(["--print", "sysroot"])) {
        places.push(Path::new(sysroot.stdout.trim()).join("lib/rustlib"));
    }
    for place in places {
        for entry in fs::read_dir(place).into_iter().flatten().flatten() {
            let linker = entry.path().join("bin/rust-lld");
            if linker.is_file() {
                return Ok(linker);
            }
        }
    }
    for name in ["wasm-ld-22", "wasm-ld-19", "wasm-ld"] {
        let found = env::var_os("PATH").and_then(|path| {
            env::split_paths(&path)
                .map(|folder| folder.join(name))
                .find(|file| file.is_file())
        });
        if let Some(linker) = found {
            return Ok(linker);
        }
    }
    bail!("no linker for wasm was found: install Debian's package lld-22 and run this again")
}
