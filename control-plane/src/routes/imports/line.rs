//! One line of an import: a key's settings and the hash of its token.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use shared::Millis;
use shared::record::KeyState;
use shared::token::{Hints, KeyHash};

use super::lines::MAX_LINE;
use crate::environment::Named;
use crate::error::{ApiError, FieldError};
use crate::http::body;
use crate::routes::keys::input::{self, CreateKey};
use crate::store::imports::Refusal;
use crate::store::keys::KeySettings;
use crate::timestamp::Timestamp;
use crate::validate::Checks;

/// The longest of `start`, in characters.
const MAX_START: usize = 64;
/// Members of an export that an import does not need.
const PASSED_OVER: [&str; 9] = [
    "id",
    "accountId",
    "updatedAt",
    "lastUsedAt",
    "usageCount",
    "version",
    "leak",
    "rotation",
    "rotationDueAt",
];
const STATES: [(&str, KeyState); 4] = [
    ("active", KeyState::Active),
    // As an export tells them: both are states of a moment.
    ("expired", KeyState::Active),
    ("rate_limited", KeyState::Active),
    ("revoked", KeyState::Revoked),
];

/// A line, read.
#[derive(Debug)]
pub struct Line {
    number: u64,
    content: Result<Box<NewKey>, Vec<FieldError>>,
}

/// A key to be made.
#[derive(Debug)]
pub struct NewKey {
    /// The line that it stands on.
    pub line: u64,
    /// The SHA-256 of its token.
    pub hash: KeyHash,
    /// What people see of the token.
    pub hints: Hints,
    /// Where it may be used.
    pub environment: Named,
    /// Whether it may be used.
    pub state: KeyState,
    /// Everything else.
    pub settings: KeySettings,
    /// When it was made, if that is told.
    pub created_at: Option<Millis>,
}

/// What a line comes to.
#[derive(Debug)]
pub enum Checked {
    /// A key to be made.
    New(Box<NewKey>),
    /// The account has it already.
    Existing,
    /// It can't be taken.
    Refused(Refusal),
}

impl Line {
    /// Reads a line.
    pub fn read(number: u64, text: &[u8], now: Millis) -> Self {
        Self {
            number,
            content: read(number, text, now).map(Box::new),
        }
    }

    /// The hash, if the line could be read.
    pub fn hash(&self) -> Option<&KeyHash> {
        self.content.as_ref().ok().map(|key| &key.hash)
    }

    /// Holds the line against the hashes that are known, each with its key's account.
    pub fn checked(self, known: &BTreeMap<String, String>, account: &str) -> Checked {
        let refused = |errors: &[FieldError]| {
            Checked::Refused(Refusal {
                line: self.number,
                errors: json!(errors),
            })
        };
        match self.content {
            Err(errors) => refused(&errors),
            Ok(key) => match known.get(&key.hash.to_hex()) {
                None => Checked::New(key),
                Some(holder) if holder == account => Checked::Existing,
                Some(_) => refused(&[field("hash", "is another account's")]),
            },
        }
    }
}

fn field(name: &str, detail: &str) -> FieldError {
    FieldError {
        field: name.to_owned(),
        detail: detail.to_owned(),
    }
}

fn read(line: u64, text: &[u8], now: Millis) -> Result<NewKey, Vec<FieldError>> {
    if text.len() > MAX_LINE {
        let detail = format!("the line has more than {MAX_LINE} bytes");
        return Err(vec![field("", &detail)]);
    }
    let mut members: Map<String, Value> = serde_json::from_slice(text)
        .map_err(|_| vec![field("", "the line is not a JSON object")])?;
    for name in PASSED_OVER {
        members.remove(name);
    }
    restart_credits(&mut members);
    let mut checks = Checks::default();
    let mut take = |name: &str, checks: &mut Checks| match members.remove(name) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text),
        Some(_) => {
            checks.fail(name, "must be a string");
            None
        }
    };
    let hash = take("hash", &mut checks);
    let start = take("start", &mut checks);
    let last8 = take("last8", &mut checks);
    let status = take("status", &mut checks);
    let created_at = take("createdAt", &mut checks);
    let expires_at = take("expiresAt", &mut checks);
    let hash = hash.as_deref().map(KeyHash::from_hex);
    if hash.flatten().is_none() {
        checks.fail(
            "hash",
            "the SHA-256 of the token is needed, as 64 hexadecimal digits in lower case",
        );
    }
    let hints = Hints {
        start: start.map_or_else(String::new, |s| checks.text("start", &s, MAX_START)),
        last8: last8.map_or_else(String::new, |s| checks.text("last8", &s, 8)),
    };
    let state = status.and_then(|word| checks.word("status", &word, &STATES));
    // A key that has ended may come, too: its history begins with its end.
    let expires_at =
        expires_at.and_then(|text| checks.accept("expiresAt", Timestamp::parse(&text)));
    let created_at =
        created_at.and_then(|text| checks.accept("createdAt", Timestamp::parse(&text)));
    let key: CreateKey = match body::from_value(Value::Object(members)) {
        Ok(key) => key,
        Err(errors) => {
            for error in errors {
                checks.fail(error.field, error.detail);
            }
            return Err(errors_of(checks));
        }
    };
    let environment = key.environment();
    let (_, patch) = key.split();
    let mut settings = input::fresh_settings();
    patch.apply(&mut checks, &mut settings, now, 0);
    settings.expires_at = expires_at.map(|t| t.0).or(settings.expires_at);
    let errors = errors_of(checks);
    match hash.flatten() {
        Some(hash) if errors.is_empty() => Ok(NewKey {
            line,
            hash,
            hints,
            environment,
            state: state.unwrap_or(KeyState::Active),
            settings,
            created_at: created_at.map(|t| t.0),
        }),
        _ => Err(errors),
    }
}

/// An export tells what a key was given; what is left of it, only the edges of where it came from know. So it starts over.
fn restart_credits(members: &mut Map<String, Value>) {
    if let Some(Value::Object(credits)) = members.get_mut("credits")
        && let Some(granted) = credits.remove("granted")
    {
        credits.remove("setAt");
        credits.insert("remaining".to_owned(), granted);
    }
}

fn errors_of(checks: Checks) -> Vec<FieldError> {
    match checks.finish() {
        Err(ApiError::Validation(errors)) => errors,
        _ => Vec::new(),
    }
}
