//! Calls of the admin API.

use std::error::Error;
use std::io::Write;
use std::time::Duration;

use reqwest::header::HeaderValue;
use reqwest::redirect::Policy;
use reqwest::{Body, Method, RequestBuilder, Response, Url};
use serde_json::Value;
use tokio::time::timeout;

use super::failure::Failure;
use super::input::Unreadable;
use crate::config::SecretText;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a whole call may take, and how long a streamed answer may be silent.
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
        let mut request = self.request(method, path, query).timeout(CALL);
        if let Some(body) = body {
            request = request.json(body);
        }
        self.json(self.answer(request).await?).await
    }

    /// Writes what stands at a path below `/v1/` to `sink` as it comes, however long it is. It has to be lines.
    ///
    /// # Errors
    /// Refusals of the server, no way to it, an answer that breaks off, and a sink that takes no more.
    pub async fn copy(
        &self,
        path: &str,
        query: &Query,
        sink: &mut impl Write,
    ) -> Result<(), Failure> {
        let silent = |_| self.broken("nothing came for a minute");
        let answer = self.answer(self.request(Method::GET, path, query));
        let mut response = timeout(CALL, answer).await.map_err(silent)??;
        let mut last = b'\n';
        loop {
            let chunk = timeout(CALL, response.chunk()).await.map_err(silent)?;
            let Some(chunk) = chunk.map_err(|error| self.broken(&causes(&error)))? else {
                break;
            };
            sink.write_all(&chunk)?;
            last = chunk.last().copied().unwrap_or(last);
        }
        if last != b'\n' {
            return Err(self.broken("the last line is not whole"));
        }
        sink.flush().map_err(Failure::from)
    }

    /// Sends a body as it is read, however long it is and takes.
    ///
    /// # Errors
    /// Refusals of the server, no way to it, and a body that can't be read.
    pub async fn upload(&self, path: &str, query: &Query, body: Body) -> Result<Value, Failure> {
        let request = self
            .request(Method::POST, path, query)
            .header("content-type", crate::http::ndjson::MEDIA_TYPE)
            .body(body);
        self.json(self.answer(request).await?).await
    }

    fn request(&self, method: Method, path: &str, query: &Query) -> RequestBuilder {
        let mut url = self.base.clone();
        let root = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{root}/v1/{path}"));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.http
            .request(method, url)
            .header("authorization", self.bearer.clone())
    }

    /// Sends it; an answer that is no success is told as a failure.
    async fn answer(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let response = request.send().await.map_err(|e| self.failed(&e))?;
        let status = response.status();
        if status.is_redirection() {
            let detail = format!(
                "{} sends to another address: give that as the server",
                self.base
            );
            return Err(Failure::Refused(detail));
        }
        if !status.is_success() {
            let body = self.read(response).await?;
            return Err(Failure::of_answer(status.as_u16(), &body));
        }
        Ok(response)
    }

    async fn json(&self, response: Response) -> Result<Value, Failure> {
        let body = self.read(response).await?;
        serde_json::from_slice(&body).map_err(|_| {
            Failure::Refused(format!("{} answered no JSON: is it a Keyward?", self.base))
        })
    }

    async fn read(&self, mut response: Response) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.failed(&e))? {
            if body.len() + chunk.len() > MAX_ANSWER {
                let detail = format!("the answer has more than {MAX_ANSWER} bytes");
                return Err(Failure::Refused(detail));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn failed(&self, error: &reqwest::Error) -> Failure {
        if let Some(unreadable) = Unreadable::behind(error) {
            return Failure::Usage(unreadable.to_string());
        }
        Failure::Unreachable(format!("{} can't be reached: {}", self.base, causes(error)))
    }

    fn broken(&self, why: &str) -> Failure {
        let detail = format!("the answer of {} broke off: {why}", self.base);
        Failure::Unreachable(detail)
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
