//! The records of an account's people and of their keys, and their way to the edge.

use std::sync::atomic::{AtomicU64, Ordering};

use keyward_tests::{Answer, Call, World, letters};
use serde_json::{Value, json};
use shared::token::KeyHash;

/// Changes of the demo account, in the order of their versions.
pub struct Staff<'w> {
    pub world: &'w World,
    version: AtomicU64,
}

/// A key that was made up: its record, but for the version, and its token.
#[derive(Debug, Clone)]
pub struct OwnedKey {
    pub id: String,
    pub token: String,
    pub record: Value,
}

impl OwnedKey {
    /// The record with other settings, as its next change.
    pub fn with(&self, settings: &Value) -> Value {
        with(self.record.clone(), settings)
    }

    /// A request with it.
    pub fn on(&self, call: Call) -> Call {
        call.key(&self.token)
    }
}

fn with(mut record: Value, settings: &Value) -> Value {
    let settings = settings.as_object().expect("an object").clone();
    record.as_object_mut().expect("an object").extend(settings);
    record
}

impl<'w> Staff<'w> {
    pub fn of(world: &'w World) -> Self {
        Self {
            world,
            version: AtomicU64::new(1_000),
        }
    }

    /// The record of a role of the account's own.
    pub fn role(&self, id: &str, permissions: &[&str]) -> Value {
        json!({"kind": "role", "id": id, "account": self.world.account, "permissions": permissions})
    }

    /// The record of a member.
    pub fn member(&self, id: &str, role: &str) -> Value {
        json!({"kind": "member", "id": id, "account": self.world.account, "role": role})
    }

    /// A key that may do everything as often as it likes, as far as its owner may, with `settings` over that.
    pub fn key(&self, owner: &str, settings: &Value) -> OwnedKey {
        let token = self
            .world
            .secrets
            .unissued_token("prod", &self.world.account);
        let id = format!("key_{}", letters(20));
        let record = json!({
            "kind": "key", "id": id, "account": self.world.account, "owner": owner, "environment": "prod",
            "state": "active", "credentials": [{"hash": KeyHash::of(&token).to_hex()}], "permissions": ["*"],
            "limits": {"requestsPerMinute": 1_000_000_000},
        });
        OwnedKey {
            id,
            token,
            record: with(record, settings),
        }
    }

    /// Gives a record the next version.
    pub fn next(&self, record: &Value) -> Value {
        let version = self.version.fetch_add(1, Ordering::SeqCst);
        with(record.clone(), &json!({"version": version}))
    }

    /// Pushes records, each as a change that is newer than all before. In force when this returns.
    pub async fn push(&self, records: &[Value]) {
        let records: Vec<Value> = records.iter().map(|record| self.next(record)).collect();
        self.deliver(&records).await;
    }

    /// Pushes records that have their versions.
    pub async fn deliver(&self, records: &[Value]) {
        let body = json!({"records": records}).to_string();
        let edge = &self.world.edge;
        let answer = edge.signed(0, "/.keyward/push", Some(&body)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["applied"], records.len(), "all were new");
    }

    /// Pushes a key.
    pub async fn make(&self, owner: &str, settings: &Value) -> OwnedKey {
        let key = self.key(owner, settings);
        self.push(std::slice::from_ref(&key.record)).await;
        key
    }

    /// Sends a request with a key to the first gate.
    pub async fn send(&self, key: &OwnedKey, call: Call) -> Answer {
        self.world.send(&key.on(call)).await
    }

    /// What a request with a key comes to at the first gate.
    pub async fn code(&self, key: &OwnedKey, call: Call) -> String {
        self.send(key, call).await.code()
    }
}

/// Needs `customers.read`.
pub fn read() -> Call {
    Call::get("/v1/customers")
}

/// Needs `customers.write`.
pub fn write() -> Call {
    Call::post("/v1/customers")
}

/// Needs no permission, only a key.
pub fn open() -> Call {
    Call::get("/v1/anything")
}
