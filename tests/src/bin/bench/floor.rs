//! The floor of a request: made from what the built gate was seen to read and to answer, so that it is right
//! whatever the gate does.

use std::path::Path;

use anyhow::{Result, ensure};
use keyward_tests::Parts;
use reqwest::Client;
use serde::Deserialize;
use serde_json::json;

use crate::edge::Edge;
use crate::request::{Request, Want};
use crate::rivals::Rival;
use crate::workerd::{Module, Worker, Workerd};

/// What the gate reads of a request, in its order.
#[derive(Debug, Deserialize)]
pub struct Reads {
    /// Header names; `*`: all of them.
    pub names: Vec<String>,
    /// `method`, `url`.
    pub members: Vec<String>,
}

/// What the gate reads and writes.
#[derive(Debug)]
pub struct Exchange {
    reads: Reads,
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

/// Modules around the built Worker that note what it reads.
pub const OBSERVER: [&str; 2] = ["bench/observer.mjs", "bench/watch.mjs"];
/// What workerd adds by itself.
const OF_THE_RUNTIME: [&str; 3] = ["content-length", "transfer-encoding", "connection"];

impl Exchange {
    /// Has an observed edge answer the request and looks on. The third answer is taken: it is a hot one.
    ///
    /// # Errors
    /// When the answer is not what is wanted.
    pub async fn observe(edge: &Edge, request: &Request) -> Result<Self> {
        let client = Client::builder().no_proxy().build()?;
        let ask = || request.call().request(&client, &edge.url());
        for _ in 0..2 {
            ask().send().await?.bytes().await?;
        }
        let answer = ask().send().await?;
        let status = answer.status();
        ensure!(
            status.is_success() == (request.want == Want::Success),
            "{} answers {status}, not {:?}: {}",
            request.path,
            request.want,
            answer.text().await?
        );
        let headers = answer
            .headers()
            .iter()
            .filter(|(name, _)| !OF_THE_RUNTIME.contains(&name.as_str()));
        let headers = headers.map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        });
        let headers = headers.collect();
        let body = answer.text().await?;
        let reads = client
            .get(format!("{}/__observed", edge.url()))
            .send()
            .await?;
        Ok(Self {
            reads: reads.json().await?,
            status: status.as_u16(),
            headers,
            body,
        })
    }

    /// A Worker that does the same and decides nothing; `prepared`: with headers that it made beforehand.
    ///
    /// # Errors
    /// When it can't be started.
    pub async fn floor(&self, parts: &Parts, folder: &Path, prepared: bool) -> Result<Workerd> {
        let text = format!(
            "export const PREPARED = {prepared};\nexport const NAMES = {};\nexport const MEMBERS = {};\nexport const STATUS = {};\nexport const HEADERS = {};\nexport const BODY = {};\n",
            json!(self.reads.names),
            json!(self.reads.members),
            self.status,
            json!(self.headers),
            if self.body.is_empty() {
                json!(null)
            } else {
                json!(self.body)
            },
        );
        let modules = vec![
            Module::ours("bench/floor.mjs")?,
            Module::text("observed.mjs", text),
        ];
        Workerd::start(parts, folder, &[Worker::plain("floor", modules)]).await
    }

    /// Which of the gate's headers a rival does not write, as a sentence.
    ///
    /// # Errors
    /// When the rival refuses its own request.
    pub async fn headers_missed_by(&self, rival: &Rival) -> Result<String> {
        let client = Client::builder().no_proxy().build()?;
        let url = rival.workerd.url(rival.worker);
        let answer = rival.request.call().request(&client, &url).send().await?;
        let written = answer.error_for_status()?.headers().clone();
        let names = self.headers.iter().map(|(name, _)| name.as_str());
        let missed: Vec<&str> = names.filter(|name| !written.contains_key(*name)).collect();
        Ok(if missed.is_empty() {
            "JavaScript by hand writes the same headers.".to_owned()
        } else {
            format!("JavaScript by hand lacks {}.", missed.join(", "))
        })
    }

    /// For people: how much is read and written.
    pub fn describe(&self) -> String {
        format!(
            "reads {} headers ({}) and {}; writes {} headers and {} bytes, status {}",
            self.reads.names.len(),
            self.reads.names.join(", "),
            self.reads.members.join(", "),
            self.headers.len(),
            self.body.len(),
            self.status
        )
    }
}
