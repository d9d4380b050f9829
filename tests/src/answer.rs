//! An HTTP answer, read whole.

use reqwest::header::HeaderMap;
use serde_json::Value;

/// An answer with its body.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// The body, as it came.
    pub body: Vec<u8>,
}

impl Answer {
    /// Reads a response to its end.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn read(response: reqwest::Response) -> reqwest::Result<Self> {
        Ok(Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await?.to_vec(),
        })
    }

    /// A header that came once, as text.
    ///
    /// # Panics
    /// When it came more than once or is not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let first = values.next()?;
        assert!(values.next().is_none(), "{name} came more than once");
        Some(first.to_str().expect("a header is text"))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; `null` when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// `code` of a problem document; `ok` for a success.
    pub fn code(&self) -> String {
        if self.status < 400 {
            return "ok".to_owned();
        }
        let code = self.json()["code"].as_str().map(str::to_owned);
        code.unwrap_or_else(|| "none".to_owned())
    }
}
