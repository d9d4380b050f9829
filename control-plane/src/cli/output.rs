//! What a command writes.

use std::io::{IsTerminal, Write, stderr, stdout};

use serde_json::Value;

use super::failure::Failure;
use super::json;
use super::table::{self, Column};

/// What is in an answer this once, and what is told of it.
const SHOWN_ONCE: [(&str, &str); 2] = [
    ("token", "The token. It is shown this once; keep it safe:"),
    (
        "invitation",
        "The invitation. It is shown this once; whoever has it becomes the member:",
    ),
];

/// How results are written: tables for people, JSON for scripts.
pub struct Output {
    json: bool,
    style: table::Style,
}

impl Output {
    /// Looks at where the output goes.
    pub fn new(json: bool) -> Self {
        let is_terminal = stdout().is_terminal();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let columns = std::env::var("COLUMNS").ok();
        Self {
            json,
            style: table::Style {
                color: is_terminal && !no_color,
                width: columns.and_then(|text| text.parse().ok()),
            },
        }
    }

    /// Whether JSON is wanted.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// One value: as JSON, or field by field.
    ///
    /// # Errors
    /// When nobody reads it.
    pub fn value(&self, value: &Value) -> Result<(), Failure> {
        if self.json {
            line(&json::pretty(value))
        } else {
            line(&table::fields(value, self.style))
        }
    }

    /// Rows as a table.
    ///
    /// # Errors
    /// When nobody reads it.
    pub fn rows<'a>(
        &self,
        columns: &[Column],
        rows: impl Iterator<Item = &'a Value>,
    ) -> Result<(), Failure> {
        line(&table::rows(columns, rows, self.style))
    }

    /// The answer to a change: as JSON, or the thing itself field by field on standard error, where it does not mix with a
    /// token or an invitation on standard output.
    ///
    /// # Errors
    /// When nobody reads it.
    pub fn changed(&self, field: &str, answer: &Value) -> Result<(), Failure> {
        if self.json {
            return line(&json::pretty(answer));
        }
        if let Some(thing) = answer.get(field) {
            note(&table::fields(thing, self.style.plain()));
        }
        for (secret, told) in SHOWN_ONCE {
            if let Some(text) = answer.get(secret).and_then(Value::as_str) {
                note(told);
                line(&crate::terminal::clean(text))?;
            }
        }
        if answer.get("propagated") == Some(&Value::Bool(false)) {
            note("Not every edge has it yet; it is on its way.");
        }
        Ok(())
    }
}

/// A line on standard output.
///
/// # Errors
/// When nobody reads it.
pub fn line(text: &str) -> Result<(), Failure> {
    writeln!(stdout(), "{text}").map_err(Failure::from)
}

/// A line for people, on standard error; where nobody reads it, nothing is lost.
pub fn note(text: &str) {
    let _ = writeln!(stderr(), "{text}");
}
