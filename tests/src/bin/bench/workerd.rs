//! A workerd with the Workers that one measurement needs, without wrangler in front.

use std::fmt::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use keyward_tests::{Parts, Process, free_port, root};

use crate::cpu;

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A file of a Worker.
pub struct Module {
    name: String,
    bytes: Vec<u8>,
}

impl Module {
    /// With a text of ours.
    pub fn text(name: &str, text: String) -> Self {
        Self {
            name: name.to_owned(),
            bytes: text.into_bytes(),
        }
    }

    /// A file as it is.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn file(path: &Path) -> Result<Self> {
        let name = path.file_name().context("a file has a name")?;
        Ok(Self {
            name: name.to_string_lossy().into_owned(),
            bytes: std::fs::read(path).with_context(|| path.display().to_string())?,
        })
    }

    /// A file of `tests/`.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn ours(path: &str) -> Result<Self> {
        Self::file(&root().join("tests").join(path))
    }

    /// Every file of the built edge that is part of the Worker, its entry first.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub fn edge(build: &Path) -> Result<Vec<Self>> {
        let mut paths: Vec<PathBuf> = std::fs::read_dir(build)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                let extension = path.extension().and_then(|e| e.to_str());
                matches!(extension, Some("mjs" | "js" | "wasm"))
            })
            .collect();
        paths.sort_by_key(|path| !path.ends_with("worker.mjs"));
        paths.iter().map(|path| Self::file(path)).collect()
    }

    fn config(&self, folder: &str) -> String {
        let kind = if self.name.ends_with(".wasm") {
            "wasm"
        } else {
            "esModule"
        };
        let name = &self.name;
        format!("(name = \"{name}\", {kind} = embed \"{folder}/{name}\")")
    }
}

/// A Durable Object class of a Worker.
pub struct Objects {
    /// The class.
    pub class: &'static str,
    /// The folder of its storage, below the folder of the class's disk.
    pub key: &'static str,
}

/// A Worker. The first module is its entry.
pub struct Worker {
    /// Names its service and its socket.
    pub name: &'static str,
    /// Its files.
    pub modules: Vec<Module>,
    /// In workerd's text form, each in brackets.
    pub bindings: Vec<String>,
    /// Compatibility flags.
    pub flags: Vec<String>,
    /// Its Durable Objects; they live on disk.
    pub objects: Option<Objects>,
}

impl Worker {
    /// One that needs nothing.
    pub fn plain(name: &'static str, modules: Vec<Module>) -> Self {
        Self {
            name,
            modules,
            bindings: Vec::new(),
            flags: Vec::new(),
            objects: None,
        }
    }

    /// With a text binding.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        self.bindings
            .push(format!("(name = \"{name}\", text = \"{value}\")"));
        self
    }

    /// With a binding in workerd's text form.
    #[must_use]
    pub fn binding(mut self, text: &str) -> Self {
        self.bindings.push(format!("({text})"));
        self
    }

    fn config(&self, date: &str) -> String {
        let name = self.name;
        let modules: Vec<String> = self.modules.iter().map(|m| m.config(name)).collect();
        let flags: Vec<String> = self.flags.iter().map(|f| format!("\"{f}\"")).collect();
        let storage = self.objects.as_ref().map_or_else(String::new, |objects| {
            format!(
                ", durableObjectNamespaces = [(className = \"{}\", uniqueKey = \"{}\", enableSql = true)], \
                 durableObjectStorage = (localDisk = \"{name}-disk\")",
                objects.class, objects.key
            )
        });
        format!(
            "(name = \"{name}\", worker = (modules = [{}], compatibilityDate = \"{date}\", compatibilityFlags = [{}], \
             bindings = [{}]{storage}))",
            modules.join(", "),
            flags.join(", "),
            self.bindings.join(", "),
        )
    }
}

/// A workerd that runs, each of its Workers behind a socket of its own.
///
/// Whatever is compared runs in processes of its own: Workers of one workerd share a thread, a heap's garbage is
/// collected beside the others', and CPU time is counted for processes only. Those that are not asked sleep.
pub struct Workerd {
    process: Process,
    ports: Vec<(&'static str, u16)>,
    folder: PathBuf,
}

impl Workerd {
    /// Starts it with its files below `folder` and waits until it listens.
    ///
    /// # Errors
    /// When a file can't be written.
    pub async fn start(parts: &Parts, folder: &Path, workers: &[Worker]) -> Result<Self> {
        let ports = write(parts, folder, workers)?;
        let this = Self {
            process: launch(parts, folder),
            ports,
            folder: folder.to_owned(),
        };
        this.ready().await?;
        Ok(this)
    }

    /// Ends it and starts it again on what is on disk.
    ///
    /// # Errors
    /// When it does not listen again.
    pub async fn restart(&mut self, parts: &Parts) -> Result<()> {
        self.process.kill();
        self.process = launch(parts, &self.folder);
        self.ready().await
    }

    /// Ends it; its disk stays.
    pub fn stop(&mut self) {
        self.process.kill();
    }

    /// Looks every millisecond: starts are measured by it.
    async fn ready(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        for (_, port) in &self.ports {
            while TcpStream::connect(("127.0.0.1", *port)).is_err() {
                ensure!(
                    Instant::now() < deadline,
                    "workerd does not listen; see {}",
                    self.folder.display()
                );
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        Ok(())
    }

    /// Where a Worker listens.
    pub fn url(&self, worker: &str) -> String {
        let port = self.ports.iter().find(|(name, _)| *name == worker);
        format!("http://127.0.0.1:{}", port.map_or(0, |(_, port)| *port))
    }

    /// The end of what it said.
    pub fn log(&self) -> String {
        let log = std::fs::read_to_string(self.folder.join("workerd.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.get(lines.len().saturating_sub(5)..);
        format!("workerd said: {}", last.unwrap_or_default().join("; "))
    }

    /// Its files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// CPU time so far.
    ///
    /// # Errors
    /// When it has died.
    pub fn cpu(&self) -> Result<Duration> {
        cpu::used(self.process.id()).context("workerd has died; see its log")
    }

    /// Resident memory in bytes.
    ///
    /// # Errors
    /// When it has died.
    pub fn resident(&self) -> Result<u64> {
        cpu::resident(self.process.id()).context("workerd has died; see its log")
    }
}

fn launch(parts: &Parts, folder: &Path) -> Process {
    let mut command = Command::new(&parts.workerd);
    command.arg("serve").arg(folder.join("config.capnp"));
    Process::start("workerd", &mut command, &folder.join("workerd.log"))
}

fn write(parts: &Parts, folder: &Path, workers: &[Worker]) -> Result<Vec<(&'static str, u16)>> {
    let mut services = String::new();
    let mut sockets = String::new();
    let mut ports = Vec::new();
    for worker in workers {
        let name = worker.name;
        let files = folder.join(name);
        std::fs::create_dir_all(&files)?;
        for module in &worker.modules {
            std::fs::write(files.join(&module.name), &module.bytes)?;
        }
        writeln!(
            services,
            "    {},",
            worker.config(&parts.compatibility_date)
        )?;
        if worker.objects.is_some() {
            let disk = folder.join(format!("{name}-disk"));
            std::fs::create_dir_all(&disk)?;
            let path = disk.display();
            writeln!(
                services,
                "    (name = \"{name}-disk\", disk = (path = \"{path}\", writable = true)),"
            )?;
        }
        let port = free_port();
        let address = format!("127.0.0.1:{port}");
        writeln!(
            sockets,
            "    (name = \"{name}\", address = \"{address}\", http = (), service = \"{name}\"),"
        )?;
        ports.push((name, port));
    }
    let config = format!(
        "using Workerd = import \"/workerd/workerd.capnp\";\nconst config :Workerd.Config = (\n  services = [\n{services}    \
         (name = \"internet\", network = (allow = [\"public\", \"private\", \"local\"])),\n  ],\n  sockets = [\n{sockets}  ],\n);\n"
    );
    std::fs::write(folder.join("config.capnp"), config)?;
    Ok(ports)
}
