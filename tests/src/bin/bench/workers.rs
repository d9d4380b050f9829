//! The Workers that are measured, in one workerd, each behind a socket of its own.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use keyward_tests::{Parts, Process, Secrets, eventually, free_port, letters, root};
use reqwest::Client;
use serde_json::{Value, json};
use shared::token::Token;
use shared::webhook;

/// A Worker that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The guarded Worker.
    Edge,
    /// JavaScript that decides nothing.
    Floor,
    /// JavaScript that answers "ok".
    Empty,
    /// JavaScript that only forwards.
    PassThrough,
}

/// The running workerd.
pub struct Workers {
    _process: Process,
    ports: [u16; 6],
    secrets: Secrets,
    token: Token,
    client: Client,
}

const ACCOUNT: &str = "acc_Bench000";
const FILES: [(&str, &str); 5] = [
    ("tests/bench", "rivals.mjs"),
    ("tests/bench", "empty.mjs"),
    ("tests/bench", "floor.mjs"),
    ("tests/bench", "pass-through.mjs"),
    ("tests/simulation", "kv.mjs"),
];
const BUILT: [&str; 4] = [
    "worker.mjs",
    "proxy.mjs",
    "keyward_edge.js",
    "keyward_edge_bg.wasm",
];

impl Workers {
    /// Starts them and gives the edge an API and a key.
    pub async fn start(parts: &Parts, folder: &Path) -> Result<Self> {
        for (from, file) in FILES {
            std::fs::copy(root().join(from).join(file), folder.join(file))?;
        }
        for file in BUILT {
            std::fs::copy(parts.edge_build.join(file), folder.join(file))?;
        }
        for disk in ["guards", "kv-disk"] {
            std::fs::create_dir_all(folder.join(disk))?;
        }
        let secrets = Secrets::draw();
        let ports: [u16; 6] = std::array::from_fn(|_| free_port());
        let config = folder.join("bench.capnp");
        std::fs::write(
            &config,
            capnp(folder, &ports, &secrets, &parts.compatibility_date),
        )?;
        let mut command = Command::new(&parts.workerd);
        command.arg("serve").arg(&config);
        let process = Process::start("workerd", &mut command, &folder.join("workerd.log"));
        let client = Client::new();
        let tag = shared::secret::Secret::from_text(&secrets.tag)?;
        let token = Token::mint("kw", "prod", "Bench000", &[7; 32], &tag)?;
        let workers = Self {
            _process: process,
            ports,
            secrets,
            token,
            client,
        };
        let health = format!("{}/.keyward/health", workers.url(Target::Edge));
        eventually("workerd is ready", Duration::from_secs(30), || async {
            workers
                .client
                .get(&health)
                .send()
                .await
                .is_ok_and(|r| r.status() == 200)
                .then_some(())
        })
        .await;
        workers.push().await?;
        Ok(workers)
    }

    /// Where a Worker listens.
    pub fn url(&self, target: Target) -> String {
        let port = match target {
            Target::Edge => self.ports[0],
            Target::Floor => self.ports[1],
            Target::Empty => self.ports[2],
            Target::PassThrough => self.ports[3],
        };
        format!("http://127.0.0.1:{port}")
    }

    /// The token of the key that the edge knows.
    pub fn token(&self) -> &str {
        self.token.expose()
    }

    async fn push(&self) -> Result<()> {
        let upstream = format!("http://127.0.0.1:{}", self.ports[4]);
        let records = json!({ "records": [
            { "kind": "api", "id": "api_bench", "version": 1, "account": ACCOUNT, "name": "Bench", "upstream": upstream,
              "endpoints": [{ "host": "*", "environment": "production", "code": "prod" }],
              "routes": [{ "method": "GET", "path": "/v1/customers", "permission": "customers.read" }] },
            { "kind": "key", "id": "key_bench", "version": 1, "account": ACCOUNT, "environment": "prod", "state": "active",
              "credentials": [{ "hash": self.token.hash() }], "permissions": ["customers.*"],
              "limits": { "requestsPerMinute": u32::MAX, "requestsPerHour": u32::MAX, "requestsPerDay": u32::MAX } },
        ]});
        let answer = self.signed("POST", "push", &records.to_string()).await?;
        ensure!(answer["applied"] == 2, "the push was not applied: {answer}");
        Ok(())
    }

    /// The edge's own counters.
    pub async fn counters(&self) -> Result<Value> {
        let state = self.signed("GET", "state", "").await?;
        Ok(state["counters"].clone())
    }

    async fn signed(&self, method: &str, path: &str, body: &str) -> Result<Value> {
        let seconds = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)?
            .as_secs();
        let id = format!("msg_{}", letters(20));
        let signature = webhook::sign(&self.secrets.push_secret(), &id, seconds, body.as_bytes());
        let url = format!("{}/.keyward/{path}", self.url(Target::Edge));
        let request = self.client.request(method.parse()?, url);
        let answer = request
            .header(webhook::ID_HEADER, id)
            .header(webhook::TIMESTAMP_HEADER, seconds)
            .header(webhook::SIGNATURE_HEADER, signature)
            .header("content-type", "application/json")
            .body(body.to_owned())
            .send()
            .await?;
        answer
            .json()
            .await
            .context("the edge's answer can't be read")
    }
}

fn capnp(folder: &Path, ports: &[u16; 6], secrets: &Secrets, date: &str) -> String {
    let folder = folder.display();
    let [edge, floor, empty, pass, upstream, _] = ports;
    let socket = |name: &str, port: &u16| {
        format!(
            "(name = \"{name}\", address = \"127.0.0.1:{port}\", http = (), service = \"{name}\")"
        )
    };
    let sockets = [
        ("edge", edge),
        ("floor", floor),
        ("empty", empty),
        ("pass", pass),
        ("upstream", upstream),
    ]
    .map(|(name, port)| socket(name, port))
    .join(", ");
    let rival = |file: &str, bindings: &str| {
        format!(
            "(modules = [(name = \"{file}\", esModule = embed \"{file}\"), (name = \"rivals.mjs\", esModule = embed \"rivals.mjs\")], \
             compatibilityDate = \"{date}\", bindings = [{bindings}])"
        )
    };
    let built = BUILT.map(|file| match file.strip_suffix(".wasm") {
        Some(_) => format!("(name = \"{file}\", wasm = embed \"{file}\")"),
        None => format!("(name = \"{file}\", esModule = embed \"{file}\")"),
    });
    let texts = [
        ("TAG_SECRET", &secrets.tag),
        ("PUSH_SECRET", &secrets.push),
        ("ASSERTION_SECRET", &secrets.assertion),
    ]
    .map(|(name, value)| format!("(name = \"{name}\", text = \"{value}\")"));
    format!(
        r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "edge", worker = .edge), (name = "kv", worker = .kv),
    (name = "floor", worker = {floor}), (name = "empty", worker = {empty}),
    (name = "pass", worker = {pass}), (name = "upstream", worker = {empty}),
    (name = "guards", disk = (path = "{folder}/guards", writable = true)),
    (name = "kv-disk", disk = (path = "{folder}/kv-disk", writable = true)),
    (name = "internet", network = (allow = ["public", "private", "local"])),
  ],
  sockets = [{sockets}],
);
const edge :Workerd.Worker = (
  modules = [{built}],
  compatibilityDate = "{date}",
  bindings = [(name = "KV", kvNamespace = "kv"), (name = "GUARD", durableObjectNamespace = "Guard"), {texts}],
  durableObjectNamespaces = [(className = "Guard", uniqueKey = "keyward-guard", enableSql = true)],
  durableObjectStorage = (localDisk = "guards"),
);
const kv :Workerd.Worker = (
  modules = [(name = "kv.mjs", esModule = embed "kv.mjs")],
  compatibilityDate = "{date}",
  bindings = [(name = "STORE", durableObjectNamespace = "Store")],
  durableObjectNamespaces = [(className = "Store", uniqueKey = "kv-store", enableSql = true)],
  durableObjectStorage = (localDisk = "kv-disk"),
);
"#,
        floor = rival("floor.mjs", ""),
        empty = rival("empty.mjs", ""),
        pass = rival(
            "pass-through.mjs",
            &format!("(name = \"UPSTREAM\", text = \"http://127.0.0.1:{upstream}\")")
        ),
        built = built.join(", "),
        texts = texts.join(", "),
    )
}
