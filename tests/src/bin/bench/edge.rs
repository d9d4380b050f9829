//! The built edge in a workerd of its own, with an API and keys.

use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use keyward_tests::{Parts, Secrets, letters};
use reqwest::Client;
use serde_json::{Value, json};
use shared::secret::Secret;
use shared::token::Token;
use shared::webhook;

use crate::request::HOST;
use crate::workerd::{Module, Objects, Worker, Workerd};

/// The account that owns everything; its id ends in the locator of its tokens.
pub const ACCOUNT: &str = "acc_Bench000";
const LOCATOR: &str = "Bench000";
/// A limit that no measurement reaches.
pub const OPEN: u32 = 1_000_000_000;

/// How the edge is set up.
pub struct Settings {
    /// Where the API is.
    pub upstream: String,
    /// Modules around the built Worker, their entry first; none: the Worker as it is.
    pub around: Vec<&'static str>,
    /// Whether upstreams get a signed assertion.
    pub assertion: bool,
    /// Whether a Worker that plays many gates runs beside it.
    pub gates: bool,
    /// Variables beside the secrets.
    pub variables: Vec<(&'static str, String)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            // Never asked, where only answers of the gate's own are measured.
            upstream: "http://127.0.0.1:9".to_owned(),
            around: Vec::new(),
            assertion: false,
            gates: false,
            variables: Vec::new(),
        }
    }
}

/// The edge: gate, guards and the simulation of KV's store in one workerd.
pub struct Edge {
    /// The process.
    pub workerd: Workerd,
    /// Its secrets.
    pub secrets: Secrets,
    client: Client,
}

impl Edge {
    /// Starts it and pushes the API.
    ///
    /// # Errors
    /// When it can't be started or refuses the push.
    pub async fn start(parts: &Parts, folder: &Path, settings: &Settings) -> Result<Self> {
        let secrets = Secrets::draw();
        let mut workers = vec![worker(parts, &secrets, settings)?, kv()?];
        if settings.gates {
            workers.push(gates()?);
        }
        let edge = Self {
            workerd: Workerd::start(parts, folder, &workers).await?,
            secrets,
            client: Client::builder().no_proxy().build()?,
        };
        let pushed = edge.push(&[api(&settings.upstream)]).await;
        pushed.with_context(|| edge.workerd.log())?;
        Ok(edge)
    }

    /// Where the gate listens.
    pub fn url(&self) -> String {
        self.workerd.url("edge")
    }

    /// Makes a key: an open one with `settings` over it. Gives its token.
    ///
    /// # Errors
    /// When the edge refuses it.
    pub async fn key(&self, settings: Value) -> Result<String> {
        let token = self.mint()?;
        self.push(&[record(&token, settings)]).await?;
        Ok(token.expose().to_owned())
    }

    /// Makes several keys alike.
    ///
    /// # Errors
    /// When the edge refuses them.
    pub async fn keys(&self, count: usize, settings: &Value) -> Result<Vec<String>> {
        let mut tokens = Vec::with_capacity(count);
        while tokens.len() < count {
            let minted: Vec<Token> = (tokens.len()..count)
                .take(shared::message::MAX_PUSH_RECORDS)
                .map(|_| self.mint())
                .collect::<Result<_>>()?;
            let records: Vec<Value> = minted.iter().map(|t| record(t, settings.clone())).collect();
            self.push(&records).await?;
            tokens.extend(minted.iter().map(|token| token.expose().to_owned()));
        }
        Ok(tokens)
    }

    /// A genuine token of the account.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn mint(&self) -> Result<Token> {
        let mut entropy = [0; 32];
        getrandom::fill(&mut entropy)?;
        let tag = Secret::from_text(&self.secrets.tag)?;
        Ok(Token::mint("kw", "prod", LOCATOR, &entropy, &tag)?)
    }

    /// Pushes records, signed as the control plane does.
    ///
    /// # Errors
    /// When not all of them were new to the edge.
    pub async fn push(&self, records: &[Value]) -> Result<()> {
        let body = json!({ "records": records }).to_string();
        let seconds = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)?
            .as_secs();
        let id = format!("msg_{}", letters(20));
        let signature = webhook::sign(&self.secrets.push_secret(), &id, seconds, body.as_bytes());
        let request = self.client.post(format!("{}/.keyward/push", self.url()));
        let answer = request
            .header(webhook::ID_HEADER, id)
            .header(webhook::TIMESTAMP_HEADER, seconds)
            .header(webhook::SIGNATURE_HEADER, signature)
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await?;
        let answer: Value = answer.json().await.context("the answer to a push")?;
        ensure!(
            answer["applied"] == records.len(),
            "a push was not applied: {answer}"
        );
        Ok(())
    }
}

/// A key's record: an open key with `settings` over it.
pub fn record(token: &Token, settings: Value) -> Value {
    let mut record = json!({
        "kind": "key", "id": format!("key_{}", letters(20)), "version": 1, "account": ACCOUNT,
        "environment": "prod", "state": "active", "credentials": [{ "hash": token.hash() }],
        "permissions": ["customers.read", "customers.write", "orders.*"],
        "limits": { "requestsPerMinute": OPEN, "requestsPerHour": OPEN, "requestsPerDay": OPEN },
    });
    if let (Value::Object(record), Value::Object(settings)) = (&mut record, settings) {
        record.extend(settings);
    }
    record
}

/// An API as people have them: some routes, and pages of their own that may call it.
pub fn api(upstream: &str) -> Value {
    let route = |method: &str, path: &str, permission: &str| json!({ "method": method, "path": path, "permission": permission });
    json!({
        "kind": "api", "id": "api_bench", "version": 1, "account": ACCOUNT, "name": "Bench", "upstream": upstream,
        "endpoints": [{ "host": HOST, "environment": "production", "code": "prod" }],
        "routes": [
            route("GET", "/v1/customers", "customers.read"),
            route("POST", "/v1/customers", "customers.write"),
            route("GET", "/v1/customers/{id}", "customers.read"),
            route("PATCH", "/v1/customers/{id}", "customers.write"),
            route("GET", "/v1/orders", "orders.read"),
            route("POST", "/v1/orders", "orders.write"),
            route("GET", "/v1/orders/{id}", "orders.read"),
        ],
        "cors": { "allowedOrigins": ["https://*.example.com"], "maxAgeSeconds": 600 },
    })
}

fn worker(parts: &Parts, secrets: &Secrets, settings: &Settings) -> Result<Worker> {
    let mut modules = Vec::new();
    for path in &settings.around {
        modules.push(Module::ours(path)?);
    }
    modules.extend(Module::edge(&parts.edge_build)?);
    let mut worker = Worker::plain("edge", modules)
        .binding("name = \"KV\", kvNamespace = \"kv\"")
        .binding("name = \"GUARD\", durableObjectNamespace = \"Guard\"")
        .variable("TAG_SECRET", &secrets.tag)
        .variable("PUSH_SECRET", &secrets.push);
    if settings.assertion {
        worker = worker.variable("ASSERTION_SECRET", &secrets.assertion);
    }
    for (name, value) in &settings.variables {
        worker = worker.variable(name, value);
    }
    worker.flags.clone_from(&parts.compatibility_flags);
    worker.objects = Some(Objects {
        class: "Guard",
        key: "keyward-guard",
    });
    Ok(worker)
}

fn gates() -> Result<Worker> {
    let guard = "name = \"GUARD\", durableObjectNamespace = (className = \"Guard\", serviceName = \"edge\")";
    Ok(Worker::plain("gates", vec![Module::ours("bench/gates.mjs")?]).binding(guard))
}

fn kv() -> Result<Worker> {
    let mut worker = Worker::plain("kv", vec![Module::ours("simulation/kv.mjs")?])
        .binding("name = \"STORE\", durableObjectNamespace = \"Store\"");
    worker.objects = Some(Objects {
        class: "Store",
        key: "kv-store",
    });
    Ok(worker)
}
