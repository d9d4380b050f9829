//! An entry, as shown.

use serde::Serialize;
use serde_json::Value;

use crate::audit::Actor;
use crate::store::audit::Entry;
use crate::timestamp::Timestamp;

/// An entry in JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EntryView {
    id: String,
    time: Timestamp,
    account_id: String,
    actor: ActorView,
    client_address: Option<String>,
    request_id: Option<String>,
    action: String,
    target: TargetView,
    /// What was there, as the API showed it; of a change only the members that it changed.
    before: Value,
    after: Value,
    outcome: String,
    previous_hash: String,
    hash: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ActorView {
    kind: &'static str,
    token_id: Option<String>,
    token_name: Option<String>,
    member_id: Option<String>,
}

#[derive(Debug, Serialize)]
struct TargetView {
    kind: String,
    id: String,
    name: String,
}

impl ActorView {
    fn of(actor: Actor) -> Self {
        match actor {
            Actor::Admin {
                token_id,
                token_name,
                member_id,
            } => Self {
                kind: "admin",
                token_id: Some(token_id),
                token_name: Some(token_name),
                member_id,
            },
            Actor::System => Self {
                kind: "system",
                token_id: None,
                token_name: None,
                member_id: None,
            },
        }
    }
}

impl EntryView {
    /// The view of an entry.
    pub fn of(entry: Entry) -> Self {
        // What is not JSON was put there by other hands: it is shown as it is.
        let json = |text: Option<String>| {
            text.map_or(Value::Null, |text| {
                serde_json::from_str(&text).unwrap_or(Value::String(text))
            })
        };
        Self {
            id: entry.id,
            time: Timestamp(entry.created_at),
            account_id: entry.account_id,
            actor: ActorView::of(entry.actor),
            client_address: entry.client_address,
            request_id: entry.request_id,
            action: entry.action,
            target: TargetView {
                kind: entry.target_kind,
                id: entry.target_id,
                name: entry.target_name,
            },
            before: json(entry.before),
            after: json(entry.after),
            outcome: entry.outcome,
            previous_hash: entry.previous_hash,
            hash: entry.hash,
        }
    }
}
