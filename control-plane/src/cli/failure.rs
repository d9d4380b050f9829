//! Why a command did not do what it was asked to, and the exit code that tells it to scripts.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use serde_json::Value;

use crate::terminal::clean;

/// Why a command failed.
#[derive(Debug)]
pub enum Failure {
    /// The server said no. Exit code 1.
    Refused(String),
    /// It can't be meant so. Exit code 2.
    Usage(String),
    /// The server can't be reached. Exit code 3.
    Unreachable(String),
    /// The answer is no, and it has been told. Exit code 1.
    Told,
    /// Whoever read the output is gone and has seen enough. Exit code 0.
    Unread,
}

impl Failure {
    /// The sentence, on standard error, and the code.
    pub fn tell(self) -> ExitCode {
        let (text, code) = match self {
            Self::Refused(text) => (text, 1),
            Self::Usage(text) => (text, 2),
            Self::Unreachable(text) => (text, 3),
            Self::Told => return ExitCode::from(1),
            Self::Unread => return ExitCode::SUCCESS,
        };
        // The code still tells, where nobody reads the text.
        let _ = writeln!(io::stderr(), "keyward: {text}");
        ExitCode::from(code)
    }

    /// An answer that is no success: what its problem document says, field by field.
    pub fn of_answer(status: u16, body: &[u8]) -> Self {
        let problem: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |field: &str| problem.get(field).and_then(Value::as_str).map(clean);
        let Some(detail) = text("detail").or_else(|| text("title")) else {
            return Self::Refused(format!("the server answered with status {status}"));
        };
        let mut told = match text("code") {
            Some(code) => format!("{detail} ({status} {code})"),
            None => format!("{detail} ({status})"),
        };
        let errors = problem.get("errors").and_then(Value::as_array);
        for error in errors.into_iter().flatten() {
            let part = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
            let (field, detail) = (clean(part("field")), clean(part("detail")));
            // A String takes everything.
            let _ = match field.is_empty() {
                true => write!(told, "\n  {detail}"),
                false => write!(told, "\n  {field}: {detail}"),
            };
        }
        Self::Refused(told)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::Unread,
            _ => Self::Usage(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(body: &str) -> String {
        match Failure::of_answer(422, body.as_bytes()) {
            Failure::Refused(text) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_problem_is_told_field_by_field() {
        let body = r#"{"title": "T", "detail": "Two fields can't be accepted", "code": "validation_failed",
            "errors": [{"field": "name", "detail": "is needed"}, {"field": "", "detail": "no \u001b[31m"}]}"#;
        assert_eq!(
            told(body),
            "Two fields can't be accepted (422 validation_failed)\n  name: is needed\n  no \\u{1b}[31m"
        );
    }

    #[test]
    fn an_answer_that_is_no_problem_document_is_told_by_its_status() {
        for body in ["", "<html>", "[]", "{}", r#"{"detail": 7}"#] {
            assert_eq!(told(body), "the server answered with status 422", "{body}");
        }
        assert_eq!(told(r#"{"title": "Only this"}"#), "Only this (422)");
    }
}
