//! Running other programs to their end.

use std::io;
use std::process::{Command, Stdio};

use anyhow::{Result, anyhow, bail};

/// What a program wrote.
pub struct Output {
    /// Standard output, invalid UTF-8 replaced.
    pub stdout: String,
    /// Standard error, invalid UTF-8 replaced.
    pub stderr: String,
}

/// A program that ended with an error.
#[derive(Debug)]
pub struct Failure {
    program: String,
    /// Everything it wrote, standard error last.
    pub output: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let last = last_lines(&self.output, 3);
        if last.is_empty() {
            write!(formatter, "{} failed", self.program)
        } else {
            write!(formatter, "{} failed: {last}", self.program)
        }
    }
}

impl std::error::Error for Failure {}

/// Runs a program without a terminal and returns what it wrote; an error of its own is a [`Failure`].
pub fn capture(command: &mut Command) -> Result<Output> {
    let program = name(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| start_error(&binary(command), &error))?;
    let written = Output {
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    };
    if output.status.success() {
        return Ok(written);
    }
    Err(Failure {
        program,
        output: written.stdout + &written.stderr,
    }
    .into())
}

/// Runs a program that writes to our terminal itself.
pub fn show(command: &mut Command) -> Result<()> {
    let program = name(command);
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|error| start_error(&binary(command), &error))?;
    if !status.success() {
        bail!("{program} failed, see its messages above");
    }
    Ok(())
}

/// The sentence for a program that could not be started.
pub fn start_error(program: &str, error: &io::Error) -> anyhow::Error {
    if error.kind() == io::ErrorKind::NotFound {
        anyhow!("{program} was not found on this machine")
    } else {
        anyhow!("{program} could not be started: {error}")
    }
}

/// The last lines of a text that say something, joined to one line.
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let from = lines.len().saturating_sub(count);
    lines.get(from..).unwrap_or_default().join("; ")
}

/// How messages call a command: the program's file name and its first argument, such as `cargo build`.
fn name(command: &Command) -> String {
    let mut name = binary(command);
    if let Some(first) = command.get_args().next() {
        let first = std::path::Path::new(first);
        if let Some(file) = first.file_name() {
            name.push(' ');
            name.push_str(&file.to_string_lossy());
        }
    }
    name
}

/// The program's file name.
fn binary(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_which_program_and_its_last_words() {
        let error = capture(Command::new("sh").args(["-c", "echo one; echo two >&2; exit 3"]))
            .err()
            .map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("sh -c failed: one; two"));
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = capture(Command::new("keyward-no-such-program").arg("start"))
            .err()
            .map(|error| error.to_string());
        assert_eq!(
            error.as_deref(),
            Some("keyward-no-such-program was not found on this machine")
        );
    }

    #[test]
    fn last_lines_skip_blank_ones() {
        assert_eq!(last_lines("a\n\n b \n\nc\n", 2), "b; c");
        assert_eq!(last_lines("", 2), "");
    }
}
