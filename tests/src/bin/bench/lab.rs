//! What every section works with.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use keyward_tests::Parts;
use tempfile::TempDir;

use crate::compare::Pace;
use crate::edge::{Edge, Settings};
use crate::floor::OBSERVER;
use crate::workerd::{Module, Worker, Workerd};

const MEMORY: &str = "/dev/shm";
/// What a million keys in guard and KV take, and some more.
const ROOM: u64 = 4_000_000_000;

/// The folder that lives in memory, where there is one with room.
fn memory() -> Option<PathBuf> {
    let output = Command::new("df")
        .args(["--output=avail", "-B1", MEMORY])
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let room: u64 = text.lines().nth(1)?.trim().parse().ok()?;
    (output.status.success() && room >= ROOM).then(|| PathBuf::from(MEMORY))
}

/// A copy of the built edge, so that a build under way does not change what is measured between two sections.
fn snapshot(build: &Path, folder: &Path) -> Result<PathBuf> {
    let copy = folder.join("edge-build");
    std::fs::create_dir(&copy)?;
    for entry in std::fs::read_dir(build)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            std::fs::copy(entry.path(), copy.join(entry.file_name()))?;
        }
    }
    Ok(copy)
}

/// The real parts, a folder for everything that runs, and how long to measure.
pub struct Lab {
    /// workerd and the built edge.
    pub parts: Parts,
    /// Only a glance at everything.
    pub quick: bool,
    /// Also what takes minutes by itself.
    pub long: bool,
    /// Size of the Worker as it is deployed, gzipped, in bytes, where that was measured.
    pub bundle: Option<usize>,
    folder: TempDir,
}

impl Lab {
    /// An empty lab.
    ///
    /// # Errors
    /// When a part is missing.
    pub fn open(quick: bool, long: bool, bundle: Option<usize>) -> Result<Self> {
        let mut parts = Parts::find().map_err(anyhow::Error::msg)?;
        let folder = tempfile::Builder::new()
            .prefix("keyward-bench-")
            .tempdir_in(memory().unwrap_or_else(std::env::temp_dir))?;
        parts.edge_build = snapshot(&parts.edge_build, folder.path())?;
        Ok(Self {
            parts,
            quick,
            long,
            bundle,
            folder,
        })
    }

    /// Where storage is, for people.
    pub fn disk(&self) -> &'static str {
        if self.folder.path().starts_with(MEMORY) {
            "in memory (tmpfs), so that the machine's disk has no say"
        } else {
            "on this machine's disk"
        }
    }

    /// How long entrants of a comparison are measured.
    pub fn pace(&self) -> Pace {
        if self.quick {
            Pace {
                rounds: 3,
                turns: 4,
            }
        } else {
            Pace {
                rounds: 7,
                turns: 8,
            }
        }
    }

    /// For files of no process.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A new folder for a process.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let mut path = self.folder.path().join(name);
        for number in 2.. {
            if !path.exists() {
                break;
            }
            path = self.folder.path().join(format!("{name}-{number}"));
        }
        std::fs::create_dir_all(&path)?;
        Ok(path)
    }

    /// The built edge.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn edge(&self, settings: &Settings) -> Result<Edge> {
        Edge::start(&self.parts, &self.folder("edge")?, settings).await
    }

    /// The built edge, observed.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn observed(&self, upstream: &str) -> Result<Edge> {
        let settings = Settings {
            upstream: upstream.to_owned(),
            around: OBSERVER.to_vec(),
            ..Settings::default()
        };
        Edge::start(&self.parts, &self.folder("observed")?, &settings).await
    }

    /// A Worker of one file in `tests/bench/`, named after it.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn worker(&self, name: &'static str, variables: &[(&str, &str)]) -> Result<Workerd> {
        let modules = vec![Module::ours(&format!("bench/{name}.mjs"))?];
        let mut worker = Worker::plain(name, modules);
        for (name, value) in variables {
            worker = worker.variable(name, value);
        }
        Workerd::start(&self.parts, &self.folder(name)?, &[worker]).await
    }
}
