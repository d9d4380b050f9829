//! What the parts write: whole into a file each, short and with their name to the terminal.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write, stdout};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use anyhow::{Context, Result};

/// Longer lines are cut on the terminal, not in the file.
const TERMINAL_WIDTH: usize = 200;

/// The log of one part, fed by its two output streams.
pub struct Log {
    name: &'static str,
    file: Arc<Mutex<File>>,
    readers: Vec<JoinHandle<()>>,
}

impl Log {
    /// Starts an empty log file.
    pub fn create(name: &'static str, path: &Path) -> Result<Self> {
        let file =
            File::create(path).with_context(|| format!("{} can't be made", path.display()))?;
        Ok(Self {
            name,
            file: Arc::new(Mutex::new(file)),
            readers: Vec::new(),
        })
    }

    /// Reads a stream until its end, in a thread of its own.
    pub fn follow(&mut self, stream: impl Read + Send + 'static) {
        let (name, file) = (self.name, Arc::clone(&self.file));
        self.readers.push(std::thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while matches!(stream.read_until(b'\n', &mut line), Ok(read) if read > 0) {
                // A part must not stop because its log can't be written: a full disk shows elsewhere.
                if let Ok(mut file) = file.lock() {
                    let _ = file.write_all(&line);
                }
                if let Some(text) = shorten(&String::from_utf8_lossy(&line)) {
                    let _ = writeln!(stdout(), "{name:>13} | {text}");
                }
                line.clear();
            }
        }));
    }

    /// Waits until both streams have ended and so everything is in the file.
    pub fn finish(&mut self) {
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }
}

/// A line as the terminal shows it; nothing for a blank one.
fn shorten(line: &str) -> Option<String> {
    let line = line.trim_end();
    if line.is_empty() {
        return None;
    }
    let mut characters = line.chars();
    let mut text: String = characters.by_ref().take(TERMINAL_WIDTH).collect();
    if characters.next().is_some() {
        text.push('…');
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_cut_between_characters_and_blank_ones_left_out() {
        assert_eq!(shorten("  a \n").as_deref(), Some("  a"));
        assert_eq!(shorten(" \r\n"), None);
        let long = "é".repeat(TERMINAL_WIDTH + 1);
        let cut = shorten(&long);
        assert_eq!(cut, Some("é".repeat(TERMINAL_WIDTH) + "…"));
    }
}
