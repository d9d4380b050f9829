//! Calls of the admin API.

use std::error::Error;
use std::time::Duration;

use reqwest::header::HeaderValue;
use reqwest::redirect::Policy;
use reqwest::{Method, Response, Url};
use serde_json::Value;

use super::failure::Failure;
use crate::config::SecretText;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a whole call may take.
const CALL: Duration = Duration::from_secs(60);
/// The largest answer that is read, in bytes: many times what the largest page can have.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// The parameters of a query string.
pub type Query = Vec<(&'static str, String)>;

/// One server, and who we are there.
pub struct Client {
    http: reqwest::Client,
    base: Url,
    bearer: HeaderValue,
}

impl Client {
    /// A client; nothing is sent yet.
    ///
    /// # Errors
    /// When the token can't be sent at all.
    pub fn new(base: Url, token: &SecretText) -> Result<Self, Failure> {
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            .map_err(|_| Failure::Usage("the admin token has characters that none has".into()))?;
        bearer.set_sensitive(true);
        let http = reqwest::Client::builder()
            .user_agent(concat!("keyward/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .timeout(CALL)
            // The token is for this server, and for none that it names.
            .redirect(Policy::none())
            .build()
            .map_err(|error| Failure::Usage(causes(&error)))?;
        Ok(Self { http, base, bearer })
    }

    /// What stands at a path below `/v1/`.
    ///
    /// # Errors
    /// Refusals of the server, and no way to it.
    pub async fn get(&self, path: &str, query: &Query) -> Result<Value, Failure> {
        self.call(Method::GET, path, query, None).await
    }

    /// Changes what stands at a path below `/v1/`.
    ///
    /// # Errors
    /// Refusals of the server, and no way to it.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        self.call(method, path, &Query::new(), body).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        query: &Query,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let mut url = self.base.clone();
        let root = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{root}/v1/{path}"));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self
            .http
            .request(method, url)
            .header("authorization", self.bearer.clone());
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|e| self.unreachable(&e))?;
        let status = response.status();
        if status.is_redirection() {
            let detail = format!(
                "{} sends to another address: give that as the server",
                self.base
            );
            return Err(Failure::Refused(detail));
        }
        let body = self.read(response).await?;
        if !status.is_success() {
            return Err(Failure::of_answer(status.as_u16(), &body));
        }
        serde_json::from_slice(&body).map_err(|_| {
            Failure::Refused(format!("{} answered no JSON: is it a Keyward?", self.base))
        })
    }

    async fn read(&self, mut response: Response) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.unreachable(&e))? {
            if body.len() + chunk.len() > MAX_ANSWER {
                let detail = format!("the answer has more than {MAX_ANSWER} bytes");
                return Err(Failure::Refused(detail));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        Failure::Unreachable(format!("{} can't be reached: {}", self.base, causes(error)))
    }
}

/// The last cause says what happened; those above it only where.
fn causes(error: &reqwest::Error) -> String {
    let mut last: &dyn Error = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    crate::terminal::clean(&last.to_string()).into_owned()
}
