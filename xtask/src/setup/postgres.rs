//! PostgreSQL's own programs, for a cluster that the tests throw away.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::exec;

/// Names the folder that holds the programs, for who wants others than the newest.
const VARIABLE: &str = "KEYWARD_POSTGRES_BIN";
/// Where Debian keeps the programs of each major version, outside of `PATH`.
const VERSIONS: &str = "usr/lib/postgresql";
/// What a cluster is made and run with.
const NAMES: [&str; 2] = ["initdb", "postgres"];

/// The programs of one version.
#[derive(Debug)]
pub struct Postgres {
    folder: PathBuf,
    version: String,
}

impl Postgres {
    /// The first that works: those of the folder that `KEYWARD_POSTGRES_BIN` names; the system's newest; those of `PATH`;
    /// those that were unpacked before.
    pub fn find(unpacked: &Path) -> Option<Self> {
        let given = env::var_os(VARIABLE).filter(|value| !value.is_empty());
        if let Some(given) = given {
            return Self::inside(PathBuf::from(given));
        }
        let path = env::var_os("PATH").unwrap_or_default();
        versions(Path::new("/"))
            .into_iter()
            .chain(env::split_paths(&path))
            .chain([unpacked.to_path_buf()])
            .find_map(Self::inside)
    }

    /// The binaries of an unpacked package with their names, as paths below its root.
    ///
    /// # Errors
    /// When the package holds none.
    pub fn binaries_below(root: &Path) -> Result<Vec<(&'static str, String)>> {
        let newest = versions(root).into_iter().next();
        let newest = newest.context("Debian's package holds no PostgreSQL")?;
        let below = newest.strip_prefix(root)?.display().to_string();
        Ok(NAMES.map(|name| (name, format!("{below}/{name}"))).into())
    }

    /// The program that makes a cluster.
    pub fn initdb(&self) -> PathBuf {
        self.folder.join("initdb")
    }

    /// The server.
    pub fn server(&self) -> PathBuf {
        self.folder.join("postgres")
    }

    /// What a person is told about it.
    pub fn describe(&self) -> String {
        format!("{} ({})", self.version, self.folder.display())
    }

    fn inside(folder: PathBuf) -> Option<Self> {
        if !NAMES.iter().all(|name| folder.join(name).is_file()) {
            return None;
        }
        let output = exec::capture(Command::new(folder.join("postgres")).arg("--version")).ok()?;
        let version = output.stdout.trim().to_owned();
        Some(Self { folder, version })
    }
}

/// The folders of programs below a root, the newest version first.
fn versions(root: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root.join(VERSIONS));
    let mut found: Vec<(u32, PathBuf)> = entries
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    found.sort_by(|(a, _), (b, _)| b.cmp(a));
    found.into_iter().map(|(_, folder)| folder).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_numbers_and_the_newest_comes_first() -> Result<()> {
        let root = env::temp_dir().join(format!("keyward-versions-{}", std::process::id()));
        for version in ["9", "15", "17", "common"] {
            fs::create_dir_all(root.join(VERSIONS).join(version))?;
        }
        let found = versions(&root);
        let below = Postgres::binaries_below(&root);
        fs::remove_dir_all(&root)?;
        let expected =
            ["17", "15", "9"].map(|version| root.join(VERSIONS).join(version).join("bin"));
        assert_eq!(found, expected);
        let expected = "usr/lib/postgresql/17/bin/postgres".to_owned();
        assert!(below?.contains(&("postgres", expected)));
        Ok(())
    }
}
