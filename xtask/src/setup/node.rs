//! Node and the npm packages, in the versions of package-lock.json.
//!
//! The lock also holds a Node of its own for Linux: npm links it as `node_modules/.bin/node`, so `npx wrangler` runs on
//! it however old the system's Node is. Elsewhere the system's Node must be new enough for wrangler itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};

use super::lockfile;
use crate::exec::{self, Failure};
use crate::project::Project;
use crate::report::Step;

/// The oldest Node that npm and our package.json are meant for.
const OLDEST_FOR_NPM: (u32, u32) = (20, 0);
/// The oldest Node that wrangler runs on.
const OLDEST_FOR_WRANGLER: (u32, u32) = (22, 12);

/// A Node new enough for wrangler, and the folder of its packages.
pub struct Node {
    binary: PathBuf,
    version: String,
    modules: PathBuf,
}

impl Node {
    /// The path of the Node binary.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// The path of `node_modules`.
    pub fn modules(&self) -> &Path {
        &self.modules
    }

    /// The real `workerd` binary, without the JavaScript in front of it.
    pub fn workerd(&self) -> Result<PathBuf> {
        let platform = match (std::env::consts::OS, std::env::consts::ARCH) {
            ("linux", "x86_64") => "linux-64",
            ("linux", "aarch64") => "linux-arm64",
            ("macos", "x86_64") => "darwin-64",
            ("macos", "aarch64") => "darwin-arm64",
            (os, arch) => bail!("workerd, the Workers runtime, does not exist for {os} on {arch}"),
        };
        let path = self
            .modules
            .join(format!("@cloudflare/workerd-{platform}/bin/workerd"));
        if !path.is_file() {
            bail!(
                "workerd is missing in node_modules: remove that folder and run `cargo xtask setup`"
            );
        }
        Ok(path)
    }

    /// A command of wrangler, in the root of the checkout, that asks nothing and sends no statistics.
    pub fn wrangler(&self, project: &Project) -> Command {
        let mut command = self.script(project, "wrangler/bin/wrangler.js");
        command
            .env("WRANGLER_SEND_METRICS", "false")
            .env("WRANGLER_HIDE_BANNER", "true")
            .env("WRANGLER_LOG_PATH", project.path(".wrangler/logs"));
        command
    }

    /// A script of a package, run by this Node.
    pub fn script(&self, project: &Project, script: &str) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .current_dir(project.path(""))
            .arg(self.modules.join(script));
        command
    }

    /// What a person is told about it.
    pub fn describe(&self) -> String {
        format!("{} ({})", self.version, self.binary.display())
    }
}

/// Finds Node and the packages; runs `npm ci` when they are not those of the lock.
pub fn ensure(project: &Project) -> Result<Node> {
    let modules = project.path("node_modules");
    let in_place = lockfile::installed(&project.path("package-lock.json"), &modules)?;
    if in_place && let Some(node) = find(&modules) {
        return Ok(node);
    }
    install(project)?;
    find(&modules).ok_or_else(|| {
        anyhow!(
            "wrangler needs Node {}.{} or newer and none was found: install one and run this again",
            OLDEST_FOR_WRANGLER.0,
            OLDEST_FOR_WRANGLER.1
        )
    })
}

/// The first Node that wrangler runs on: the packages' own, else the system's.
fn find(modules: &Path) -> Option<Node> {
    [modules.join(".bin/node"), PathBuf::from("node")]
        .into_iter()
        .find_map(|binary| {
            let version = version_of(&binary)?;
            at_least(&version, OLDEST_FOR_WRANGLER).then(|| Node {
                binary,
                version,
                modules: modules.to_path_buf(),
            })
        })
}

fn install(project: &Project) -> Result<()> {
    let system = version_of(Path::new("node")).with_context(|| {
        format!(
            "Node was not found: install Node {} or newer with npm and run this again",
            OLDEST_FOR_NPM.0
        )
    })?;
    if !at_least(&system, OLDEST_FOR_NPM) {
        bail!(
            "Node {system} is too old: install Node {} or newer with npm and run this again",
            OLDEST_FOR_NPM.0
        );
    }
    let step = Step::begin(
        "npm packages",
        "wrangler, workerd, binaryen, playwright; 160 MB, only the first time",
    );
    let mut npm = Command::new("npm");
    npm.current_dir(project.path("")).args([
        "ci",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
        "--include=dev",
        "--include=optional",
        // npm's own patience (minutes) hides that there is no network.
        "--fetch-retries=2",
        "--fetch-retry-mintimeout=1000",
        "--fetch-retry-maxtimeout=5000",
    ]);
    exec::capture(&mut npm).map_err(|error| explain(error, project))?;
    step.done("installed");
    Ok(())
}

/// Turns npm's many lines into the sentence that helps.
fn explain(error: anyhow::Error, project: &Project) -> anyhow::Error {
    let Some(failure) = error.downcast_ref::<Failure>() else {
        return anyhow!("{error}: install Node with npm and run this again");
    };
    let says = |words: &[&str]| words.iter().any(|word| failure.output.contains(word));
    if says(&[
        "ENOTFOUND",
        "EAI_AGAIN",
        "ECONNREFUSED",
        "ECONNRESET",
        "ENETUNREACH",
        "EHOSTUNREACH",
        "ETIMEDOUT",
        "ERR_SOCKET_TIMEOUT",
    ]) {
        anyhow!("npm could not reach its registry: connect to the network and run this again")
    } else if says(&["ENOSPC"]) || is_full(&project.path("")) {
        anyhow!("the disk is full: the npm packages need 600 MB")
    } else if says(&["EACCES", "EPERM", "EROFS"]) {
        anyhow!("npm may not write to node_modules: check who owns the folder")
    } else {
        error
    }
}

/// Whether the disk is full or nearly so: what npm starts then fails in ways that do not say it.
fn is_full(folder: &Path) -> bool {
    rustix::fs::statvfs(folder).is_ok_and(|disk| disk.f_bavail * disk.f_frsize < 50_000_000)
}

/// What `node --version` says, such as `v22.23.3`; nothing where there is no working Node.
fn version_of(node: &Path) -> Option<String> {
    let output = exec::capture(Command::new(node).arg("--version")).ok()?;
    Some(output.stdout.trim().to_owned())
}

/// Whether a version such as `v22.23.3` is at least `(major, minor)`.
fn at_least(version: &str, oldest: (u32, u32)) -> bool {
    let mut numbers = version
        .trim_start_matches('v')
        .split('.')
        .map(|number| number.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) >= oldest,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(at_least("v22.12.0", (22, 12)));
        assert!(at_least("v22.100.0", (22, 12)));
        assert!(at_least("v100.0.0", (22, 12)));
        assert!(!at_least("v22.9.0", (22, 12)));
        assert!(!at_least("v20.20.2", (22, 12)));
        assert!(!at_least("", (22, 12)));
        assert!(!at_least("vx.y", (22, 12)));
    }
}
