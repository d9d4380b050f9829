//! `.keyward/`: what a local Keyward keeps from one start to the next.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::demo::Demo;
use super::ports::Ports;
use crate::edge::write_private;
use crate::project::Project;
use crate::random;

/// The folder of a local Keyward.
pub struct State {
    _lock: File,
    folder: PathBuf,
    admin_token: String,
}

impl State {
    /// Makes sure that no other process has the folder, for as long as the lock lives. Its file is not in the folder
    /// itself, which `fresh` removes.
    pub fn lock(project: &Project) -> Result<File> {
        let path = project.tools("dev.lock");
        let file = fs::create_dir_all(project.tools(""))
            .and_then(|()| File::create(&path))
            .with_context(|| format!("{} can't be made", path.display()))?;
        if file.try_lock().is_err() {
            bail!("`cargo xtask dev` already runs in this checkout");
        }
        Ok(file)
    }

    /// Opens the folder, or makes it; `fresh` forgets what it held.
    pub fn open(project: &Project, lock: File, fresh: bool) -> Result<Self> {
        let folder = project.path(".keyward");
        if fresh && folder.exists() {
            fs::remove_dir_all(&folder)
                .with_context(|| format!("{} can't be removed", folder.display()))?;
        }
        let logs = folder.join("logs");
        fs::create_dir_all(&logs).with_context(|| format!("{} can't be made", logs.display()))?;
        let admin_token = admin_token(&folder.join("admin-token"))?;
        Ok(Self {
            _lock: lock,
            folder,
            admin_token,
        })
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Where the parts' logs are.
    pub fn logs(&self) -> PathBuf {
        self.path("logs")
    }

    /// The token of the local control plane's first admin.
    pub fn admin_token(&self) -> &str {
        &self.admin_token
    }

    /// What an earlier start wrote into `dev.json`, null if there was none.
    pub fn previous(&self) -> Value {
        fs::read_to_string(self.path("dev.json"))
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default()
    }

    /// Writes `dev.json`, for scripts that want to talk to the running parts.
    pub fn write(&self, ports: &Ports, demo: &Demo) -> Result<()> {
        let content = json!({
            "controlPlane": ports.control_plane(),
            "dashboard": ports.control_plane(),
            "edge": ports.edge(),
            "upstream": ports.upstream(),
            "adminToken": self.admin_token,
            "demoKey": demo.token,
        });
        write_private(&self.path("dev.json"), &format!("{content:#}\n"))
    }
}

/// The token kept in this file; made at the first start.
fn admin_token(path: &Path) -> Result<String> {
    if let Ok(text) = fs::read_to_string(path)
        && !text.trim().is_empty()
    {
        return Ok(text.trim().to_owned());
    }
    let token = format!("kwa_{}", random::base62(40)?);
    write_private(path, &token)?;
    Ok(token)
}
