//! Requests that each bear a key of their own, each sent once.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Result, ensure};
use reqwest::Client;
use tokio::task::JoinSet;

use crate::request::{Request, Want};

/// As in a closed loop.
const CONNECTIONS: usize = 16;

/// Sends a request for each key, 16 at a time. Gives the latencies, in milliseconds.
///
/// # Errors
/// When one is not admitted.
pub async fn send(url: &str, keys: Vec<String>) -> Result<Vec<f64>> {
    let client = Client::builder().no_proxy().build()?;
    let left = Arc::new(Mutex::new(keys));
    let mut workers = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (client, left, url) = (client.clone(), Arc::clone(&left), url.to_owned());
        workers.spawn(async move {
            let mut latencies = Vec::new();
            let next = || left.lock().unwrap_or_else(PoisonError::into_inner).pop();
            while let Some(key) = next() {
                let request = Request::verify(vec![key], Want::Success);
                let began = Instant::now();
                let answer = request.call().request(&client, &url).send().await?;
                let status = answer.status();
                answer.bytes().await?;
                ensure!(status.is_success(), "an answer was {status}");
                latencies.push(began.elapsed().as_secs_f64() * 1e3);
            }
            Ok(latencies)
        });
    }
    let mut latencies = Vec::new();
    while let Some(done) = workers.join_next().await {
        latencies.extend(done??);
    }
    Ok(latencies)
}
