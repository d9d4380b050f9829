//! The upstream of proxied requests: answers at once, in this process.

use std::collections::BTreeMap;

use anyhow::Result;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use reqwest::header::HeaderMap;
use tokio::net::TcpListener;

/// The query that is answered with the request's headers.
const ECHO: &str = "echo";
/// Some JSON, as a small API would answer.
const BODY: &str = r#"{"data":[{"id":"c_1","name":"Ada"},{"id":"c_2","name":"Grace"},{"id":"c_3","name":"Edsger"}],"nextCursor":null}"#;

/// Starts it; gives its base URL. It ends with the process.
///
/// # Errors
/// When there is no port.
pub async fn start() -> Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let app = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(url)
}

async fn answer(uri: axum::http::Uri, headers: HeaderMap) -> Response {
    if uri.query() == Some(ECHO) {
        return Json(named(&headers)).into_response();
    }
    ([("content-type", "application/json")], BODY).into_response()
}

/// Headers by name.
pub fn named(headers: &HeaderMap) -> BTreeMap<String, String> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), text(value.as_bytes())))
        .collect()
}
