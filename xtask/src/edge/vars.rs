//! `.dev.vars`: the Worker's secrets on this machine, read by `wrangler dev`, made once at random.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::project::Project;
use crate::random;

/// The variables of the Worker, in the order of the file.
pub struct Vars(Vec<(String, String)>);

impl Vars {
    /// Reads `.dev.vars`.
    pub fn read(project: &Project) -> Result<Self> {
        let path = path(project);
        let text = fs::read_to_string(&path)
            .with_context(|| format!("{} can't be read", path.display()))?;
        Ok(Self::parse(&text))
    }

    /// One variable's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        let pair = self.0.iter().rev().find(|(found, _)| found == name);
        pair.map(|(_, value)| value.as_str())
    }

    /// Sets a variable, or adds it.
    pub fn set(&mut self, name: &str, value: &str) {
        self.0.retain(|(found, _)| found != name);
        self.0.push((name.to_owned(), value.to_owned()));
    }

    /// Writes the variables for nobody else to read.
    pub fn write(&self, path: &Path) -> Result<()> {
        let lines: String = self
            .0
            .iter()
            .map(|(name, value)| format!("{name}=\"{value}\"\n"))
            .collect();
        write_private(path, &lines)
    }

    fn parse(text: &str) -> Self {
        let pairs = text.lines().filter_map(|line| {
            let line = line.trim();
            if line.starts_with('#') {
                return None;
            }
            let (name, value) = line.split_once('=')?;
            let value = value.trim();
            let value = ['"', '\'']
                .into_iter()
                .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
                .unwrap_or(value);
            Some((name.trim().to_owned(), value.to_owned()))
        });
        Self(pairs.collect())
    }
}

/// Makes `.dev.vars`, or adds to it what it lacks.
pub fn ensure(project: &Project) -> Result<()> {
    let path = path(project);
    let mut text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            "# The Worker's secrets on this machine, made by `cargo xtask build-edge`. Not to be committed.\n".to_owned()
        }
        Err(error) => return Err(error).with_context(|| format!("{} can't be read", path.display())),
    };
    let present = Vars::parse(&text);
    let before = text.len();
    let push_secret = STANDARD.encode(random::bytes::<32>()?);
    for (name, value) in [
        ("TAG_SECRET", hex::encode(random::bytes::<32>()?)),
        ("ASSERTION_SECRET", hex::encode(random::bytes::<32>()?)),
        ("PUSH_SECRET", format!("whsec_{push_secret}")),
        ("CONTROL_PLANE_URL", "http://127.0.0.1:8700".to_owned()),
    ] {
        if present.get(name).is_none() {
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(&format!("{name}=\"{value}\"\n"));
        }
    }
    if present.0.is_empty() || text.len() > before {
        write_private(&path, &text)?;
    }
    Ok(())
}

fn path(project: &Project) -> PathBuf {
    project.path(".dev.vars")
}

/// Writes a whole file that only its owner may read.
pub fn write_private(path: &Path, text: &str) -> Result<()> {
    let fresh = path.with_extension("new");
    let write = || -> io::Result<()> {
        let _ = fs::remove_file(&fresh);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(text.as_bytes())?;
        fs::rename(&fresh, path)
    };
    write().with_context(|| format!("{} can't be written", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_read_with_and_without_quotes() {
        let vars = Vars::parse("# C=1\nA=1\n B = \"x=y\" \nD='z'\nbroken\n");
        assert_eq!(vars.get("A"), Some("1"));
        assert_eq!(vars.get("B"), Some("x=y"));
        assert_eq!(vars.get("D"), Some("z"));
        assert_eq!(vars.get("C"), None);
        assert_eq!(vars.get("broken"), None);
    }

    #[test]
    fn the_last_value_counts_and_set_replaces() {
        let mut vars = Vars::parse("A=1\nA=2\n");
        assert_eq!(vars.get("A"), Some("2"));
        vars.set("A", "3");
        assert_eq!(vars.get("A"), Some("3"));
        assert_eq!(vars.0.len(), 1);
    }
}
