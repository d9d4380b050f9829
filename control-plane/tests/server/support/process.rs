//! The server as a program of its own: to be killed, and its whole output read.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use reqwest::{Client, Method};
use serde_json::Value;

use super::wait::{FOR_EDGES, PATIENCE};
use super::{Answer, Database, PUSH_SECRET, TAG_SECRET, until};

/// The program `keyward`, without any setting of the surroundings.
pub fn keyward(database: &Database) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyward"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("KEYWARD_")) {
        command.env_remove(name);
    }
    command
        .env("KEYWARD_DATABASE_URL", database.url())
        .env("RUST_LOG", "trace")
        .stdin(Stdio::null());
    command
}

/// An address that is free now, for a server whose log does not tell of it.
pub fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// The base URL that a server's log tells.
fn address(log: &Path) -> Option<String> {
    let text = std::fs::read_to_string(log).ok()?;
    let line = text.lines().find(|l| l.contains("\"listening\""))?;
    let (_, rest) = line.split_once("127.0.0.1:")?;
    let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some(format!("http://127.0.0.1:{port}"))
}

/// A running `keyward serve`.
pub struct Process {
    child: Child,
    pub base: String,
    pub log: PathBuf,
    http: Client,
}

impl Process {
    /// Starts the server and waits until it is ready. Its log is the file `name` beside the database.
    pub async fn serve(database: &Database, admin: &str, edges: &[String], name: &str) -> Self {
        Self::serve_with(database, admin, edges, name, &[]).await
    }

    /// The same with more settings in the environment.
    pub async fn serve_with(
        database: &Database,
        admin: &str,
        edges: &[String],
        name: &str,
        more: &[(&str, &str)],
    ) -> Self {
        let log = database.folder().join(name);
        let child = keyward(database)
            .arg("serve")
            .env("KEYWARD_LISTEN", "127.0.0.1:0")
            .env("KEYWARD_TAG_SECRET", TAG_SECRET)
            .env("KEYWARD_PUSH_SECRET", PUSH_SECRET)
            .env("KEYWARD_EDGE_TARGETS", edges.join(","))
            .env("KEYWARD_ADMIN_TOKEN", admin)
            .env("KEYWARD_DRAIN_MS", "0")
            .env(
                "KEYWARD_PROPAGATION_WAIT_MS",
                FOR_EDGES.as_millis().to_string(),
            )
            .envs(more.iter().copied())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let given = more.iter().find(|(name, _)| *name == "KEYWARD_LISTEN");
        let base = match given {
            Some((_, address)) => format!("http://{address}"),
            // Its log tells which port it was given: one that was looked for before might be another's by now.
            None => until("the server tells its address", || async { address(&log) }).await,
        };
        let process = Self {
            child,
            base,
            log,
            http: Client::builder().no_proxy().build().unwrap(),
        };
        until("the server is ready", || async {
            let probe = process.http.get(format!("{}/readyz", process.base));
            probe.send().await.ok().filter(|r| r.status() == 200)
        })
        .await;
        process
    }

    /// A call of an admin; `None` when the server died meanwhile.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<&Value>,
    ) -> Option<Answer> {
        let url = format!("{}{path}", self.base);
        let mut request = self
            .http
            .request(method, url)
            .bearer_auth(token)
            .timeout(PATIENCE);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.ok()?;
        Some(Answer::read(response).await)
    }

    /// A request with headers of its own.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// SIGKILL, while others still call it.
    pub fn strike(&self) {
        self.signal("-KILL");
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; gives whether the program ended well.
    pub fn terminate(&mut self) -> bool {
        self.signal("-TERM");
        self.child.wait().unwrap().success()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
