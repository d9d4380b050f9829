//! The upstream of proxied requests: answers at once, in this process.

use anyhow::Result;
use axum::Router;
use tokio::net::TcpListener;

/// Some JSON, as a small API would answer.
const BODY: &str = r#"{"data":[{"id":"c_1","name":"Ada"},{"id":"c_2","name":"Grace"},{"id":"c_3","name":"Edsger"}],"nextCursor":null}"#;

/// Starts it; gives its base URL. It ends with the process.
///
/// # Errors
/// When there is no port.
pub async fn start() -> Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let app = Router::new().fallback(|| async { ([("content-type", "application/json")], BODY) });
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(url)
}
