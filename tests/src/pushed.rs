//! Records that a test pushes itself, as the control plane would.

use serde_json::{Value, json};
use shared::token::KeyHash;

use crate::random;
use crate::world::World;

/// Above every version that the control plane gives in a test.
const FIRST_VERSION: u64 = 1 << 50;

/// An account of its own below the demo account, whose keys open the demo API. The control plane knows nothing of it.
#[derive(Debug)]
pub struct PushedAccount<'a> {
    world: &'a World,
    /// `acc_…`
    pub id: String,
}

/// A key of such an account.
#[derive(Debug, Clone)]
pub struct PushedKey {
    /// `key_…`
    pub id: String,
    /// The token.
    pub token: String,
    record: Value,
}

impl World {
    /// A new account, without a plan.
    pub fn pushed_account(&self) -> PushedAccount<'_> {
        PushedAccount {
            world: self,
            id: format!("acc_{}", random::letters(8)),
        }
    }
}

impl PushedAccount<'_> {
    /// Pushes records; all are newer than what the edge has.
    ///
    /// # Panics
    /// When the edge does not take them.
    pub async fn push(&self, records: &[Value]) {
        let body = json!({"records": records}).to_string();
        let edge = &self.world.edge;
        let answer = edge.signed(0, "/.keyward/push", Some(&body)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["applied"], json!(records.len()));
    }

    /// Gives the account a plan, or takes it away.
    pub async fn plan(&self, version: u64, requests_per_month: Option<u64>) {
        let mut record = self.of_account("account", &self.id, version);
        record["requestsPerMonth"] = json!(requests_per_month);
        self.push(&[record]).await;
    }

    /// Pushes an identity.
    pub async fn identity(&self, id: &str, version: u64, limits: Value) {
        self.push(&[self.identity_record(id, version, limits)])
            .await;
    }

    /// Pushes that an identity is gone.
    pub async fn no_identity(&self, id: &str, version: u64) {
        let mut record = self.identity_record(id, version, json!({}));
        record["deleted"] = true.into();
        self.push(&[record]).await;
    }

    /// Pushes a key that may do everything, with `settings` over that.
    pub async fn key(&self, settings: Value) -> PushedKey {
        let id = format!("key_{}", random::letters(20));
        let token = self.world.secrets.unissued_token("prod", &self.id);
        let mut record = self.of_account("key", &id, 0);
        record["environment"] = "prod".into();
        record["state"] = "active".into();
        record["permissions"] = json!(["*"]);
        record["credentials"] = json!([{"hash": KeyHash::of(&token).to_hex()}]);
        let key = PushedKey { id, token, record };
        self.change(&key, 0, settings).await
    }

    /// Pushes a later version of a key, with `settings` over what it had.
    pub async fn change(&self, key: &PushedKey, version: u64, settings: Value) -> PushedKey {
        let mut key = key.clone();
        key.record["version"] = (FIRST_VERSION + version).into();
        if let (Value::Object(record), Value::Object(settings)) = (&mut key.record, settings) {
            record.extend(settings);
        }
        self.push(std::slice::from_ref(&key.record)).await;
        key
    }

    fn identity_record(&self, id: &str, version: u64, limits: Value) -> Value {
        let mut record = self.of_account("identity", id, version);
        record["limits"] = limits;
        record
    }

    fn of_account(&self, kind: &str, id: &str, version: u64) -> Value {
        json!({
            "kind": kind, "id": id, "version": FIRST_VERSION + version, "account": self.id,
            "ancestors": [self.world.account],
        })
    }
}
