//! The control plane as it is deployed: a release build of `keyward serve`, on SQLite or PostgreSQL.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use keyward_tests::{Process, Secrets, free_port, read_log};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::lab::Lab;

/// How long it may take until it is ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// The kinds of database, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    Sqlite,
    /// A server, which `KEYWARD_BENCH_POSTGRES` names.
    Postgres,
}

impl Kind {
    /// Those that are there.
    pub fn available() -> Vec<Self> {
        match std::env::var("KEYWARD_BENCH_POSTGRES") {
            Ok(_) => vec![Self::Sqlite, Self::Postgres],
            Err(_) => vec![Self::Sqlite],
        }
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }

    /// The URL of a new database.
    ///
    /// # Errors
    /// When it can't be made.
    pub async fn database(self, lab: &Lab, name: &str) -> Result<String> {
        match self {
            Self::Sqlite => {
                let file = lab.folder(name)?.join("keyward.db");
                Ok(format!("sqlite://{}?mode=rwc", file.display()))
            }
            Self::Postgres => {
                let server = std::env::var("KEYWARD_BENCH_POSTGRES")?;
                let name = format!("bench_{}_{}", std::process::id(), name.replace('-', "_"));
                let mut conn = PgConnection::connect(&server).await?;
                sqlx::raw_sql(AssertSqlSafe(format!("create database {name}")))
                    .execute(&mut conn)
                    .await?;
                conn.close().await?;
                let (base, _) = server.rsplit_once('/').context("a database is named")?;
                Ok(format!("{base}/{name}"))
            }
        }
    }
}

/// A running control plane.
pub struct Server {
    process: Process,
    binary: PathBuf,
    log: PathBuf,
    database: String,
    secrets: Secrets,
    port: u16,
    edge: Option<String>,
    client: Client,
}

impl Server {
    /// Starts it on a database; with an edge it is given everything.
    ///
    /// # Errors
    /// When it is not ready in time.
    pub async fn start(
        lab: &Lab,
        database: &str,
        secrets: &Secrets,
        edge: Option<String>,
    ) -> Result<Self> {
        let binary = lab.parts.keyward.clone();
        let log = lab.folder("keyward")?.join("log");
        let port = free_port();
        let process = launch(&binary, &log, database, secrets, port, edge.as_deref());
        let mut server = Self {
            process,
            binary,
            log,
            database: database.to_owned(),
            secrets: secrets.clone(),
            port,
            edge,
            client: Client::builder().no_proxy().build()?,
        };
        server.await_ready().await?;
        Ok(server)
    }

    /// Ends it and starts it anew on the same database.
    ///
    /// # Errors
    /// When it is not ready in time.
    pub async fn restart(&mut self) -> Result<()> {
        self.process.kill();
        let edge = self.edge.as_deref();
        self.process = launch(
            &self.binary,
            &self.log,
            &self.database,
            &self.secrets,
            self.port,
            edge,
        );
        self.await_ready().await
    }

    async fn await_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let url = self.url("/readyz");
        loop {
            if let Ok(answer) = self.client.get(&url).send().await
                && answer.status() == 200
            {
                return Ok(());
            }
            if !self.process.is_running() || Instant::now() > deadline {
                bail!("keyward does not get ready:\n{}", read_log(&self.log));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// A call of the first admin.
    pub fn call(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, self.url(path));
        request.bearer_auth(&self.secrets.admin_token)
    }

    /// What a GET answers.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn get(&self, path: &str) -> Result<Value> {
        answer(self.call(Method::GET, path)).await
    }

    /// What a POST answers.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        answer(self.call(Method::POST, path).json(body)).await
    }

    /// The most memory that it ever had, in MB.
    ///
    /// # Errors
    /// When it has died.
    pub fn peak(&self) -> Result<f64> {
        Ok(crate::cpu::peak(self.process.id())? as f64 / 1e6)
    }
}

async fn answer(request: RequestBuilder) -> Result<Value> {
    let answer = request.send().await?;
    let status = answer.status();
    let text = answer.text().await?;
    ensure!(status.is_success(), "{status}: {text}");
    Ok(serde_json::from_str(&text)?)
}

fn launch(
    binary: &Path,
    log: &Path,
    database: &str,
    secrets: &Secrets,
    port: u16,
    edge: Option<&str>,
) -> Process {
    let mut command = Command::new(binary);
    command
        .arg("serve")
        .env_clear()
        .env("KEYWARD_DATABASE_URL", database)
        .env("KEYWARD_LISTEN", format!("127.0.0.1:{port}"))
        .env("KEYWARD_TAG_SECRET", &secrets.tag)
        .env("KEYWARD_PUSH_SECRET", &secrets.push)
        .env("KEYWARD_ADMIN_TOKEN", &secrets.admin_token)
        .env("KEYWARD_EDGE_TARGETS", edge.unwrap_or_default());
    Process::start("keyward", &mut command, log)
}
