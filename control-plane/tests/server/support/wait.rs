//! Waiting for something to become true.

use std::future::Future;
use std::time::{Duration, Instant};

/// How long anything that must come may take: bounds a test that hangs, on the slowest machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// How long a call waits for edges that are there: almost as long as the server lets any call take.
pub const FOR_EDGES: Duration = Duration::from_secs(25);

/// Asks again and again until there is an answer; fails after [`PATIENCE`].
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
