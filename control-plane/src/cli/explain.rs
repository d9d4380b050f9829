//! `keyward explain`: why a request passes or is refused.

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::Run;
use super::connection::Session;
use super::failure::Failure;
use super::find::{Care, find};
use super::json::compact;
use super::keys::KEYS;
use super::login::read_secret;
use super::output::line;
use super::resource::put;
use super::table::Column;
use crate::terminal::clean;

const STEPS: [Column; 5] = [
    Column::made("", sign),
    Column::id("STEP", "/step"),
    Column::status("OUTCOME", "/outcome"),
    Column::made("SAW", saw),
    Column::text("WHY", "/detail"),
];

/// Options of `explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// The guarded host, with its port if it has one.
    #[arg(long)]
    host: String,
    /// The key, by name or id; its current token is taken to be presented.
    #[arg(long, conflicts_with = "token_stdin")]
    key: Option<String>,
    /// Read the token as presented from standard input. The server neither keeps nor logs it.
    #[arg(long)]
    token_stdin: bool,
    /// The method; GET by default.
    #[arg(long)]
    method: Option<String>,
    /// The path, with the query or without; / by default.
    #[arg(long)]
    path: Option<String>,
    /// The web page's origin: https://app.example.com.
    #[arg(long)]
    origin: Option<String>,
    /// The client's address.
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<String>,
    /// When, as 2027-01-31T09:30:00Z; by default now.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// End with exit code 1 if the request is refused.
    #[arg(long)]
    exit_code: bool,
}

impl Run for Explain {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let is_judge = self.exit_code;
        let body = self.body(session).await?;
        let explained = session.client.send(Method::POST, "explain", Some(&body));
        let explained = explained.await?;
        if session.output.is_json() {
            session.output.value(&explained)?;
        } else {
            let steps = explained.get("steps").and_then(Value::as_array);
            session.output.rows(&STEPS, steps.into_iter().flatten())?;
            line(&verdict(&explained))?;
        }
        let is_allowed = explained.get("allowed") == Some(&Value::Bool(true));
        match is_judge && !is_allowed {
            true => Err(Failure::Told),
            false => Ok(()),
        }
    }
}

impl Explain {
    async fn body(self, session: &Session) -> Result<Value, Failure> {
        let mut body = json!({"host": self.host});
        if let Some(key) = &self.key {
            let id = find(session, &KEYS, key, Care::Reading).await?;
            put(&mut body, "keyId", Some(id));
        }
        if self.token_stdin {
            let token = read_secret("Token: ")?;
            put(&mut body, "token", Some(token.expose()));
        }
        let given = [
            ("method", self.method),
            ("path", self.path),
            ("origin", self.origin),
            ("ip", self.ip),
            ("at", self.at),
        ];
        for (field, value) in given {
            put(&mut body, field, value);
        }
        Ok(body)
    }
}

fn sign(step: &Value) -> String {
    let sign = match step.get("outcome").and_then(Value::as_str) {
        Some("passed") => "✓",
        Some("failed") => "✗",
        Some("skipped") => "–",
        _ => "?",
    };
    sign.to_owned()
}

/// What a step looked at: `name value, name value`.
fn saw(step: &Value) -> String {
    let fields = step.get("saw").and_then(Value::as_object);
    let told = fields
        .into_iter()
        .flatten()
        .map(|(name, value)| match value {
            Value::String(text) => format!("{name} {text}"),
            other => format!("{name} {}", compact(other)),
        });
    told.collect::<Vec<_>>().join(", ")
}

fn verdict(explained: &Value) -> String {
    let Some(refusal) = explained
        .get("refusal")
        .filter(|refusal| refusal.is_object())
    else {
        return "It passes, as far as its quota is not used up.".to_owned();
    };
    let text = |field| {
        clean(
            refusal
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or_default(),
        )
    };
    let status = refusal.get("status").and_then(Value::as_u64).unwrap_or(0);
    format!(
        "It is refused: {} ({status} {})",
        text("detail"),
        text("code")
    )
}
