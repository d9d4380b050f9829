//! One running program with all that it started.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::Result;
use rustix::process::{Pid, Signal, kill_process_group};

use super::log::Log;
use crate::exec;

/// A program in a process group of its own, so that its helpers are stopped with it.
pub struct Part {
    name: &'static str,
    child: Child,
    log: Log,
    log_path: PathBuf,
}

impl Part {
    /// Starts a program; its output goes to `folder/name.log` and to the terminal.
    pub fn start(name: &'static str, command: &mut Command, folder: &Path) -> Result<Self> {
        let log_path = folder.join(format!("{name}.log"));
        let mut log = Log::create(name, &log_path)?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        die_with_us(command);
        let mut child = command
            .spawn()
            .map_err(|error| exec::start_error(name, &error))?;
        if let Some(stream) = child.stdout.take() {
            log.follow(stream);
        }
        if let Some(stream) = child.stderr.take() {
            log.follow(stream);
        }
        Ok(Self {
            name,
            child,
            log,
            log_path,
        })
    }

    /// The part's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Where its whole output is.
    pub fn log_path(&self) -> &Path {
        &self.log_path
    }

    /// How the program ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Whether anything of its process group still runs.
    pub fn is_alive(&mut self) -> bool {
        // Without collecting the child first, the group would seem alive for its sake.
        let own = self.ended().is_none();
        own || rustix::process::test_kill_process_group(self.group()).is_ok()
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Stops it without asking.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// The last lines of its log, for the person who has to find out why it ended.
    pub fn tail(&mut self, lines: usize) -> String {
        self.log.finish();
        let text = fs::read(&self.log_path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let all: Vec<&str> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let from = all.len().saturating_sub(lines);
        all.get(from..).unwrap_or_default().join("\n")
    }

    fn group(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    fn signal(&self, signal: Signal) {
        // Nobody left in the group is what is wanted.
        let _ = kill_process_group(self.group(), signal);
    }
}

/// Has the system end the program should this one die without a chance to (SIGKILL).
#[cfg(target_os = "linux")]
fn die_with_us(command: &mut Command) {
    let request = || {
        rustix::process::set_parent_process_death_signal(Some(Signal::TERM))
            .map_err(std::io::Error::from)
    };
    // SAFETY: between fork and exec the closure makes one system call and touches no memory of ours.
    unsafe {
        command.pre_exec(request);
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with_us(_: &mut Command) {}
