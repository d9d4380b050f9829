//! A small HTTP client for the servers that this xtask starts itself, on the loopback interface.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use ureq::typestate::WithBody;
use ureq::{Agent, RequestBuilder};

/// An answer, whatever its status.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body as text.
    pub body: String,
}

impl Answer {
    /// The body as JSON, null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// The client: answers within `timeout` or fails.
pub struct Client(Agent);

impl Client {
    /// A client that follows no redirects and takes every status as an answer.
    pub fn new(timeout: Duration) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .build();
        Self(config.into())
    }

    /// GET, with a bearer token if there is one.
    pub fn get(&self, url: &str, token: Option<&str>) -> Result<Answer> {
        let mut request = self.0.get(url);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        read(request.call(), url)
    }

    /// POST of JSON with a bearer token.
    pub fn post(&self, url: &str, token: &str, body: &Value) -> Result<Answer> {
        send(self.0.post(url), url, token, body)
    }

    /// PATCH of JSON with a bearer token.
    pub fn patch(&self, url: &str, token: &str, body: &Value) -> Result<Answer> {
        send(self.0.patch(url), url, token, body)
    }
}

fn send(request: RequestBuilder<WithBody>, url: &str, token: &str, body: &Value) -> Result<Answer> {
    let request = request.header("authorization", format!("Bearer {token}"));
    read(request.send_json(body), url)
}

fn read(
    response: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    url: &str,
) -> Result<Answer> {
    let mut response = response.with_context(|| format!("{url} does not answer"))?;
    let body = response
        .body_mut()
        .read_to_string()
        .with_context(|| format!("{url} broke off its answer"))?;
    Ok(Answer {
        status: response.status().as_u16(),
        body,
    })
}
