//! A gate between two wires.

use keyward_tests::{Head, Wire, WireServer, World};
use serde_json::{Value, json};

/// The host of the API whose upstream is the test itself.
pub const HOST: &str = "wire.example.test";
/// An origin that the API admits.
pub const APP: &str = "https://app.example.test";

/// A caller with a good key on one side, the upstream on the other: both are played by the test.
pub struct Way {
    /// What is between them.
    pub world: World,
    /// The upstream.
    pub upstream: WireServer,
    /// The id of the API.
    pub api: String,
    /// The caller's token.
    pub token: String,
    /// The id of the caller's key.
    pub key: String,
}

/// One request on its way: both its connections.
pub struct Exchange {
    /// The caller's end.
    pub caller: Wire,
    /// The upstream's end.
    pub upstream: Wire,
    /// The head of the request as it reached the upstream.
    pub asked: Head,
}

impl Way {
    /// Makes an API with these settings in front of the test, and a key for it.
    pub async fn open(world: World, settings: Value) -> Self {
        let upstream = WireServer::start().await;
        let mut all = json!({"upstream": upstream.url(), "cors": {"allowedOrigins": [APP]}});
        if let (Value::Object(all), Value::Object(settings)) = (&mut all, settings) {
            all.extend(settings);
        }
        let api = world.api(HOST, all).await;
        let key = world.key(json!({})).await;
        Self {
            upstream,
            api,
            token: key.token,
            key: key.key.id,
            world,
        }
    }

    /// The head of a request with the key: `GET /path`, and header lines.
    pub fn head(&self, request: &str, headers: &[&str]) -> String {
        let token = &self.token;
        let mut head =
            format!("{request} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\n");
        for line in headers {
            head.push_str(line);
            head.push_str("\r\n");
        }
        head + "\r\n"
    }

    /// A new connection to the gate.
    pub async fn connect(&self) -> Wire {
        Wire::connect(&self.world.edge.url()).await
    }

    /// Sends a request, and waits until its head has reached the upstream.
    pub async fn begin(&self, request: &str, headers: &[&str], body: &str) -> Exchange {
        let mut caller = self.connect().await;
        caller.send(self.head(request, headers) + body).await;
        let mut upstream = self.upstream.accept().await;
        let asked = upstream.head().await;
        Exchange {
            caller,
            upstream,
            asked,
        }
    }

    /// What the caller of `GET /` gets when the upstream says `answer`: head and body.
    pub async fn answered(&self, answer: &str) -> (Head, Vec<u8>) {
        let mut exchange = self.begin("GET /", &[], "").await;
        exchange.upstream.send(answer).await;
        let head = exchange.caller.head().await;
        let body = exchange.caller.body(&head).await;
        (head, body)
    }

    /// The head of `GET /` with these header lines, as it reaches the upstream.
    pub async fn asked(&self, headers: &[&str]) -> Head {
        let mut exchange = self.begin("GET /", headers, "").await;
        exchange.upstream.send(DONE).await;
        let status = exchange.caller.head().await.status();
        assert_eq!(status, 204);
        exchange.asked
    }
}

/// The shortest answer. The connection is not used again, so that every request comes on one of its own.
pub const DONE: &str = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";

/// An answer with a body.
pub fn ok(headers: &[&str], body: &str) -> String {
    let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n", body.len());
    for line in headers {
        answer.push_str(line);
        answer.push_str("\r\n");
    }
    answer + "\r\n" + body
}
