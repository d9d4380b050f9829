//! Acts: who changed what, from where, and how it looked before and after. [`crate::store::Change`] writes each into the
//! audit log together with the change itself.
//!
//! Before and after are made of what the API shows, which holds no secret.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::http::client::Client;
use crate::idempotency::Ticket;

/// Changes with every change, and is the entry's own time.
const UPDATED_AT: &str = "updatedAt";

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// An admin, by a token.
    Admin {
        /// The token's id.
        token_id: String,
        /// The token's name.
        token_name: String,
        /// The member whose token it is, if it is one's.
        member_id: Option<String>,
    },
    /// The server by itself, or whoever runs its program.
    System,
    /// GitHub, by a report that it signed.
    GitHub,
    /// Whoever holds a key's token.
    Holder,
}

/// Who wants a change, and how.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who acts.
    pub actor: Actor,
    /// Where the request came from, and its id.
    pub client: Client,
    /// Keeps the answer, if the request has an `Idempotency-Key`.
    pub ticket: Option<Arc<Ticket>>,
}

impl Caller {
    /// Who acts, by a request of this client.
    pub fn new(actor: Actor, client: Client) -> Self {
        Self {
            actor,
            client,
            ticket: None,
        }
    }

    /// The server by itself, or whoever runs its program.
    pub fn system() -> Self {
        Self::new(Actor::System, Client::default())
    }
}

/// What an act is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `key`, `account` …: the first half of the action's name.
    pub kind: &'static str,
    /// Its id.
    pub id: String,
    /// Its name, for people.
    pub name: String,
    /// The account that it belongs to: its admins, and those of the accounts above, see the entry.
    pub account: String,
}

/// What the API shows of something that can be changed.
pub trait Audited: Serialize {
    /// What it is.
    fn target(&self) -> Target;
}

/// One entry of the audit log to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Act {
    /// `key.create`
    pub action: String,
    /// What it is about.
    pub target: Target,
    /// What was there.
    pub before: Option<Map<String, Value>>,
    /// What is there now.
    pub after: Option<Map<String, Value>>,
}

impl Act {
    /// Something is new.
    ///
    /// # Errors
    /// When the view can't be written as a JSON object.
    pub fn create<T: Audited>(after: &T) -> anyhow::Result<Self> {
        Ok(Self::new(
            "create",
            after.target(),
            None,
            Some(object(after)?),
        ))
    }

    /// Something is gone.
    ///
    /// # Errors
    /// When the view can't be written as a JSON object.
    pub fn delete<T: Audited>(before: &T) -> anyhow::Result<Self> {
        Ok(Self::new(
            "delete",
            before.target(),
            Some(object(before)?),
            None,
        ))
    }

    /// Something that has no view of its own was acted on; `after` tells what came of it.
    ///
    /// # Errors
    /// When `after` is not a JSON object.
    pub fn on<T: Serialize>(verb: &str, target: Target, after: &T) -> anyhow::Result<Self> {
        Ok(Self::new(verb, target, None, Some(object(after)?)))
    }

    /// Something was changed by an act of this name, `update` or `revoke` for example. The entry holds what differs.
    ///
    /// # Errors
    /// When a view can't be written as a JSON object.
    pub fn change<T: Audited>(verb: &str, before: &T, after: &T) -> anyhow::Result<Self> {
        let (old, new) = (object(before)?, object(after)?);
        let differing = |these: &Map<String, Value>, those: &Map<String, Value>| {
            let differs =
                |name: &String, value: &Value| name != UPDATED_AT && those.get(name) != Some(value);
            let members = these.iter().filter(|(name, value)| differs(name, value));
            members.map(|(n, v)| (n.clone(), v.clone())).collect()
        };
        let (before, after_members) = (differing(&old, &new), differing(&new, &old));
        Ok(Self::new(
            verb,
            after.target(),
            Some(before),
            Some(after_members),
        ))
    }

    fn new(
        verb: &str,
        target: Target,
        before: Option<Map<String, Value>>,
        after: Option<Map<String, Value>>,
    ) -> Self {
        Self {
            action: format!("{}.{verb}", target.kind),
            target,
            before,
            after,
        }
    }
}

fn object<T: Serialize>(view: &T) -> anyhow::Result<Map<String, Value>> {
    match serde_json::to_value(view)? {
        Value::Object(members) => Ok(members),
        _ => anyhow::bail!("a view is not a JSON object"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Serialize)]
    struct View(Value);

    impl Audited for View {
        fn target(&self) -> Target {
            Target {
                kind: "key",
                id: "key_1".to_owned(),
                name: "k".to_owned(),
                account: "acc_1".to_owned(),
            }
        }
    }

    #[test]
    fn a_change_holds_what_differs_and_leaves_out_its_own_time() {
        let before = View(json!({"a": 1, "b": [1], "gone": 1, "updatedAt": 1}));
        let after = View(json!({"a": 1, "b": [2], "new": null, "updatedAt": 2}));
        let act = Act::change("update", &before, &after).unwrap();
        assert_eq!(act.action, "key.update");
        assert_eq!(
            json!([act.before, act.after]),
            json!([{"b": [1], "gone": 1}, {"b": [2], "new": null}])
        );
    }

    #[test]
    fn what_is_made_or_deleted_is_kept_whole() {
        let view = View(json!({"a": 1, "updatedAt": 1}));
        let made = Act::create(&view).unwrap();
        assert_eq!(
            json!([made.action, made.before, made.after]),
            json!(["key.create", null, view.0])
        );
        let gone = Act::delete(&view).unwrap();
        assert_eq!(
            json!([gone.action, gone.before, gone.after]),
            json!(["key.delete", view.0, null])
        );
    }
}
