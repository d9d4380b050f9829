//! An entry, as shown.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::ObjectBuilder;
use utoipa::openapi::schema::{SchemaType, Type};

use crate::audit::Actor;
use crate::openapi::names::{AccountId, AuditId};
use crate::openapi::schema::{any_object, schema};
use crate::store::audit::Entry;
use crate::timestamp::Timestamp;
use crate::validate::MAX_NAME;

schema! {
    /// Who acted: `admin`, by a token; `system`, the server by itself or whoever runs its program; `github`, by a signed report;
    /// `holder`, whoever holds a key's token.
    ActorKind = word(&[("admin", ()), ("system", ()), ("github", ()), ("holder", ())]);
    /// The token's id.
    TokenIdText = text(1, 64).examples(["tok_5c29f0a1b2d3e4f5a6b7"]);
    /// The token's name then.
    TokenName = text(0, MAX_NAME).examples(["deploy"]);
    /// The member whose token it was.
    MemberIdText = text(1, 64).examples(["mem_4Kd0xQz9Pm2LrTbV"]);
    /// Where the request came from.
    Address = text(2, 45).examples(["203.0.113.7"]);
    /// The request's id.
    RequestIdText = text(1, 64).examples(["req_4kTm20Qx7Lr9WbZ3sVnY"]);
    /// What was done: the kind of what it was done to, and a verb.
    Action = form("^[a-z_]+\\.[a-z_]+$").examples(["key.update"]);
    /// What it was done to.
    TargetKind = form("^[a-z_]+$").examples(["key"]);
    /// Its id.
    TargetId = text(1, 64).examples(["key_6fJq81Nn0sPz5cGhR2Wa"]);
    /// Its name then.
    TargetName = text(0, MAX_NAME).examples(["Mobile app"]);
    /// How it ended.
    OutcomeWord = word(&[("success", ())]);
    /// What was there, as the API showed it then; of a change only the members that it changed; `null`: nothing.
    Before = members().examples([json!({"name": "Mobile app", "version": 1_800_000_000_000_u64})]);
    /// What was there then.
    After = members().examples([json!({"name": "Mobile apps", "version": 1_800_000_000_001_u64})]);
    /// SHA-256 of the entry before this one; of the first, empty.
    PreviousHash = form("^([0-9a-f]{64})?$").examples(["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]);
    /// SHA-256 of this entry, with the one before.
    Hash = form("^[0-9a-f]{64}$").examples(["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]);
}

fn members() -> ObjectBuilder {
    any_object().schema_type(SchemaType::Array(vec![Type::Object, Type::Null]))
}

/// An act.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
#[serde(rename_all = "camelCase")]
pub struct EntryView {
    #[schema(value_type = AuditId)]
    id: String,
    time: Timestamp,
    /// The account of what was changed.
    #[schema(value_type = AccountId)]
    account_id: String,
    actor: ActorView,
    #[schema(required, value_type = Option<Address>)]
    client_address: Option<String>,
    #[schema(required, value_type = Option<RequestIdText>)]
    request_id: Option<String>,
    #[schema(value_type = Action)]
    action: String,
    target: TargetView,
    #[schema(value_type = Before)]
    before: Value,
    #[schema(value_type = After)]
    after: Value,
    #[schema(value_type = OutcomeWord)]
    outcome: String,
    #[schema(value_type = PreviousHash)]
    previous_hash: String,
    #[schema(value_type = Hash)]
    hash: String,
}

/// Who acted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditActor)]
#[serde(rename_all = "camelCase")]
struct ActorView {
    #[schema(value_type = ActorKind)]
    kind: &'static str,
    #[schema(required, value_type = Option<TokenIdText>)]
    token_id: Option<String>,
    #[schema(required, value_type = Option<TokenName>)]
    token_name: Option<String>,
    #[schema(required, value_type = Option<MemberIdText>)]
    member_id: Option<String>,
}

/// What was changed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditTarget)]
struct TargetView {
    #[schema(value_type = TargetKind)]
    kind: String,
    #[schema(value_type = TargetId)]
    id: String,
    #[schema(value_type = TargetName)]
    name: String,
}

impl ActorView {
    fn of(actor: Actor) -> Self {
        let kind = actor.kind();
        let (token_id, token_name, member_id) = match actor {
            Actor::Admin {
                token_id,
                token_name,
                member_id,
            } => (Some(token_id), Some(token_name), member_id),
            Actor::System | Actor::GitHub | Actor::Holder => (None, None, None),
        };
        Self {
            kind,
            token_id,
            token_name,
            member_id,
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
