//! The control plane: the real `keyward serve`, on SQLite.

mod admin;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::Client;
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use crate::eventually::{PATIENCE, eventually};
use crate::parts::Parts;
use crate::port;
use crate::process::{Process, read_log};
use crate::secrets::Secrets;
pub use admin::{Admin, Key, NewKey};

/// The control plane. Its database outlasts a kill.
#[derive(Debug)]
pub struct ControlPlane {
    process: Mutex<Option<Process>>,
    binary: PathBuf,
    folder: PathBuf,
    port: u16,
    edges: Mutex<Vec<String>>,
    propagation_wait: Duration,
    secrets: Secrets,
    client: Client,
}

impl ControlPlane {
    /// A control plane in `folder`, not started yet, so that others can be told its address.
    pub fn new(parts: &Parts, folder: &Path, secrets: &Secrets, client: &Client) -> Self {
        Self {
            process: Mutex::new(None),
            binary: parts.keyward.clone(),
            folder: folder.to_owned(),
            port: port::free(),
            edges: Mutex::default(),
            propagation_wait: Duration::from_secs(25),
            secrets: secrets.clone(),
            client: client.clone(),
        }
    }

    /// Pushes to these edges, base URLs, from the next start on.
    pub fn set_edges(&self, edges: Vec<String>) {
        *lock(&self.edges) = edges;
    }

    /// How long a call that changes something waits for the edges, from the next start on.
    #[must_use]
    pub fn with_propagation_wait(self, propagation_wait: Duration) -> Self {
        Self {
            propagation_wait,
            ..self
        }
    }

    /// Starts it, on the same database and port as before, and waits until it is ready; kills it first if it runs.
    ///
    /// # Panics
    /// When it is not ready in time.
    pub async fn restart(&self) {
        self.launch();
        eventually("the control plane is ready", PATIENCE, || async {
            let runs = lock(&self.process)
                .as_mut()
                .is_some_and(Process::is_running);
            assert!(runs, "keyward ended:\n{}", self.log());
            let url = format!("{}/readyz", self.url());
            let answer = self.client.get(url).send().await.ok()?;
            (answer.status() == 200).then_some(())
        })
        .await;
    }

    /// Starts it and does not wait.
    pub fn launch(&self) {
        self.kill();
        let database = self.database();
        let mut command = Command::new(&self.binary);
        command
            .arg("serve")
            // Nothing of the environment of the tests is to reach it.
            .env_clear()
            .env(
                "KEYWARD_DATABASE_URL",
                format!("sqlite://{}", database.display()),
            )
            .env("KEYWARD_LISTEN", format!("127.0.0.1:{}", self.port))
            .env("KEYWARD_TAG_SECRET", &self.secrets.tag)
            .env("KEYWARD_PUSH_SECRET", &self.secrets.push)
            .env("KEYWARD_ADMIN_TOKEN", &self.secrets.admin_token)
            .env("KEYWARD_EDGE_TARGETS", lock(&self.edges).join(","))
            .env(
                "KEYWARD_PROPAGATION_WAIT_MS",
                self.propagation_wait.as_millis().to_string(),
            );
        let process = Process::start("keyward", &mut command, &self.log_file());
        *lock(&self.process) = Some(process);
    }

    /// Ends it with SIGKILL; gone when this returns.
    pub fn kill(&self) {
        drop(lock(&self.process).take());
    }

    /// The program, to be run for something else than serving, without the surroundings of the tests.
    pub fn program(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.env_clear().current_dir(&self.folder);
        command
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its admin API, as the first admin.
    pub fn admin(&self) -> Admin {
        Admin::new(&self.client, &self.url(), &self.secrets.admin_token)
    }

    /// Everything that it wrote since the first start.
    pub fn log(&self) -> String {
        read_log(&self.log_file())
    }

    /// The database file; SQLite's side files stand next to it.
    pub fn database(&self) -> PathBuf {
        self.folder.join("keyward.db")
    }

    /// Changes that are committed and not yet known to have reached every edge, also after a kill.
    ///
    /// # Panics
    /// When the database can't be read.
    pub async fn undelivered(&self) -> u64 {
        let options = SqliteConnectOptions::new()
            .filename(self.database())
            .read_only(true);
        let mut database = options.connect().await.expect("the database opens");
        let count: i64 = sqlx::query_scalar("select count(*) from outbox")
            .fetch_one(&mut database)
            .await
            .expect("the database can be read");
        count.unsigned_abs()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("control-plane.log")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
