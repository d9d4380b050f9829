//! What people would use or write instead.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use keyward_tests::{forged_token, root, skip};
use serde_json::{Value, json};
use shared::token::Token;

use crate::compare::Entrant;
use crate::edge::{self, ACCOUNT, Edge};
use crate::lab::Lab;
use crate::request::{Request, Want};
use crate::workerd::{Module, Objects, Worker, Workerd};

/// A rival that runs.
pub struct Rival {
    /// Its name in the tables.
    pub name: &'static str,
    /// Its process.
    pub workerd: Workerd,
    /// The Worker in it.
    pub worker: &'static str,
    /// The request that it admits.
    pub request: Request,
}

impl Rival {
    /// As one of a comparison.
    pub fn entrant(&self, brief: bool) -> Entrant<'_> {
        Entrant {
            name: self.name,
            workerd: &self.workerd,
            worker: self.worker,
            request: &self.request,
            brief,
        }
    }
}

/// JavaScript by hand, without a promise.
pub const HAND: &str = "JavaScript by hand, in memory, a SHA-256 of its own";
/// The same with the runtime's hash.
pub const SUBTLE: &str = "JavaScript by hand, in memory, `crypto.subtle`";

/// Starts the one that is written by hand, in two ways: its records are the edge's.
///
/// # Errors
/// When it does not start.
pub async fn hand(lab: &Lab, edge: &Edge) -> Result<[Rival; 2]> {
    let token = edge.mint()?;
    let mut rivals = Vec::new();
    for (name, entry) in [(HAND, "hand.mjs"), (SUBTLE, "subtle.mjs")] {
        let mut files = vec![entry, "hand.mjs", "purse.mjs", "sha256.mjs", "token.mjs"];
        files.dedup();
        let modules: Result<Vec<Module>> = files
            .iter()
            .map(|f| Module::ours(&format!("bench/hand/{f}")))
            .collect();
        let worker = Worker::plain("hand", modules?)
            .variable("TAG_SECRET", &edge.secrets.tag)
            .variable("RECORDS", &records(&token));
        let rival = start(lab, name, worker, token.expose()).await?;
        refuses_forged(&rival).await?;
        rivals.push(rival);
    }
    let pair = <[Rival; 2]>::try_from(rivals);
    pair.map_err(|_| anyhow::anyhow!("two rivals are two"))
}

/// Starts the others. Those from npm are left out, by name, where their packages are not installed.
///
/// # Errors
/// When one does not start.
pub async fn others(lab: &Lab, edge: &Edge) -> Result<Vec<Rival>> {
    let mut rivals = vec![recipe(lab, edge).await?];
    if !root().join("tests/bench/rivals/node_modules").is_dir() {
        skip(
            "better-auth and hono",
            "`npm ci` was not run in tests/bench/rivals",
        );
        return Ok(rivals);
    }
    rivals.push(hono(lab, edge, "hono-rate-limiter, in memory", "memory").await?);
    rivals.push(
        hono(
            lab,
            edge,
            "hono-rate-limiter, Durable Object store",
            "durable",
        )
        .await?,
    );
    rivals.push(better_auth(lab).await?);
    Ok(rivals)
}

/// It must do the work, not only seem to.
async fn refuses_forged(rival: &Rival) -> Result<()> {
    let request = request(&forged_token("prod", ACCOUNT));
    let url = rival.workerd.url(rival.worker);
    let answer = request
        .call()
        .request(&reqwest::Client::new(), &url)
        .send()
        .await?;
    ensure!(
        answer.status() == 401,
        "{} answers {} to a forged key",
        rival.name,
        answer.status()
    );
    Ok(())
}

fn records(token: &Token) -> String {
    json!([
        edge::api("http://127.0.0.1:9"),
        edge::record(token, json!({}))
    ])
    .to_string()
}

/// KV and a Durable Object for each request.
async fn recipe(lab: &Lab, edge: &Edge) -> Result<Rival> {
    let token = edge.mint()?;
    let hash = serde_json::to_value(token.hash())?;
    let mut values = serde_json::Map::new();
    let name = format!("k/{}", hash.as_str().unwrap_or_default());
    values.insert(
        name,
        Value::String(edge::record(&token, json!({})).to_string()),
    );
    let kv = Worker::plain("memory-kv", vec![Module::ours("bench/memory-kv.mjs")?])
        .variable("VALUES", &Value::Object(values).to_string());
    let mut worker = Worker::plain("recipe", vec![Module::ours("bench/recipe.mjs")?])
        .binding("name = \"KEYS\", kvNamespace = \"memory-kv\"")
        .binding("name = \"LIMITER\", durableObjectNamespace = \"Limiter\"");
    worker.objects = Some(Objects {
        class: "Limiter",
        key: "limiter",
    });
    let folder = lab.folder("recipe")?;
    Ok(Rival {
        name: "JavaScript, KV and a Durable Object per request",
        workerd: Workerd::start(&lab.parts, &folder, &[worker, kv]).await?,
        worker: "recipe",
        request: request(token.expose()),
    })
}

async fn hono(lab: &Lab, edge: &Edge, name: &'static str, store: &str) -> Result<Rival> {
    let token = edge.mint()?;
    let mut worker = Worker::plain("hono", vec![bundle(lab, "hono")?])
        .variable("RECORDS", &records(&token))
        .variable("STORE", store)
        .binding("name = \"LIMITER\", durableObjectNamespace = \"DurableObjectRateLimiter\"");
    worker.objects = Some(Objects {
        class: "DurableObjectRateLimiter",
        key: "limiter",
    });
    start(lab, name, worker, token.expose()).await
}

async fn better_auth(lab: &Lab) -> Result<Rival> {
    let worker = Worker::plain("better-auth", vec![bundle(lab, "better-auth")?]);
    let mut rival = start(lab, "better-auth's API keys, tables in memory", worker, "").await?;
    let url = format!("{}/__key", rival.workerd.url(rival.worker));
    let key = reqwest::get(url).await?.error_for_status()?.text().await?;
    rival.request = request(&key);
    Ok(rival)
}

async fn start(lab: &Lab, name: &'static str, worker: Worker, key: &str) -> Result<Rival> {
    let of = worker.name;
    Ok(Rival {
        name,
        workerd: Workerd::start(&lab.parts, &lab.folder(of)?, &[worker]).await?,
        worker: of,
        request: request(key),
    })
}

fn request(key: &str) -> Request {
    Request::verify(vec![key.to_owned()], Want::Success)
}

/// One file out of a rival and its packages, by the esbuild that `package.json` names.
fn bundle(lab: &Lab, name: &str) -> Result<Module> {
    let file = lab.path().join(format!("{name}.mjs"));
    if !file.is_file() {
        esbuild(
            &root()
                .join("tests/bench/rivals")
                .join(format!("{name}.mjs")),
            &file,
        )?;
    }
    Module::file(&file)
}

fn esbuild(from: &Path, to: &Path) -> Result<()> {
    let mut command = Command::new(root().join("node_modules/.bin/esbuild"));
    command.arg(from).args([
        "--bundle",
        "--format=esm",
        "--platform=neutral",
        "--log-level=error",
    ]);
    command.args([
        "--main-fields=module,main",
        "--conditions=workerd,worker,import",
    ]);
    command.args(["--external:node:*", "--external:cloudflare:*"]);
    let output = command.arg(format!("--outfile={}", to.display())).output();
    let output = output.context("esbuild can't be started")?;
    ensure!(
        output.status.success(),
        "esbuild: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
