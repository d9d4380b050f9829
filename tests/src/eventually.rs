//! Waiting by polling.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long anything that should happen soon may take on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// Polls until `probe` gives something.
///
/// # Panics
/// After `within`, with `what` was waited for.
pub async fn eventually<T, F>(what: &str, within: Duration, mut probe: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {within:?}: {what}");
        sleep(PAUSE).await;
    }
}

/// Polls for `span` that `holds` goes on being true.
///
/// # Panics
/// As soon as it is not, with `what` should have stayed.
pub async fn stays<F>(what: &str, span: Duration, mut holds: impl FnMut() -> F)
where
    F: Future<Output = bool>,
{
    let end = Instant::now() + span;
    while Instant::now() < end {
        assert!(holds().await, "no longer true: {what}");
        sleep(PAUSE).await;
    }
}
