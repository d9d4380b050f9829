//! A real Chromium, told what to do by `tests/browser/driver.mjs`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use keyward_tests::{Parts, root};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// What a browser needs.
#[derive(Debug, Clone)]
pub struct BrowserParts {
    node: PathBuf,
    modules: PathBuf,
    chromium: PathBuf,
}

impl BrowserParts {
    /// Finds Node, playwright and a Chromium.
    ///
    /// # Errors
    /// What is missing.
    pub fn find() -> Result<Self, String> {
        let modules = Parts::node_modules();
        if !modules.join("playwright-core/package.json").is_file() {
            return Err(format!("{} has no playwright-core", modules.display()));
        }
        Ok(Self {
            node: Parts::node()?,
            modules,
            chromium: Parts::chromium()?,
        })
    }
}

/// A browser with nothing remembered. All of one process are one Chromium, which ends with the process: to start one
/// is slow on a busy machine, to forget everything is not.
pub struct Browser {
    parts: BrowserParts,
    /// To forget everything closes the pages of all, so there is one browser at a time.
    _turn: tokio::sync::MutexGuard<'static, ()>,
}

static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

static DRIVER: Mutex<Option<Driver>> = Mutex::new(None);

/// The running driver. It ends when nothing can be told to it any more.
struct Driver {
    process: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// A page in a tab of its own.
pub struct Page<'a> {
    browser: &'a Browser,
    number: u64,
    frame: Option<&'static str>,
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Only one that failed is dropped. Its browser ends with it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a script learned of its request.
#[derive(Debug, Deserialize)]
pub struct Outcome {
    /// The origin that the script runs in.
    pub origin: String,
    /// The status, when there is an answer that it may read.
    pub status: Option<u16>,
    /// `cors`, `opaque` …
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The headers that it may read, names in lower case.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body.
    #[serde(default)]
    pub body: String,
    /// What `fetch` threw.
    pub error: Option<String>,
    /// Chromium's reason for that; scripts don't learn it.
    pub reason: Option<String>,
}

impl Outcome {
    /// A header that the script may read.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// Asserts that there was an answer of this status, readable by CORS.
    pub fn has(&self, status: u16) -> &Self {
        assert_eq!(self.status, Some(status), "{self:?}");
        assert_eq!(self.kind.as_deref(), Some("cors"), "{self:?}");
        self
    }

    /// Asserts that there was a readable refusal of this status and code.
    pub fn refuses(&self, status: u16, code: &str) -> &Self {
        self.has(status);
        assert_eq!(self.json()["code"], code, "{self:?}");
        self
    }

    /// Asserts that the browser kept the answer from the script, for this reason.
    pub fn kept_back(&self, reason: &str) {
        assert_eq!(
            self.error.as_deref(),
            Some("TypeError: Failed to fetch"),
            "{self:?}"
        );
        assert_eq!(self.reason.as_deref(), Some(reason), "{self:?}");
    }
}

/// A page that was read.
#[derive(Debug, Deserialize)]
pub struct Reading {
    /// The texts of what was waited for.
    pub found: Vec<String>,
    /// Every URL that it asked for.
    pub requests: Vec<String>,
    /// Errors of its scripts and requests, and what the browser complained of.
    pub faults: Vec<String>,
    /// What its content security policy forbade.
    pub violations: Vec<String>,
}

impl Browser {
    /// Starts one, or makes the one that runs forget everything, when no other test has it.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(parts: &BrowserParts) -> Self {
        let browser = Self {
            parts: parts.clone(),
            _turn: TURN.lock().await,
        };
        let _: Value = browser.command(json!({"do": "forget"})).await;
        browser
    }

    /// Opens the page of an origin.
    pub async fn page(&self, origin: &str) -> Page<'_> {
        self.open(&format!("{origin}/"), None).await
    }

    /// Opens a page of an origin and gives a sandboxed frame in it.
    pub async fn sandbox(&self, origin: &str) -> Page<'_> {
        self.open(&format!("{origin}/sandbox"), Some("sandbox"))
            .await
    }

    /// Opens a page and reads it when a selector matches.
    pub async fn read(&self, url: &str, until: &str) -> Reading {
        self.command(json!({"do": "read", "url": url, "until": until}))
            .await
    }

    async fn open(&self, url: &str, frame: Option<&'static str>) -> Page<'_> {
        let opened: Value = self.command(json!({"do": "open", "url": url})).await;
        Page {
            browser: self,
            number: opened["page"].as_u64().expect("a page"),
            frame,
        }
    }

    async fn command<T: DeserializeOwned>(&self, command: Value) -> T {
        let parts = self.parts.clone();
        let line = tokio::task::spawn_blocking(move || {
            let mut slot = DRIVER.lock().unwrap_or_else(PoisonError::into_inner);
            // One that failed is not taken up again.
            let mut driver = slot.take().unwrap_or_else(|| Driver::start(&parts));
            let line = driver.ask(&command);
            *slot = Some(driver);
            line
        });
        let line = line.await.expect("the driver goes on");
        let answer: Value = serde_json::from_str(&line).expect("a line of JSON");
        assert!(answer["failed"].is_null(), "{line}");
        serde_json::from_value(answer).unwrap_or_else(|error| panic!("{error}: {line}"))
    }
}

impl Driver {
    fn start(parts: &BrowserParts) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser");
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        let log = File::create(folder.join("driver.log")).expect("a file can be made");
        let mut command = Command::new(&parts.node);
        command
            .arg(root().join("tests/browser/driver.mjs"))
            .arg("MAP *.test 127.0.0.1")
            .env("KEYWARD_CHROMIUM", &parts.chromium)
            .env("KEYWARD_NODE_MODULES", &parts.modules)
            .env("TMPDIR", &folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut process = command.spawn().expect("the driver starts");
        let answers = process.stdout.take().expect("its output");
        let commands = process.stdin.take().expect("its input");
        let answers = BufReader::new(answers);
        Self {
            process,
            commands,
            answers,
        }
    }

    /// Sends a command and waits for its answer, which the driver gives in bounded time.
    fn ask(&mut self, command: &Value) -> String {
        let mut line = String::new();
        writeln!(self.commands, "{command}").expect("the driver listens");
        let read = self.answers.read_line(&mut line);
        read.expect("the driver answers");
        assert!(!line.is_empty(), "the driver ended, see its log");
        line
    }
}

impl Page<'_> {
    /// What a script of the page learns by `fetch(url, init)`.
    pub async fn fetch(&self, url: &str, init: Value) -> Outcome {
        let command = json!({
            "do": "fetch",
            "page": self.number,
            "frame": self.frame,
            "url": url,
            "init": init,
        });
        self.browser.command(command).await
    }
}
