//! The requests that are measured.

use keyward_tests::Call;

/// The host of the API that the edge guards here.
pub const HOST: &str = "api.example.test";
const PATH: &str = "/v1/customers";

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
    /// GET or POST.
    pub method: &'static str,
    /// With a slash.
    pub path: &'static str,
    /// All but the credential.
    pub headers: Vec<(&'static str, &'static str)>,
    /// Sent as `Authorization: Bearer …`, by turns.
    pub keys: Vec<String>,
    /// May be empty.
    pub body: &'static str,
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
            body: "",
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
        call.body(self.body)
    }
}
