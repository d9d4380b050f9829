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
    /// The Worker's compatibility flags, as `wrangler.toml` has them.
    pub compatibility_flags: Vec<String>,
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
            compatibility_flags: compatibility_flags(&wrangler),
        })
    }
}

/// A program that a test drives: its variable, and the names it goes by.
struct Program {
    variable: &'static str,
    names: &'static [&'static str],
}

const CHROMIUM: Program = Program {
    variable: "KEYWARD_CHROMIUM",
    names: &[
        "chromium",
        "chromium-browser",
        "google-chrome-stable",
        "google-chrome",
    ],
};
const NGINX: Program = Program {
    variable: "KEYWARD_NGINX",
    names: &["nginx"],
};
const CADDY: Program = Program {
    variable: "KEYWARD_CADDY",
    names: &["caddy"],
};
const NODE: Program = Program {
    variable: "KEYWARD_NODE",
    names: &["node"],
};
const PYTHON: Program = Program {
    variable: "KEYWARD_PYTHON",
    names: &["python3"],
};
/// Where servers are that a user's `PATH` often leaves out.
const SYSTEM_FOLDERS: [&str; 2] = ["/usr/local/sbin", "/usr/sbin"];

impl Parts {
    /// A Chromium: `KEYWARD_CHROMIUM`, else of the `PATH`.
    ///
    /// # Errors
    /// What is missing.
    pub fn chromium() -> Result<PathBuf, String> {
        CHROMIUM.find()
    }

    /// An nginx: `KEYWARD_NGINX`, else of the system.
    ///
    /// # Errors
    /// What is missing.
    pub fn nginx() -> Result<PathBuf, String> {
        NGINX.find()
    }

    /// A Caddy: `KEYWARD_CADDY`, else of the system.
    ///
    /// # Errors
    /// What is missing.
    pub fn caddy() -> Result<PathBuf, String> {
        CADDY.find()
    }

    /// A Node: `KEYWARD_NODE`, else the npm packages' own, else of the `PATH`.
    ///
    /// # Errors
    /// What is missing.
    pub fn node() -> Result<PathBuf, String> {
        let own = root().join("node_modules/.bin/node");
        if given(NODE.variable).is_none() && own.is_file() {
            return Ok(own);
        }
        NODE.find()
    }

    /// A Python 3: `KEYWARD_PYTHON`, else of the `PATH`.
    ///
    /// # Errors
    /// What is missing.
    pub fn python() -> Result<PathBuf, String> {
        PYTHON.find()
    }

    /// The folder of the npm packages: `KEYWARD_NODE_MODULES`, else the checkout's.
    pub fn node_modules() -> PathBuf {
        given("KEYWARD_NODE_MODULES").unwrap_or_else(|| root().join("node_modules"))
    }
}

impl Program {
    fn find(&self) -> Result<PathBuf, String> {
        let [name, ..] = self.names else {
            return Err(format!("{} names no program", self.variable));
        };
        if let Some(binary) = given(self.variable) {
            let why = || format!("there is no {name} at {}", binary.display());
            return binary.is_file().then(|| binary.clone()).ok_or_else(why);
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders: Vec<PathBuf> = std::env::split_paths(&path)
            .chain(SYSTEM_FOLDERS.map(PathBuf::from))
            .collect();
        let all = self
            .names
            .iter()
            .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
        let why = || format!("there is no {name}: `cargo xtask setup` brings one");
        all.into_iter().find(|file| file.is_file()).ok_or_else(why)
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
    let value = setting(wrangler, "compatibility_date")?;
    Some(value.trim_matches('"').to_owned())
}

fn compatibility_flags(wrangler: &str) -> Vec<String> {
    let list = setting(wrangler, "compatibility_flags").unwrap_or_default();
    let flags = list.trim_matches(['[', ']']).split(',');
    flags
        .map(|flag| flag.trim().trim_matches('"').to_owned())
        .filter(|flag| !flag.is_empty())
        .collect()
}

fn setting<'a>(wrangler: &'a str, name: &str) -> Option<&'a str> {
    let line = wrangler.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim_start().strip_prefix('=')?.trim())
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
