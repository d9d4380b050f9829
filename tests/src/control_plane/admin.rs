//! A client of the admin API.

use anyhow::{Context, Result, bail};
use reqwest::{Client, Method};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::answer::Answer;

/// The admin API, with an admin token.
///
/// A call fails when there is no answer or a refusal; the error then holds status and body. [`Admin::send`] gives
/// refusals back.
#[derive(Debug, Clone)]
pub struct Admin {
    client: Client,
    base: String,
    token: String,
}

/// A key, as far as tests look at it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Key {
    /// `key_…`
    pub id: String,
    /// `acc_…`
    pub account_id: String,
    /// `active`, `revoked`, `expired` or `rate_limited`.
    pub status: String,
    /// Grows by every change.
    pub version: u64,
    /// Requests counted so far.
    pub usage_count: u64,
    /// When it was used last, RFC 3339.
    pub last_used_at: Option<String>,
}

/// The answer to create and rotate.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct NewKey {
    /// The key.
    pub key: Key,
    /// The token, shown this once.
    pub token: String,
    /// Whether every edge had it when the call was answered.
    pub propagated: bool,
}

impl Admin {
    /// A client with another admin token.
    pub fn new(client: &Client, base: &str, token: &str) -> Self {
        Self {
            client: client.clone(),
            base: base.to_owned(),
            token: token.to_owned(),
        }
    }

    /// Sends any call; `path` from `/v1` on.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer> {
        let method = Method::from_bytes(method.as_bytes())?;
        let url = format!("{}{path}", self.base);
        let mut request = self.client.request(method, url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        Ok(Answer::read(request.send().await?).await?)
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T> {
        let answer = self.send(method, path, body).await?;
        if answer.status >= 300 {
            bail!("{method} {path}: {} {}", answer.status, answer.text());
        }
        serde_json::from_slice(&answer.body)
            .with_context(|| format!("{method} {path}: {}", answer.text()))
    }

    /// Whether every edge had the change when the call was answered.
    async fn change(&self, method: &str, path: &str, body: Option<&Value>) -> Result<bool> {
        let answer: Value = self.call(method, path, body).await?;
        let propagated = answer["propagated"].as_bool();
        propagated.with_context(|| format!("{method} {path} does not say whether it propagated"))
    }

    /// Makes an account; gives its id.
    ///
    /// # Errors
    /// See [`Admin`].
    pub async fn create_account(&self, body: &Value) -> Result<String> {
        let answer: Value = self.call("POST", "/v1/accounts", Some(body)).await?;
        id_of(&answer["account"])
    }

    /// Makes an API; gives its id.
    ///
    /// # Errors
    /// See [`Admin`].
    pub async fn create_api(&self, body: &Value) -> Result<String> {
        let answer: Value = self.call("POST", "/v1/apis", Some(body)).await?;
        id_of(&answer["api"])
    }

    /// Changes an API.
    ///
    /// # Errors
    /// See [`Admin`].
    pub async fn patch_api(&self, id: &str, body: &Value) -> Result<bool> {
        self.change("PATCH", &format!("/v1/apis/{id}"), Some(body))
            .await
    }

    /// Makes a key.
    ///
    /// # Errors
    /// See [`Admin`].
    pub async fn create_key(&self, body: &Value) -> Result<NewKey> {
        self.call("POST", "/v1/keys", Some(body)).await
    }

    /// A key as it is now.
    ///
    /// # Errors
    /// See [`Admin`].
    pub async fn key(&self, id: &str) -> Result<Key> {
        self.call("GET", &format!("/v1/keys/{id}"), None).await
    }

    /// Every key that is not deleted.
    ///
    /// # Errors
    /// See [`Admin`].
    pub async fn keys(&self) -> Result<Vec<Key>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Page {
            data: Vec<Key>,
            next_cursor: Option<String>,
        }
        let mut keys = Vec::new();
        let mut path = "/v1/keys?limit=100".to_owned();
        loop {
            let page: Page = self.call("GET", &path, None).await?;
            keys.extend(page.data);
            match page.next_cursor {
                Some(cursor) => path = format!("/v1/keys?limit=100&cursor={cursor}"),
                None => return Ok(keys),
            }
        }
    }

    /// Changes a key; whether it propagated.
    ///
    /// # Errors
    /// See [`Admin`].
    pub async fn patch_key(&self, id: &str, body: &Value) -> Result<bool> {
        self.change("PATCH", &format!("/v1/keys/{id}"), Some(body))
            .await
    }

    /// Gives a key a new token.
    ///
    /// # Errors
    /// See [`Admin`].
    pub async fn rotate(&self, id: &str, grace_seconds: u32) -> Result<NewKey> {
        let body = json!({"graceSeconds": grace_seconds});
        self.call("POST", &format!("/v1/keys/{id}/rotate"), Some(&body))
            .await
    }

    /// Stops a key; whether it propagated.
    ///
    /// # Errors
    /// See [`Admin`].
    pub async fn revoke(&self, id: &str) -> Result<bool> {
        self.change("POST", &format!("/v1/keys/{id}/revoke"), None)
            .await
    }

    /// Lets a key work again; whether it propagated.
    ///
    /// # Errors
    /// See [`Admin`].
    pub async fn reactivate(&self, id: &str) -> Result<bool> {
        self.change("POST", &format!("/v1/keys/{id}/reactivate"), None)
            .await
    }

    /// Deletes a key; whether it propagated.
    ///
    /// # Errors
    /// See [`Admin`].
    pub async fn delete_key(&self, id: &str) -> Result<bool> {
        self.change("DELETE", &format!("/v1/keys/{id}"), None).await
    }

    /// Imports keys of an account, a line each; gives the import.
    ///
    /// # Errors
    /// See [`Admin`].
    pub async fn import(&self, account: &str, lines: &[Value]) -> Result<Value> {
        let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
        let url = format!("{}/v1/imports?account={account}", self.base);
        let request = self.client.post(url).bearer_auth(&self.token);
        let request = request.header("content-type", "application/x-ndjson");
        let answer = Answer::read(request.body(lines.join("\n")).send().await?).await?;
        if answer.status >= 300 {
            bail!("POST /v1/imports: {} {}", answer.status, answer.text());
        }
        Ok(answer.json())
    }

    /// Requests of a key in the last day, by code.
    ///
    /// # Errors
    /// See [`Admin`].
    pub async fn usage(&self, id: &str) -> Result<std::collections::BTreeMap<String, u64>> {
        let path = format!("/v1/keys/{id}/usage?step=minute");
        let usage: Value = self.call("GET", &path, None).await?;
        let mut sums = std::collections::BTreeMap::new();
        for point in usage["data"].as_array().into_iter().flatten() {
            for (code, count) in point["byCode"].as_object().into_iter().flatten() {
                *sums.entry(code.clone()).or_default() += count.as_u64().unwrap_or(0);
            }
        }
        Ok(sums)
    }
}

fn id_of(value: &Value) -> Result<String> {
    let id = value["id"].as_str().map(str::to_owned);
    id.with_context(|| format!("no id in {value}"))
}
