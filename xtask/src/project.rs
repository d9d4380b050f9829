//! Where the project's files are.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::exec;

/// The places that the commands read and write.
pub struct Project {
    root: PathBuf,
    tools: PathBuf,
    target: PathBuf,
}

impl Project {
    /// Finds the checkout that this xtask belongs to, its tools folder (`KEYWARD_TOOLS`, else `.tools`) and cargo's
    /// target folder.
    pub fn find() -> Result<Self> {
        let manifest = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest
            .parent()
            .context("xtask stands in no project folder")?
            .to_path_buf();
        let tools = env::var_os("KEYWARD_TOOLS")
            .filter(|value| !value.is_empty())
            .map_or_else(|| root.join(".tools"), |value| root.join(value));
        let target = target_dir(&root)?;
        Ok(Self {
            root,
            tools,
            target,
        })
    }

    /// A path below the root of the checkout.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// A path below the folder of tools that belong to this project alone.
    pub fn tools(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.tools.join(relative)
    }

    /// A path below cargo's target folder.
    pub fn target(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.target.join(relative)
    }

    /// A native binary of the workspace, built in the dev profile.
    pub fn binary(&self, name: &str) -> PathBuf {
        self.target(Path::new("debug").join(format!("{name}{}", env::consts::EXE_SUFFIX)))
    }

    /// The cargo that runs this xtask, in the root of the checkout.
    pub fn cargo(&self) -> Command {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(&self.root);
        command
    }
}

/// Cargo's word on its target folder: the environment or a configuration file may have moved it.
fn target_dir(root: &Path) -> Result<PathBuf> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(root)
        .args(["metadata", "--no-deps", "--format-version=1"]);
    let answer = exec::capture(&mut cargo)?;
    let metadata: serde_json::Value =
        serde_json::from_str(&answer.stdout).context("cargo metadata answered no JSON")?;
    metadata
        .get("target_directory")
        .and_then(serde_json::Value::as_str)
        .map(PathBuf::from)
        .context("cargo metadata names no target folder")
}
