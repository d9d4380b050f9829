//! The requests that are measured.

use keyward_tests::Call;

/// The host of the API that the edge guards here.
pub const HOST: &str = "api.example.test";
const PATH: &str = "/v1/customers";
const ECHOED: &str = "/v1/customers?echo";

/// What the answers must be, or the measurement is void.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// All 2xx.
    Success,
    /// None 2xx.
    Refusal,
}

/// A request, with one key or several by turns.
#[derive(Debug, Clone)]
pub struct Request {
    /// Of a request without a body.
    pub method: &'static str,
    /// With a slash.
    pub path: &'static str,
    /// All but the credential.
    pub headers: Vec<(&'static str, &'static str)>,
    /// Sent as `Authorization: Bearer …`, by turns.
    pub keys: Vec<String>,
    /// What the answers must be.
    pub want: Want,
}

impl Request {
    /// Forward auth, as nginx and Caddy ask.
    pub fn verify(keys: Vec<String>, want: Want) -> Self {
        Self {
            method: "GET",
            path: "/.keyward/verify",
            headers: vec![
                ("Host", "auth.internal"),
                ("X-Forwarded-Method", "GET"),
                ("X-Forwarded-Host", HOST),
                ("X-Forwarded-Uri", PATH),
                ("X-Real-IP", "203.0.113.7"),
                ("User-Agent", "bench/1"),
                ("Accept", "*/*"),
            ],
            keys,
            want,
        }
    }

    /// A call of the guarded API.
    pub fn api(keys: Vec<String>, want: Want) -> Self {
        Self {
            path: PATH,
            headers: vec![("Host", HOST), ("User-Agent", "bench/1"), ("Accept", "*/*")],
            ..Self::verify(keys, want)
        }
    }

    /// A call of the guarded API that the upstream answers with the headers that it got.
    pub fn echoed(&self) -> Self {
        Self {
            path: ECHOED,
            ..self.clone()
        }
    }

    /// As bytes, one for each key.
    pub fn wire(&self) -> Vec<Vec<u8>> {
        let with = |key: Option<&String>| {
            let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
            for (name, value) in &self.headers {
                text.push_str(&format!("{name}: {value}\r\n"));
            }
            if let Some(key) = key {
                text.push_str(&format!("Authorization: Bearer {key}\r\n"));
            }
            text.push_str("\r\n");
            text.into_bytes()
        };
        if self.keys.is_empty() {
            return vec![with(None)];
        }
        self.keys.iter().map(|key| with(Some(key))).collect()
    }

    /// The same for the harness's own client, with the first key.
    pub fn call(&self) -> Call {
        let mut call = Call::new(self.method, self.path);
        for (name, value) in &self.headers {
            call = match *name {
                "Host" => call.host(value),
                name => call.header(name, value),
            };
        }
        if let Some(key) = self.keys.first() {
            call = call.key(key);
        }
        call
    }
}
