//! Plans: what JavaScript is told to do with a request, as one string.

use serde::{Deserialize, Serialize};
use shared::Millis;

/// A header's name in lower case, and its value.
pub type Header = (&'static str, String);

/// What is to be done with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// The gate answers itself.
    Answer {
        /// HTTP status.
        status: u16,
        /// JSON, or nothing.
        body: String,
        /// Headers.
        headers: Vec<Header>,
    },
    /// The request goes to the upstream.
    Forward(Box<Forward>),
    /// A request to `/.keyward/…`, whose body is needed first.
    Control,
}

/// The way to the upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// Where to.
    pub url: String,
    /// How long the upstream may take to begin its answer, in milliseconds.
    pub timeout: u32,
    /// What the gate needs again when the upstream has answered.
    pub ticket: Ticket,
    /// Headers for the upstream.
    pub to_upstream: Vec<Header>,
    /// Headers for the caller; `vary` is appended, the others replace.
    pub to_caller: Vec<Header>,
}

/// What the gate needs again when the upstream has answered. It travels through JavaScript, so that nothing
/// is left behind in wasm by a request that is cut off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The key.
    pub key: String,
    /// The account whose guard keeps the usage.
    pub account: String,
    /// The API.
    pub api: String,
    /// The API's name, for a refusal.
    pub realm: String,
    /// The request's id.
    pub request: String,
    /// When the request arrived.
    pub at: Millis,
    /// What it cost, in units.
    pub cost: u32,
}

impl Plan {
    /// One line each: see `edge/js/proxy.mjs`.
    pub fn encode(&self) -> String {
        let mut lines = Lines::default();
        match self {
            Self::Control => lines.push("control"),
            Self::Answer {
                status,
                body,
                headers,
            } => {
                lines.push("answer");
                lines.push(&status.to_string());
                lines.push(body);
                lines.pairs(headers);
            }
            Self::Forward(forward) => {
                lines.push("forward");
                lines.push(&forward.url);
                lines.push(&forward.timeout.to_string());
                lines.push(&serde_json::to_string(&forward.ticket).unwrap_or_default());
                lines.push(&(forward.to_upstream.len() * 2).to_string());
                lines.pairs(&forward.to_upstream);
                lines.pairs(&forward.to_caller);
            }
        }
        lines.0
    }
}

#[derive(Default)]
struct Lines(String);

impl Lines {
    /// Adds a line. A line break inside would shift every line after it, and is no part of any header value
    /// or compact JSON, so it becomes a space.
    fn push(&mut self, line: &str) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        if line.contains(['\n', '\r']) {
            self.0.push_str(&line.replace(['\n', '\r'], " "));
        } else {
            self.0.push_str(line);
        }
    }

    fn pairs(&mut self, headers: &[Header]) {
        for (name, value) in headers {
            self.push(name);
            self.push(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_breaks_cannot_smuggle_headers() {
        let plan = Plan::Answer {
            status: 200,
            body: String::new(),
            headers: vec![("x-a", "1\r\nx-b: 2".into())],
        };
        assert_eq!(plan.encode(), "answer\n200\n\nx-a\n1  x-b: 2");
    }
}
