//! Usage batches, signed as a guard signs them.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use shared::secret::Secret;
use shared::webhook;

use super::{Answer, App, PUSH_SECRET};

/// One row: requests of a key in a minute, with a code.
pub fn row(key: &str, minute: u64, code: &str, count: u64) -> Value {
    let class = if code == "ok" { 2 } else { 4 };
    json!({
        "key": key, "api": "api_1", "minute": minute, "code": code, "class": class,
        "count": count, "cost": count * 2, "latencyMs": 5, "lastAt": minute * 60_000 + 1_500,
    })
}

/// A batch.
pub fn batch(guard: &str, seq: u64, rows: &[Value]) -> Value {
    json!({"guard": guard, "account": "acc_00000000", "seq": seq, "rows": rows})
}

/// A signed request.
pub fn signed(app: &App, body: &[u8], at: u64) -> RequestBuilder {
    let secret = Secret::from_webhook(PUSH_SECRET).unwrap();
    app.bare(Method::POST, "/v1/edge/usage")
        .header("content-type", "application/json")
        .header(webhook::ID_HEADER, "msg_1")
        .header(webhook::TIMESTAMP_HEADER, at.to_string())
        .header(
            webhook::SIGNATURE_HEADER,
            webhook::sign(&secret, "msg_1", at, body),
        )
        .body(body.to_vec())
}

/// Reports a batch now.
pub async fn report(app: &App, batch: &Value) -> Answer {
    use keyward::clock::Clock;
    let request = signed(app, batch.to_string().as_bytes(), app.clock.now() / 1000);
    Answer::read(request.send().await.unwrap()).await
}
