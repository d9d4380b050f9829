//! The real parts that tests need, and what becomes of a test when one is missing.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Where the real parts are.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The workerd binary.
    pub workerd: PathBuf,
    /// The folder of the built edge.
    pub edge_build: PathBuf,
    /// The `keyward` binary.
    pub keyward: PathBuf,
    /// The Worker's compatibility date, as `wrangler.toml` has it.
    pub compatibility_date: String,
}

const EDGE_FILES: [&str; 4] = [
    "worker.mjs",
    "proxy.mjs",
    "keyward_edge.js",
    "keyward_edge_bg.wasm",
];

impl Parts {
    /// Finds them: `KEYWARD_WORKERD`, `KEYWARD_EDGE_BUILD` and `KEYWARD_BIN`, or else where `cargo xtask` and cargo
    /// put them. Without `KEYWARD_BIN` the `keyward` binary is built first, so that it is never an old one.
    ///
    /// # Errors
    /// What is missing.
    pub fn find() -> Result<Self, String> {
        let root = root();
        let workerd = given("KEYWARD_WORKERD")
            .unwrap_or_else(|| root.join("node_modules/@cloudflare/workerd-linux-64/bin/workerd"));
        if !workerd.is_file() {
            return Err(format!("there is no workerd at {}", workerd.display()));
        }
        let edge_build = given("KEYWARD_EDGE_BUILD").unwrap_or_else(|| root.join("edge/build"));
        for file in EDGE_FILES {
            if !edge_build.join(file).is_file() {
                return Err(format!("{} has no {file}", edge_build.display()));
            }
        }
        let wrangler = std::fs::read_to_string(root.join("wrangler.toml"))
            .map_err(|error| format!("wrangler.toml can't be read: {error}"))?;
        let keyward = keyward(&root)?;
        Ok(Self {
            workerd,
            edge_build,
            keyward,
            compatibility_date: compatibility_date(&wrangler)
                .ok_or("wrangler.toml has no compatibility_date")?,
        })
    }
}

/// The repository's folder.
pub fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_owned()
}

fn given(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

fn keyward(root: &Path) -> Result<PathBuf, String> {
    if let Some(binary) = given("KEYWARD_BIN") {
        return if binary.is_file() {
            Ok(binary)
        } else {
            Err(format!("there is no keyward at {}", binary.display()))
        };
    }
    static BUILT: OnceLock<bool> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args([
            "build",
            "--quiet",
            "--package",
            "keyward",
            "--bin",
            "keyward",
        ]);
        cargo
            .current_dir(root)
            .status()
            .is_ok_and(|status| status.success())
    });
    assert!(built, "the control plane does not build");
    let folder = given("CARGO_TARGET_DIR").unwrap_or_else(|| root.join("target"));
    Ok(folder.join("debug/keyward"))
}

fn compatibility_date(wrangler: &str) -> Option<String> {
    let line = wrangler
        .lines()
        .find_map(|line| line.strip_prefix("compatibility_date"))?;
    let value = line.trim_start().strip_prefix('=')?.trim();
    Some(value.trim_matches('"').to_owned())
}

/// Says that a test can't run here, and why.
///
/// # Panics
/// Where `CI` is `true`: there every test must run.
pub fn skip(name: &str, why: &str) {
    println!("SKIPPED: {name}: {why}");
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "{name} must not be skipped in CI: {why}"
    );
}
