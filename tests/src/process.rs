//! A program that tests start, kill and start again.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A program under test. It is killed, by its process id, when it is dropped, also by a panic.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
}

impl Process {
    /// Starts it; what it says is added to the file `log`.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Self {
        let open =
            || -> std::io::Result<File> { OpenOptions::new().create(true).append(true).open(log) };
        let child = open()
            .and_then(|out| {
                command
                    .stdin(Stdio::null())
                    .stderr(out.try_clone()?)
                    .stdout(out)
                    .spawn()
            })
            .unwrap_or_else(|error| panic!("{name} can't be started: {error}"));
        Self {
            child,
            name: name.to_owned(),
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends it with SIGKILL and waits until it is gone.
    pub fn kill(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Its name, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The text of a log, or of nothing.
pub fn read_log(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
