//! Speaks to one edge: signed pushes, and questions about what it holds.

use std::time::Duration;

use anyhow::Context;
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url, header};
use serde::Deserialize;
use shared::message::{PushReceipt, StateAsk};
use shared::secret::Secret;
use shared::{Millis, base62, webhook};

use crate::entropy;
use crate::sync::batch;
use crate::tracing_export;

/// Longer than an edge takes for one guard's part of a push.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Longer than an edge takes to say that it is there.
const PROBE: Duration = Duration::from_secs(5);
/// A receipt is two numbers.
const MAX_RECEIPT: usize = 64 * 1024;
/// How long an edge may take to say what it holds.
const PATIENCE: Duration = Duration::from_secs(10);
/// A guard tells at most 2 MB, the longest text of its storage.
const MAX_STATE: usize = 4 * 1024 * 1024;

/// Why a push was not taken. It is tried again in every case.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// No answer.
    #[error("no answer: {0}")]
    Unreachable(#[source] reqwest::Error),
    /// An answer that another attempt may change.
    #[error("the edge answered {0}")]
    Busy(StatusCode),
    /// An answer that another attempt will hardly change: the push itself is refused.
    #[error("the edge refuses with {0}")]
    Refused(StatusCode),
    /// 200, but with something else than what was asked for: it is not an edge.
    #[error("the answer is not a receipt")]
    Receipt,
    /// The database, or the system's randomness.
    #[error(transparent)]
    Local(#[from] anyhow::Error),
}

impl PushError {
    /// Whether a smaller push might be taken where this one was not.
    pub fn may_be_too_much(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Busy(_))
    }
}

impl From<sqlx::Error> for PushError {
    fn from(error: sqlx::Error) -> Self {
        Self::Local(error.into())
    }
}

/// The client of one edge.
#[derive(Debug)]
pub struct EdgeClient {
    http: Client,
    target: String,
    push: Url,
    state: Url,
    secret: Secret,
}

impl EdgeClient {
    /// A client of the edge with this base URL.
    ///
    /// # Errors
    /// When the URL can't be read, or TLS not be set up.
    pub fn new(target: &str, secret: Secret) -> anyhow::Result<Self> {
        let push = Url::parse(&format!("{target}/.keyward/push"))
            .with_context(|| format!("{target} is not a URL"))?;
        let state = push.join("state").context("no address to ask at")?;
        let mut builder = Client::builder()
            // A signed push is for this address and no other.
            .redirect(Policy::none())
            .user_agent(concat!("keyward/", env!("CARGO_PKG_VERSION")));
        if is_local(&push) {
            builder = builder.no_proxy();
        }
        Ok(Self {
            http: builder.build().context("no HTTP client can be made")?,
            target: target.to_owned(),
            push,
            state,
            secret,
        })
    }

    /// The edge's base URL.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The edge's host.
    pub fn host(&self) -> &str {
        self.push.host_str().unwrap_or_default()
    }

    /// Sends a push and reads its receipt. Every attempt has an id of its own: the edge takes an id once.
    ///
    /// # Errors
    /// [`PushError`]; the edge may have taken the push all the same.
    pub async fn push(&self, body: Vec<u8>, now: Millis) -> Result<PushReceipt, PushError> {
        let answer = self
            .send(&self.push, body, TIMEOUT, MAX_RECEIPT, now)
            .await?;
        serde_json::from_slice(&answer).map_err(|_| PushError::Receipt)
    }

    /// Asks what a guard holds: lines.
    ///
    /// # Errors
    /// [`PushError`].
    pub async fn ask(&self, ask: StateAsk<'_>, now: Millis) -> Result<String, PushError> {
        #[derive(Deserialize)]
        struct State {
            rows: String,
        }
        let lines = ask.to_lines().context("no account to ask about")?;
        let body = lines.into_bytes();
        let answer = self
            .send(&self.state, body, PATIENCE, MAX_STATE, now)
            .await?;
        let state: State = serde_json::from_slice(&answer).map_err(|_| PushError::Receipt)?;
        Ok(state.rows)
    }

    async fn send(
        &self,
        url: &Url,
        body: Vec<u8>,
        within: Duration,
        most: usize,
        now: Millis,
    ) -> Result<Vec<u8>, PushError> {
        let id = format!(
            "msg_{}",
            base62::from_entropy(entropy::draw()?.as_slice(), 24)
        );
        let timestamp = now / 1000;
        let signature = webhook::sign(&self.secret, &id, timestamp, &body);
        let mut trace = HeaderMap::new();
        tracing_export::inject(&mut trace);
        let response = self
            .http
            .post(url.clone())
            .timeout(within)
            .headers(trace)
            .header(header::CONTENT_TYPE, "application/json")
            .header(webhook::ID_HEADER, id)
            .header(webhook::TIMESTAMP_HEADER, timestamp.to_string())
            .header(webhook::SIGNATURE_HEADER, signature)
            .body(body)
            .send()
            .await
            .map_err(unreachable)?;
        match response.status() {
            StatusCode::OK => read(response, most).await,
            status if is_final(status) => Err(PushError::Refused(status)),
            status => Err(PushError::Busy(status)),
        }
    }
}

async fn read(mut response: reqwest::Response, most: usize) -> Result<Vec<u8>, PushError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > most {
            return Err(PushError::Receipt);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn unreachable(error: reqwest::Error) -> PushError {
    PushError::Unreachable(error.without_url())
}

/// Asks an edge, without changing anything, whether it runs and takes what this secret signs.
///
/// # Errors
/// One sentence on what is wrong.
pub async fn probe(target: &str, secret: Secret, now: Millis) -> anyhow::Result<()> {
    let edge = EdgeClient::new(target, secret)?;
    let health = Url::parse(&format!("{target}/.keyward/health"))?;
    let asked = edge.http.get(health).timeout(PROBE).send().await;
    let answer = asked.map_err(|error| anyhow::anyhow!("no answer: {}", error.without_url()))?;
    match answer.status() {
        StatusCode::OK => {}
        StatusCode::SERVICE_UNAVAILABLE => anyhow::bail!("it runs, but has no secrets yet"),
        status => anyhow::bail!("/.keyward/health answered {status}: is it an edge of Keyward?"),
    }
    // A push without records, which is signed like any other.
    let (body, _) = batch::pack([]);
    match tokio::time::timeout(PROBE, edge.push(body, now)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(PushError::Busy(StatusCode::UNAUTHORIZED))) => anyhow::bail!(
            "it refuses our signature: its PUSH_SECRET is another one, or a clock is wrong"
        ),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => anyhow::bail!("it does not answer a push in time"),
    }
}

/// 401 may come from a clock or a secret that is about to be mended, 408 and 429 from load.
fn is_final(status: StatusCode) -> bool {
    status.is_client_error()
        && !matches!(
            status,
            StatusCode::UNAUTHORIZED | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
        )
}

/// A proxy of the environment is not for this machine itself.
fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}
