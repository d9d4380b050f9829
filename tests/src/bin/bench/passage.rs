//! What the gate does to the headers of a request that it passes on, seen from both ends.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use reqwest::Client;
use serde_json::json;

use crate::lab::Lab;
use crate::request::Request;
use crate::upstream::named;
use crate::workerd::{Module, Worker, Workerd};

type Headers = BTreeMap<String, String>;

/// The headers that the gate takes away and writes.
#[derive(Debug)]
pub struct Passage {
    dropped: Vec<String>,
    to_upstream: Headers,
    to_caller: Headers,
}

impl Passage {
    /// Sends the request through the gate and through a bare pass-through, and compares.
    ///
    /// # Errors
    /// When one of them does not answer.
    pub async fn observe(request: &Request, gate: &str, bare: &str) -> Result<Self> {
        let (sent, answered) = both_ends(request, gate).await?;
        let (bare_sent, bare_answered) = both_ends(request, bare).await?;
        let dropped = bare_sent.keys().filter(|name| !sent.contains_key(*name));
        Ok(Self {
            dropped: dropped.cloned().collect(),
            to_upstream: written(sent, &bare_sent),
            to_caller: written(answered, &bare_answered),
        })
    }

    /// A Worker that does the same to them and decides nothing.
    ///
    /// # Errors
    /// When it can't be started.
    pub async fn alike(&self, lab: &Lab, upstream: &str) -> Result<Workerd> {
        let text = format!(
            "export const DROPPED = {};\nexport const TO_UPSTREAM = Object.entries({});\nexport const TO_CALLER = Object.entries({});\n",
            json!(self.dropped),
            json!(self.to_upstream),
            json!(self.to_caller),
        );
        let modules = vec![
            Module::ours("bench/pass-through-alike.mjs")?,
            Module::text("observed.mjs", text),
        ];
        let worker = Worker::plain("alike", modules).variable("UPSTREAM", upstream);
        Workerd::start(&lab.parts, &lab.folder("alike")?, &[worker]).await
    }

    /// For people: how much is written.
    pub fn describe(&self) -> String {
        format!(
            "drops {} header of the request, writes {} to the upstream and {} to the caller",
            self.dropped.len(),
            self.to_upstream.len(),
            self.to_caller.len(),
        )
    }
}

/// What is new or differs.
fn written(mut headers: Headers, without: &Headers) -> Headers {
    // The moment of an answer is nobody's to write.
    headers.retain(|name, value| without.get(name) != Some(value) && name != "date");
    headers
}

/// The headers that the upstream gets, and those that the caller gets.
async fn both_ends(request: &Request, url: &str) -> Result<(Headers, Headers)> {
    let client = Client::builder().no_proxy().build()?;
    let answer = request.echoed().call().request(&client, url).send().await?;
    ensure!(answer.status().is_success(), "{url}: {}", answer.status());
    let answered = named(answer.headers());
    let sent = answer.json().await.context("the headers seen upstream")?;
    Ok((sent, answered))
}
