//! The sites whose scripts call the API: empty pages, on two ports, under every name.

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const EMPTY: &str = "<!doctype html><title>page</title><link rel=icon href=data:,>";
/// A page with a frame whose origin is opaque: `null` in headers.
const SANDBOX: &str = "<!doctype html><title>page</title><link rel=icon href=data:,>\
     <iframe name=sandbox sandbox=allow-scripts src=/></iframe>";

/// Two servers of the same pages.
pub struct Pages {
    ports: [u16; 2],
    servers: Vec<JoinHandle<()>>,
}

impl Pages {
    /// Starts them.
    pub async fn start() -> Self {
        let mut ports = [0; 2];
        let mut servers = Vec::new();
        for port in &mut ports {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            *port = listener.local_addr().expect("an address").port();
            let app = Router::new()
                .route("/", get(async || Html(EMPTY)))
                .route("/sandbox", get(async || Html(SANDBOX)));
            servers.push(tokio::spawn(async move {
                // It ends with the test.
                let _ = axum::serve(listener, app).await;
            }));
        }
        Self { ports, servers }
    }

    /// An origin of theirs on the first port.
    pub fn origin(&self, host: &str) -> String {
        format!("http://{host}:{}", self.ports[0])
    }

    /// The same host's origin on the other port.
    pub fn other_port(&self, host: &str) -> String {
        format!("http://{host}:{}", self.ports[1])
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        for server in &self.servers {
            server.abort();
        }
    }
}
