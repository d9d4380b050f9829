//! An answer of the server, read whole.

use reqwest::header::HeaderMap;
use serde_json::Value;

use super::contract;

/// Status, headers and JSON body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    /// Reads a response, which must be as the OpenAPI document has it.
    pub async fn read(response: reqwest::Response) -> Self {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let path = response.url().path().to_owned();
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        contract::check(&path, status, &body);
        Self {
            status,
            headers,
            body,
        }
    }

    /// The body of an answer with this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{:#}", self.body);
        self.body
    }

    /// Checks that the answer is a problem document of this kind in all its parts, and gives it.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Value {
        let kind = self.headers.get("content-type").unwrap();
        assert_eq!(kind, "application/problem+json");
        let id = self.headers.get("x-request-id").unwrap().to_str().unwrap();
        let body = self.body;
        assert_eq!(self.status, status, "{body:#}");
        assert_eq!(body["status"], status, "{body:#}");
        assert_eq!(body["code"], code, "{body:#}");
        assert_eq!(body["requestId"], id);
        assert_eq!(body["type"], format!("urn:keyward:problem:{code}"));
        assert_eq!(body["error"], body["title"]);
        assert_eq!(body["message"], body["detail"]);
        body
    }

    /// Checks that the answer is a 422 about exactly these fields.
    #[track_caller]
    pub fn refuses(self, fields: &[&str]) {
        let problem = self.problem(422, "validation_failed");
        let errors = problem["errors"].as_array().unwrap();
        let named: Vec<_> = errors
            .iter()
            .map(|e| e["field"].as_str().unwrap())
            .collect();
        assert_eq!(named, fields, "{problem:#}");
        assert!(
            errors
                .iter()
                .all(|e| !e["detail"].as_str().unwrap().is_empty())
        );
    }
}
