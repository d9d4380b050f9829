//! Starts the parts, watches them and stops them all together.

use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use super::part::Part;
use super::signals::Signals;
use crate::http::Client;
use crate::report;

/// How often the parts are looked at.
const TICK: Duration = Duration::from_millis(50);
/// How long a part may take to stop by itself.
const GRACE: Duration = Duration::from_secs(5);
/// How long the system may take to end what was killed.
const REAPING: Duration = Duration::from_secs(5);
/// Lines of a dead part's log that are shown.
const TAIL: usize = 20;

/// Whether a part came to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// It answers.
    Yes,
    /// We were told to stop before it did.
    Interrupted,
}

/// The running parts.
pub struct Supervisor {
    logs: PathBuf,
    grace: Duration,
    parts: Vec<Part>,
}

impl Supervisor {
    /// No parts yet; their logs go to this folder.
    pub fn new(logs: PathBuf) -> Self {
        Self {
            logs,
            grace: GRACE,
            parts: Vec::new(),
        }
    }

    /// Starts a part.
    pub fn start(&mut self, name: &'static str, command: &mut Command) -> Result<()> {
        self.parts.push(Part::start(name, command, &self.logs)?);
        Ok(())
    }

    /// Waits until the URL answers 200; an error when a part dies or patience ends before.
    pub fn await_ready(
        &mut self,
        name: &str,
        url: &str,
        patience: Duration,
        signals: &Signals,
    ) -> Result<Ready> {
        let client = Client::new(Duration::from_secs(2));
        let deadline = Instant::now() + patience;
        loop {
            if signals.take() {
                return Ok(Ready::Interrupted);
            }
            self.check()?;
            let last = match client.get(url, None) {
                Ok(answer) if answer.status == 200 => return Ok(Ready::Yes),
                Ok(answer) => format!("{url} answers {}", answer.status),
                Err(error) => error.to_string(),
            };
            if Instant::now() >= deadline {
                return Err(anyhow!(
                    "{name} did not become ready within {} s: {last}, see {}",
                    patience.as_secs(),
                    self.logs.join(format!("{name}.log")).display()
                ));
            }
            sleep(TICK);
        }
    }

    /// Stays until a signal comes; an error when a part dies.
    pub fn watch(&mut self, signals: &Signals) -> Result<()> {
        while !signals.take() {
            self.check()?;
            sleep(TICK);
        }
        Ok(())
    }

    /// Stops what still runs: asks, waits, and after a while or at a second signal insists.
    pub fn stop(&mut self, signals: &Signals) {
        for part in &self.parts {
            part.terminate();
        }
        let deadline = Instant::now() + self.grace;
        while self.any_alive() && Instant::now() < deadline && !signals.take() {
            sleep(TICK);
        }
        for part in &mut self.parts {
            if part.is_alive() {
                report::fact(part.name(), "did not stop by itself, killed");
                part.kill();
            }
        }
        // Reaps what was killed, so that nothing of it is left when we return.
        let deadline = Instant::now() + REAPING;
        while self.any_alive() && Instant::now() < deadline {
            sleep(TICK);
        }
    }

    fn any_alive(&mut self) -> bool {
        // Each one is asked, because asking collects what has ended.
        let alive = self.parts.iter_mut().map(Part::is_alive);
        alive.filter(|is_alive| *is_alive).count() > 0
    }

    /// An error that says which part ended, how, and what it said last.
    fn check(&mut self) -> Result<()> {
        for part in &mut self.parts {
            if let Some(status) = part.ended() {
                // What it started may hold its log open.
                part.kill();
                let tail = part.tail(TAIL);
                report::line(&format!(
                    "--- the last of {} ---\n{tail}\n---",
                    part.log_path().display()
                ));
                return Err(anyhow!(
                    "{} ended by itself ({status}), everything else is being stopped",
                    part.name()
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A supervisor with one part, a shell script.
    fn supervise(name: &'static str, script: &str) -> Result<Supervisor> {
        let logs =
            std::env::temp_dir().join(format!("keyward-xtask-{name}-{}", std::process::id()));
        fs::create_dir_all(&logs)?;
        let mut parts = Supervisor::new(logs);
        parts.grace = Duration::from_millis(200);
        parts.start(name, Command::new("sh").args(["-c", script]))?;
        Ok(parts)
    }

    /// Waits for a line in a part's log.
    fn await_log(parts: &Supervisor, name: &str, line: &str) -> Result<String> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let text = fs::read_to_string(parts.logs.join(format!("{name}.log")))?;
            if text.contains(line) {
                return Ok(text);
            }
            anyhow::ensure!(Instant::now() < deadline, "{line} is not in the log");
            sleep(TICK);
        }
    }

    #[test]
    fn a_part_that_ends_by_itself_is_named_with_how_it_ended() -> Result<()> {
        let mut parts = supervise("mortal", "echo last words; exit 3")?;
        let error = parts.watch(&Signals::none()).err();
        let text = error.map(|error| error.to_string()).unwrap_or_default();
        assert!(
            text.starts_with("mortal ended by itself (exit status: 3)"),
            "{text}"
        );
        await_log(&parts, "mortal", "last words")?;
        parts.stop(&Signals::none());
        fs::remove_dir_all(&parts.logs)?;
        Ok(())
    }

    #[test]
    fn a_part_that_dies_before_it_answers_ends_the_wait() -> Result<()> {
        let mut parts = supervise("stillborn", "exit 1")?;
        // Nobody listens on the discard port.
        let url = "http://127.0.0.1:9/";
        let patience = Duration::from_secs(30);
        let waited = parts.await_ready("stillborn", url, patience, &Signals::none());
        let text = waited
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        assert!(text.starts_with("stillborn ended by itself"), "{text}");
        fs::remove_dir_all(&parts.logs)?;
        Ok(())
    }

    #[test]
    fn stop_ends_a_part_that_will_not_and_what_it_started() -> Result<()> {
        let script = "trap '' TERM; sleep 100 & echo started; while :; do sleep 100; done";
        let mut parts = supervise("stubborn", script)?;
        await_log(&parts, "stubborn", "started")?;
        assert!(parts.any_alive());
        parts.stop(&Signals::none());
        assert!(!parts.any_alive());
        fs::remove_dir_all(&parts.logs)?;
        Ok(())
    }
}
