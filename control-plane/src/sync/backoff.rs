//! When to try an edge again that did not take a push.

use std::time::Duration;

use tokio::time::Instant;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(30);

/// The state of retries to one edge.
///
/// The pauses double from 100 ms to 30 s, each with jitter. A new change may cut one attempt in before the end of a
/// pause, and no more: the edge may just have come back, but a busy admin must not turn the pauses into a hail.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
    retry_at: Option<Instant>,
    hurried: bool,
}

impl Backoff {
    /// The edge took a push.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// An attempt failed at `now`; `jitter` is between 0 and 1.
    pub fn failed(&mut self, now: Instant, jitter: f64) {
        // The pause of an attempt that was cut in goes on.
        if self.hurried && self.retry_at.is_some_and(|at| now < at) {
            return;
        }
        let exponent = self.failures.min(16);
        let whole = FIRST.saturating_mul(1 << exponent).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        self.hurried = false;
        self.retry_at = Some(now + whole.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0)));
    }

    /// When the next attempt is due; `None`: nothing failed.
    pub fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Whether a new change may cut in an attempt now.
    pub fn may_hurry(&self) -> bool {
        !self.hurried
    }

    /// A new change cuts in an attempt.
    pub fn hurry(&mut self) {
        self.hurried = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause(backoff: &Backoff, now: Instant) -> Duration {
        backoff.retry_at().unwrap() - now
    }

    #[test]
    fn pauses_double_up_to_thirty_seconds_and_start_over_after_a_success() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        let mut pauses = Vec::new();
        for _ in 0..12 {
            backoff.failed(now, 1.0);
            pauses.push(pause(&backoff, now).as_millis());
        }
        assert_eq!(pauses[..4], [100, 200, 400, 800]);
        assert_eq!(pauses[11], 30_000);
        backoff.succeeded();
        assert_eq!(backoff.retry_at(), None);
        backoff.failed(now, 0.0);
        assert_eq!(pause(&backoff, now).as_millis(), 50);
    }

    #[test]
    fn one_attempt_may_be_cut_in_and_does_not_move_the_next() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        backoff.failed(now, 1.0);
        let due = backoff.retry_at().unwrap();
        assert!(backoff.may_hurry());
        backoff.hurry();
        backoff.failed(now + Duration::from_millis(10), 1.0);
        assert_eq!(backoff.retry_at(), Some(due));
        assert!(!backoff.may_hurry());
        backoff.failed(due, 1.0);
        assert_eq!(pause(&backoff, due).as_millis(), 200);
        assert!(backoff.may_hurry());
    }
}
