//! The edge in the real workerd.

mod config;
mod simulation;
mod storage;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use reqwest::Client;
use serde_json::Value;
use shared::webhook;

use crate::answer::Answer;
use crate::call::Call;
use crate::clock::now;
use crate::eventually::{PATIENCE, eventually};
use crate::parts::Parts;
use crate::process::{Process, read_log};
use crate::secrets::Secrets;
use crate::{port, random};
pub use simulation::{Counters, GuardNetwork, KvVersion};
pub use storage::{Ledger, Storage};

/// How the edge is set up.
#[derive(Debug, Clone)]
pub struct EdgeOptions {
    /// The lease time, in milliseconds.
    pub lease_ms: u64,
    /// How often a guard posts usage, in milliseconds.
    pub usage_interval_ms: u64,
    /// How many gates there are, at least one. Each is an isolate of its own on a port of its own, as if in another
    /// city; guards and KV are common to all.
    pub gates: usize,
}

impl Default for EdgeOptions {
    fn default() -> Self {
        Self {
            lease_ms: 1_000,
            usage_interval_ms: 500,
            gates: 1,
        }
    }
}

/// The edge: gates, guards and KV in one workerd. Its disks outlast a kill.
#[derive(Debug)]
pub struct Edge {
    process: Mutex<Option<Process>>,
    workerd: PathBuf,
    folder: PathBuf,
    gate_ports: Vec<u16>,
    kv_port: u16,
    options: EdgeOptions,
    secrets: Secrets,
    client: Client,
}

impl Edge {
    /// Puts an edge into `folder` and starts it; usage goes to `control_plane`, a base URL.
    ///
    /// # Panics
    /// When it does not answer in time.
    pub async fn start(
        parts: &Parts,
        folder: &Path,
        options: EdgeOptions,
        secrets: &Secrets,
        control_plane: &str,
        client: &Client,
    ) -> Self {
        let edge = Self {
            process: Mutex::new(None),
            workerd: parts.workerd.clone(),
            folder: folder.to_owned(),
            gate_ports: (0..options.gates.max(1)).map(|_| port::free()).collect(),
            kv_port: port::free(),
            options,
            secrets: secrets.clone(),
            client: client.clone(),
        };
        edge.lay_out(parts, control_plane);
        edge.restart().await;
        edge
    }

    /// Writes the files that workerd reads.
    fn lay_out(&self, parts: &Parts, control_plane: &str) {
        let build = &parts.edge_build;
        let built = config::copy_modules(build, &self.folder)
            .unwrap_or_else(|error| panic!("{}: {error}", build.display()));
        for disk in [config::GUARD_DISK, config::KV_DISK] {
            std::fs::create_dir_all(self.folder.join(disk)).expect("a folder can be made");
        }
        let text = config::text(&config::Facts {
            folder: &self.folder,
            built: &built,
            gate_ports: &self.gate_ports,
            kv_port: self.kv_port,
            compatibility_date: &parts.compatibility_date,
            compatibility_flags: &parts.compatibility_flags,
            secrets: &self.secrets,
            control_plane,
            options: &self.options,
        });
        std::fs::write(self.config_file(), text).expect("a file can be written");
    }

    fn config_file(&self) -> PathBuf {
        self.folder.join("config.capnp")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("edge.log")
    }

    fn process(&self) -> std::sync::MutexGuard<'_, Option<Process>> {
        self.process
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Starts it, on the same disks and ports as before; kills it first if it runs.
    ///
    /// # Panics
    /// When it does not answer in time.
    pub async fn restart(&self) {
        self.kill();
        let mut command = Command::new(&self.workerd);
        command.arg("serve").arg(self.config_file());
        let process = Process::start("workerd", &mut command, &self.log_file());
        *self.process() = Some(process);
        for gate in 0..self.gate_ports.len() {
            eventually("the edge answers", PATIENCE, || async move {
                let runs = self.process().as_mut().is_some_and(Process::is_running);
                assert!(runs, "workerd ended:\n{}", self.log());
                let url = format!("{}/.keyward/health", self.gate(gate));
                let answer = self.client.get(url).send().await.ok()?;
                (answer.status() == 200).then_some(())
            })
            .await;
        }
    }

    /// Ends it with SIGKILL; gone when this returns.
    pub fn kill(&self) {
        // Dropping kills and waits.
        drop(self.process().take());
    }

    /// The process id of workerd, while it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.process().as_ref().map(Process::id)
    }

    /// The base URL of the first gate.
    pub fn url(&self) -> String {
        self.gate(0)
    }

    /// The base URL of a gate, from 0.
    pub fn gate(&self, gate: usize) -> String {
        format!("http://127.0.0.1:{}", self.gate_ports[gate])
    }

    /// How many gates there are.
    pub fn gates(&self) -> usize {
        self.gate_ports.len()
    }

    /// The lease time and the rest of how it is set up.
    pub fn options(&self) -> &EdgeOptions {
        &self.options
    }

    /// Everything that workerd wrote since the first start.
    pub fn log(&self) -> String {
        read_log(&self.log_file())
    }

    /// The folder with its log and its disks (`guards`, `kv`).
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Sends a signed request to a path of the edge's own, as the control plane does. Without a body it is a GET.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn signed(&self, gate: usize, path: &str, body: Option<&str>) -> Answer {
        let id = format!("msg_{}", random::letters(24));
        let seconds = now() / 1_000;
        let text = body.unwrap_or_default();
        let secret = self.secrets.push_secret();
        let signature = webhook::sign(&secret, &id, seconds, text.as_bytes());
        let call = Call::new(if body.is_some() { "POST" } else { "GET" }, path)
            .header(webhook::ID_HEADER, &id)
            .header(webhook::TIMESTAMP_HEADER, &seconds.to_string())
            .header(webhook::SIGNATURE_HEADER, &signature);
        let call = match body {
            Some(text) => call.header("content-type", "application/json").body(text),
            None => call,
        };
        let request = call.request(&self.client, &self.gate(gate));
        let response = request.send().await.expect("the edge answers");
        Answer::read(response).await.expect("the answer is whole")
    }

    /// What a gate says of itself at `/.keyward/state`.
    ///
    /// # Panics
    /// When it says nothing.
    pub async fn gate_state(&self, gate: usize) -> Value {
        let answer = self.signed(gate, "/.keyward/state", None).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }
}
