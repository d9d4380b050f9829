//! Debian's packages: installed by the system's apt, or unpacked into a folder of the project's own.
//!
//! Unpacking needs no root, starts no service and changes nothing outside that folder. apt does the rest as ever: it
//! finds what the system lacks, and checks every signature and hash.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, anyhow, bail};

use crate::exec::{self, Failure, Output};
use crate::project::Project;

const APT_GET: &str = "/usr/bin/apt-get";
const DPKG_DEB: &str = "/usr/bin/dpkg-deb";

/// Whether this is a system with apt.
pub fn is_there() -> bool {
    Path::new(APT_GET).is_file() && Path::new(DPKG_DEB).is_file()
}

/// Installs packages into the system; only root may.
///
/// # Errors
/// The sentence that helps, out of apt's many lines.
pub fn install(packages: &[&str]) -> Result<()> {
    let mut update = quiet();
    run(update.arg("update"))?;
    let mut install = quiet();
    install.args(["install", "--yes", "--no-install-recommends"]);
    run(install.args(packages)).map(drop)
}

/// apt with lists and a cache of its own.
pub struct Apt {
    state: PathBuf,
}

impl Apt {
    /// Reads the lists of what Debian has now.
    ///
    /// # Errors
    /// Where there is no apt, or it reaches no server.
    pub fn update(project: &Project) -> Result<Self> {
        if !is_there() {
            bail!("this is no Debian system");
        }
        let state = project.tools("apt");
        for folder in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(state.join(folder))?;
        }
        let apt = Self { state };
        run(apt.command().arg("update"))?;
        Ok(apt)
    }

    /// Unpacks a package, and with it all that it depends on and the system lacks, into `folder`.
    ///
    /// # Errors
    /// Where there is no such package, or no way to it.
    pub fn unpack(&self, package: &str, folder: &Path) -> Result<()> {
        let mut simulate = self.command();
        simulate.args(["--simulate", "--no-install-recommends", "install", package]);
        let lacking = lacking(&run(&mut simulate)?.stdout);
        if lacking.is_empty() {
            bail!("Debian's package {package} is installed already, yet its program is not found");
        }
        let archives = self.state.join("archives").join(package);
        if archives.exists() {
            fs::remove_dir_all(&archives)?;
        }
        fs::create_dir_all(&archives)?;
        let mut download = self.command();
        download.current_dir(&archives).arg("download");
        run(download.args(lacking))?;
        for archive in fs::read_dir(&archives)? {
            let mut unpack = Command::new(DPKG_DEB);
            unpack.arg("--extract").arg(archive?.path()).arg(folder);
            exec::capture(&mut unpack)?;
        }
        fs::remove_dir_all(&archives)?;
        Ok(())
    }

    /// Removes the lists and the cache.
    pub fn forget(self) {
        // What stays behind is in nobody's way.
        let _ = fs::remove_dir_all(&self.state);
    }

    fn command(&self) -> Command {
        let mut command = quiet();
        for (setting, place) in [
            ("Dir::State::lists", "lists"),
            ("Dir::Cache", "cache"),
            ("Dir::Cache::archives", "cache/archives"),
        ] {
            let place = self.state.join(place);
            command.args(["-o", &format!("{setting}={}", place.display())]);
        }
        // As root apt would download as a user who may not write here.
        command.args(["-o", "APT::Sandbox::User=root", "-o", "Debug::NoLocking=1"]);
        command
    }
}

fn quiet() -> Command {
    let mut command = Command::new(APT_GET);
    command
        .arg("--quiet")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("LC_ALL", "C");
    command
}

fn run(command: &mut Command) -> Result<Output> {
    exec::capture(command).map_err(explain)
}

/// `name=version` of each package that a simulated installation names:
/// `Inst caddy (2.6.2-5 Debian:12.11/oldstable [amd64])`, with `[old version]` before the bracket for an upgrade.
fn lacking(simulation: &str) -> Vec<String> {
    simulation
        .lines()
        .filter_map(|line| {
            let rest = line.strip_prefix("Inst ")?;
            let (name, rest) = rest.split_once(' ')?;
            let (_, rest) = rest.split_once('(')?;
            let (version, _) = rest.split_once(' ')?;
            Some(format!("{name}={version}"))
        })
        .collect()
}

/// Turns apt's many lines into the sentence that helps.
fn explain(error: anyhow::Error) -> anyhow::Error {
    let output = error.downcast_ref::<Failure>().map(|f| f.output.as_str());
    let output = output.unwrap_or_default();
    if output.contains("Failed to fetch") {
        return anyhow!(
            "apt could not reach its servers: connect to the network and run this again"
        );
    }
    let last = output
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("E: "));
    let reason = last.map_or_else(|| error.to_string(), str::to_owned);
    anyhow!("Debian's packages can't be had: {reason}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulation_names_what_the_system_lacks_with_its_version() {
        let text = "NOTE: This is only a simulation!\nReading package lists...\n\
             Inst libexpat1 [2.5.0-1] (2.5.0-1+deb12u1 Debian:12.11/oldstable [amd64])\n\
             Inst nginx-common (1.22.1-9+deb12u1 Debian:12.11/oldstable [all])\n\
             Conf nginx-common (1.22.1-9+deb12u1 Debian:12.11/oldstable [all])\n";
        assert_eq!(
            lacking(text),
            ["libexpat1=2.5.0-1+deb12u1", "nginx-common=1.22.1-9+deb12u1"]
        );
    }
}
