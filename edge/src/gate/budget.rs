//! How often an isolate reads KV for requests that show no key of ours.
//!
//! Such requests cost no I/O once their host is known. Until then the API has to be read once, so that a browser's
//! preflight can be answered and a refusal be read by scripts. A flood that names ever new hosts gets a few such
//! reads a second, and beyond them the refusal alone.

use shared::Millis;

/// Reads that may follow each other at once.
const BURST: u64 = 20;
/// One more read for each of these spans.
const REFILL_MS: Millis = 100;

/// The budget.
#[derive(Debug)]
pub struct Budget {
    left: u64,
    at: Millis,
}

impl Default for Budget {
    fn default() -> Self {
        Self { left: BURST, at: 0 }
    }
}

impl Budget {
    /// Whether one more host may be looked up now.
    pub fn may_read(&mut self, now: Millis) -> bool {
        // A clock that stepped back starts anew.
        let spans = now.checked_sub(self.at).map_or(0, |ms| ms / REFILL_MS);
        if spans > 0 || now < self.at {
            self.left = self.left.saturating_add(spans).min(BURST);
            self.at = now;
        }
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_reads_a_burst_and_then_ten_a_second() {
        let mut budget = Budget::default();
        let start = 1_700_000_000_000;
        let reads = |from: Millis, budget: &mut Budget| {
            (from..from + 1_000)
                .filter(|now| budget.may_read(*now))
                .count()
        };
        assert_eq!(reads(start, &mut budget), 29);
        assert_eq!(reads(start + 1_000, &mut budget), 10);
        assert_eq!(reads(start + 60_000, &mut budget), 29);
        // Back by an hour: still bounded.
        assert!(reads(start - 3_600_000, &mut budget) <= 10);
    }
}
