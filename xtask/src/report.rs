//! What the commands tell the person who runs them: one line for each step, with its time.

use std::io::{IsTerminal, Write, stderr};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A step that takes time. On a terminal a clock runs beside it; dropped before [`Step::done`] it says so.
pub struct Step {
    name: String,
    started: Instant,
    clock: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Step {
    /// Announces a step and what to expect of it.
    pub fn begin(name: &str, expect: &str) -> Self {
        let started = Instant::now();
        let text = if expect.is_empty() {
            format!("  {name} …")
        } else {
            format!("  {name} … ({expect})")
        };
        let clock = if stderr().is_terminal() {
            Some(run_clock(text, started))
        } else {
            line(&text);
            None
        };
        Self {
            name: name.to_owned(),
            started,
            clock,
        }
    }

    /// Ends the step and says what came of it.
    pub fn done(mut self, result: &str) {
        self.stop_clock();
        let seconds = self.started.elapsed().as_secs_f64();
        line(&format!("  {}: {result} ({seconds:.1} s)", self.name));
    }

    fn stop_clock(&mut self) {
        if let Some((stop, thread)) = self.clock.take() {
            drop(stop);
            // The clock thread can't fail in a way that matters here.
            let _ = thread.join();
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.stop_clock();
    }
}

fn run_clock(text: String, started: Instant) -> (Sender<()>, JoinHandle<()>) {
    let (stop, stopped) = channel::<()>();
    let thread = std::thread::spawn(move || {
        let mut terminal = stderr();
        loop {
            let seconds = started.elapsed().as_secs();
            // A terminal that is gone is no reason to fail the step.
            let _ = write!(terminal, "\r\x1b[K{text} {seconds} s");
            let _ = terminal.flush();
            if stopped.recv_timeout(Duration::from_secs(1)) != Err(RecvTimeoutError::Timeout) {
                let _ = write!(terminal, "\r\x1b[K");
                return;
            }
        }
    });
    (stop, thread)
}

/// One line of text. A terminal that was closed meanwhile is no reason to stop.
pub fn line(text: &str) {
    let _ = writeln!(stderr(), "{text}");
}

/// Something found as it should be.
pub fn fact(name: &str, text: &str) {
    line(&format!("  {name}: {text}"));
}
