//! A request to the edge, described.

use reqwest::header::HOST;
use reqwest::{Client, Method, RequestBuilder};

use crate::world::API_HOST;

/// A request that can be sent many times.
#[derive(Debug, Clone)]
pub struct Call {
    method: Method,
    path: String,
    host: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Call {
    /// A request to the demo API; other hosts by [`Call::host`].
    ///
    /// # Panics
    /// When `method` is none.
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            method: Method::from_bytes(method.as_bytes()).expect("a method"),
            path: path.to_owned(),
            host: API_HOST.to_owned(),
            headers: Vec::new(),
            body: None,
        }
    }

    /// `GET`.
    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// `POST`.
    pub fn post(path: &str) -> Self {
        Self::new("POST", path)
    }

    /// With another `Host`.
    #[must_use]
    pub fn host(self, host: &str) -> Self {
        Self {
            host: host.to_owned(),
            ..self
        }
    }

    /// With a token, as `Authorization: Bearer`.
    #[must_use]
    pub fn key(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// With an `Origin`.
    #[must_use]
    pub fn origin(self, origin: &str) -> Self {
        self.header("origin", origin)
    }

    /// With one more header; the same name can be given more than once.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a body.
    #[must_use]
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self {
            body: Some(body.into()),
            ..self
        }
    }

    /// With a JSON body.
    #[must_use]
    pub fn json(self, body: &serde_json::Value) -> Self {
        self.header("content-type", "application/json")
            .body(body.to_string())
    }

    /// The request to the edge at `base`.
    pub fn request(&self, client: &Client, base: &str) -> RequestBuilder {
        let url = format!("{base}{}", self.path);
        let mut request = client
            .request(self.method.clone(), url)
            .header(HOST, &self.host);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        match &self.body {
            Some(body) => request.body(body.clone()),
            None => request,
        }
    }
}
