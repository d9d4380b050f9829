//! The command line client, the program itself, against a running server.

mod accounts;
mod apis;
mod connection;
mod decisions;
mod keys;
mod people;
mod streams;
mod terminal;

use std::fs;
use std::path::PathBuf;
use std::process::{Output, Stdio};

use keyward::admin_token::AdminToken;
use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::support::Database;
use crate::support::process::Process;

/// A person at a shell, with a home folder of their own.
struct Shell {
    home: TempDir,
    server: String,
    token: String,
}

/// How a command ended.
#[derive(Debug)]
struct Run {
    code: i32,
    out: String,
    err: String,
}

impl Run {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Standard output of a command that ended with this code.
    #[track_caller]
    fn exits(self, code: i32) -> String {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        self.out
    }

    /// Checks code and standard error.
    #[track_caller]
    fn fails(self, code: i32, told: &str) {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        assert!(self.err.starts_with("keyward: "), "{}", self.err);
        assert!(self.err.contains(told), "{}", self.err);
        assert_eq!(self.out, "");
    }

    #[track_caller]
    fn json(self) -> Value {
        let out = self.exits(0);
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }

    /// The cells of a table: two spaces at least stand between them.
    #[track_caller]
    fn table(self) -> Vec<Vec<String>> {
        let out = self.exits(0);
        let cells = |line: &str| {
            let cells = line.split("  ").map(str::trim);
            let cells = cells.filter(|cell| !cell.is_empty());
            cells.map(str::to_owned).collect()
        };
        out.lines().map(cells).collect()
    }
}

impl Shell {
    fn new(server: &str, token: &str) -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
            server: server.to_owned(),
            token: token.to_owned(),
        }
    }

    /// `keyward` with nothing of these surroundings, not even server and token.
    fn bare(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyward"));
        command
            .args(arguments)
            .env_clear()
            .env("XDG_CONFIG_HOME", self.home.path())
            .current_dir(self.home.path())
            .stdin(Stdio::null());
        command
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.bare(arguments);
        command
            .env("KEYWARD_SERVER", &self.server)
            .env("KEYWARD_TOKEN", &self.token);
        command
    }

    async fn run(&self, arguments: &[&str]) -> Run {
        let run = run(self.command(arguments)).await;
        assert!(!run.err.contains(&self.token) && !run.out.contains(&self.token));
        run
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        self.run(&[arguments, &["--json"]].concat()).await.json()
    }

    fn config(&self) -> PathBuf {
        self.home.path().join("keyward/config.json")
    }

    fn write(&self, name: &str, content: &Value) -> String {
        let path = self.home.path().join(name);
        fs::write(&path, content.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

async fn run(mut command: Command) -> Run {
    Run::of(command.output().await.unwrap())
}

/// A person at a shell, and the server whose root admin they are.
struct Desk {
    shell: Shell,
    process: Process,
    _database: Database,
}

impl Desk {
    async fn new() -> Self {
        let database = Database::fresh().await;
        let admin = AdminToken::mint().unwrap();
        let process = Process::serve(&database, admin.expose(), &[], "log").await;
        Self {
            shell: Shell::new(&process.base, admin.expose()),
            process,
            _database: database,
        }
    }

    async fn run(&self, arguments: &[&str]) -> Run {
        self.shell.run(arguments).await
    }

    /// What the API itself says.
    async fn api(&self, path: &str) -> Value {
        let answer = self
            .process
            .call(Method::GET, path, &self.shell.token, None);
        answer.await.unwrap().expect(200)
    }

    async fn status(&self, path: &str) -> u16 {
        let answer = self
            .process
            .call(Method::GET, path, &self.shell.token, None);
        answer.await.unwrap().status
    }

    /// Makes something of a body; gives its id.
    async fn make(&self, resource: &str, body: Value) -> String {
        let path = format!("/v1/{resource}s");
        let call = self
            .process
            .call(Method::POST, &path, &self.shell.token, Some(&body));
        let made = call.await.unwrap().expect(201);
        made[resource]["id"].as_str().unwrap().to_owned()
    }
}
