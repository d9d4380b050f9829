//! JSON that a terminal may show.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write};

use serde_json::Value;

/// On several lines.
pub fn pretty(value: &Value) -> String {
    escaped(&serde_json::to_string_pretty(value).unwrap_or_default())
}

/// On one line.
pub fn compact(value: &Value) -> String {
    escaped(&value.to_string())
}

/// The longest line that is held, in bytes.
const MAX_LINE: usize = 16 * 1024 * 1024;

/// Passes lines of JSON on, each as soon as it is whole, so that a terminal may show them.
pub struct Lines<W> {
    sink: W,
    begun: Vec<u8>,
}

impl<W: Write> Lines<W> {
    /// Nothing is written yet.
    pub fn to(sink: W) -> Self {
        let begun = Vec::new();
        Self { sink, begun }
    }
}

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let end = bytes.iter().rposition(|byte| *byte == b'\n');
        let (whole, begun) = bytes.split_at(end.map_or(0, |end| end + 1));
        if !whole.is_empty() {
            self.begun.extend_from_slice(whole);
            let text = String::from_utf8_lossy(&self.begun);
            self.sink.write_all(escaped(&text).as_bytes())?;
            self.begun.clear();
        }
        if self.begun.len() + begun.len() > MAX_LINE {
            let detail = format!("a line has more than {MAX_LINE} bytes");
            return Err(io::Error::new(ErrorKind::InvalidData, detail));
        }
        self.begun.extend_from_slice(begun);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

/// JSON itself escapes only the first 32 characters; those others that a terminal obeys are escaped here, which changes
/// nothing for who reads it: outside of strings none of them can stand.
fn escaped(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for character in json.chars() {
        if character == '\n' || !crate::terminal::is_unsafe(character) {
            safe.push(character);
            continue;
        }
        let mut units = [0; 2];
        for unit in character.encode_utf16(&mut units) {
            // A String takes everything.
            let _ = write!(safe, "\\u{unit:04x}");
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_written_and_nothing_is_lost() {
        let value = json!({"a": "\u{1b}[1m\u{9b}2J\n\u{7f}\u{202e}\u{e0041} é 漢", "b": [1, null]});
        for text in [pretty(&value), compact(&value)] {
            let is_safe = |c| c == '\n' || !crate::terminal::is_unsafe(c);
            assert!(text.chars().all(is_safe), "{text}");
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        }
    }

    #[test]
    fn lines_are_passed_on_whole_however_they_come() {
        let values = [json!({"a": "é漢\u{9b}"}), json!({"b": "\u{202e}x"})];
        let text: String = values.iter().map(|value| format!("{value}\n")).collect();
        for size in 1..text.len() {
            let mut written = Vec::new();
            let mut lines = Lines::to(&mut written);
            for piece in text.as_bytes().chunks(size) {
                lines.write_all(piece).unwrap();
            }
            let written = String::from_utf8(written).unwrap();
            let read: Vec<Value> = written
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            assert_eq!(read, values);
            let is_safe = |c| c == '\n' || !crate::terminal::is_unsafe(c);
            assert!(written.chars().all(is_safe), "{written:?}");
        }
    }
}
