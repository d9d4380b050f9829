//! What a search found, and how it is told.

use std::fmt;
use std::io::{self, Read};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::find::{Hit, Outcome, Scanner};
use crate::terminal::clean;

/// A token that was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The file; in a git history that of the first appearance; none for the message of a commit or tag.
    pub path: Option<String>,
    /// Counted from 1.
    pub line: u64,
    /// Of the token's first byte, counted from 1.
    pub column: u64,
    /// The token's beginning, through the first 4 random characters.
    pub start: String,
    /// Its last 8 characters.
    pub last8: String,
    /// SHA-256 of the whole token, in hex: what the server knows it by.
    pub sha256: String,
    /// The commit in which it first appeared, in a git history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// In how many versions of the file the history holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub versions: Option<u64>,
}

impl Finding {
    /// A token in a file.
    pub fn of(path: Option<String>, hit: Hit) -> Self {
        Self {
            path,
            line: hit.line,
            column: hit.column,
            start: hit.start,
            last8: hit.last8,
            sha256: hit.hash,
            commit: None,
            versions: None,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.as_deref().unwrap_or("(message)");
        write!(f, "{}:{}:{}: ", clean(path), self.line, self.column)?;
        write!(f, "{}…{}", self.start, self.last8)?;
        if let Some(commit) = &self.commit {
            let commit = commit.get(..12).unwrap_or(commit);
            write!(f, " first in commit {commit}")?;
        }
        match self.versions {
            Some(versions) if versions > 1 => write!(f, ", in {versions} versions"),
            _ => Ok(()),
        }
    }
}

/// How much was searched.
#[derive(Debug, Default, Clone, Copy)]
pub struct Totals {
    /// Files that were read.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Binary files that were left out.
    pub binary: u64,
    /// What could not be read.
    pub failed: u64,
}

impl Totals {
    /// One line for people.
    pub fn describe(&self, findings: usize) -> String {
        let mut text = format!(
            "{}: {} read, {}",
            counted(findings as u64, "token"),
            counted(self.files, "file"),
            size(self.bytes)
        );
        if self.binary > 0 {
            text += &format!("; {} left out as binary", self.binary);
        }
        if self.failed > 0 {
            text += &format!("; {} could not be read", self.failed);
        }
        text
    }
}

/// Gathers what several threads find.
pub struct Report {
    with_binary: bool,
    gathered: Mutex<Gathered>,
}

#[derive(Default)]
struct Gathered {
    findings: Vec<Finding>,
    totals: Totals,
}

impl Report {
    /// Nothing yet.
    pub fn new(with_binary: bool) -> Self {
        Self {
            with_binary,
            gathered: Mutex::default(),
        }
    }

    /// A scanner for one thread.
    pub fn scanner(&self) -> Scanner {
        Scanner::new(self.with_binary)
    }

    /// Searches one stream and counts it.
    pub fn scan(
        &self,
        scanner: &mut Scanner,
        name: &str,
        input: impl Read,
        found: &mut dyn FnMut(Hit),
    ) {
        let outcome = scanner.scan(input, found);
        let totals = &mut self.lock().totals;
        match outcome {
            Ok(Outcome::Read(bytes)) => {
                totals.files += 1;
                totals.bytes += bytes;
            }
            Ok(Outcome::Binary) => totals.binary += 1,
            Err(error) => {
                totals.failed += 1;
                tell(name, &error);
            }
        }
    }

    /// Notes a finding.
    pub fn add(&self, finding: Finding) {
        self.lock().findings.push(finding);
    }

    /// Notes, and tells on standard error, what could not be read.
    pub fn fail(&self, name: &str, why: &dyn fmt::Display) {
        self.lock().totals.failed += 1;
        tell(name, why);
    }

    /// All that was found, in order of path and place.
    pub fn finish(self) -> (Vec<Finding>, Totals) {
        let gathered = self.gathered.into_inner();
        let Gathered {
            mut findings,
            totals,
        } = gathered.unwrap_or_else(PoisonError::into_inner);
        findings.sort();
        (findings, totals)
    }

    fn lock(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell(name: &str, why: &dyn fmt::Display) {
    let why = why.to_string();
    // Standard error that is gone is no reason to stop.
    let _ = io::Write::write_all(
        &mut io::stderr(),
        format!("keyward: {}: {}\n", clean(name), clean(&why)).as_bytes(),
    );
}

fn counted(count: u64, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{plural}")
}

fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut name = "bytes";
    for unit in UNITS {
        if value < 1000.0 {
            break;
        }
        value /= 1000.0;
        name = unit;
    }
    let decimals = usize::from(name != "bytes");
    format!("{value:.decimals$} {name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_told_in_one_line() {
        let mut totals = Totals {
            files: 1,
            bytes: 999,
            ..Totals::default()
        };
        assert_eq!(totals.describe(0), "0 tokens: 1 file read, 999 bytes");
        totals = Totals {
            files: 2,
            bytes: 1_540_000,
            binary: 3,
            failed: 4,
        };
        let expected = "1 token: 2 files read, 1.5 MB; 3 left out as binary; 4 could not be read";
        assert_eq!(totals.describe(1), expected);
    }
}
