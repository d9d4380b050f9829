//! Presets: rate limits that go by a name.

use serde::Serialize;

use crate::record::RateLimits;

/// Limits with a name. A key that is given a preset keeps its numbers; it is not changed when a preset is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preset {
    /// What it is called.
    pub name: &'static str,
    /// Its limits, in cost units.
    pub rate_limits: RateLimits,
}

/// All of them, smallest first.
pub const PRESETS: [Preset; 3] = [
    preset("development", 10, 500, 10_000),
    preset("production", 100, 5_000, 100_000),
    preset("enterprise", 1_000, 50_000, 1_000_000),
];

const fn preset(name: &'static str, minute: u32, hour: u32, day: u32) -> Preset {
    Preset {
        name,
        rate_limits: RateLimits {
            requests_per_minute: Some(minute),
            requests_per_hour: Some(hour),
            requests_per_day: Some(day),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Window;

    #[test]
    fn every_preset_allows_more_than_the_one_before_it_in_every_window() {
        for window in Window::OF_RATES {
            let limits: Vec<_> = PRESETS
                .iter()
                .map(|p| p.rate_limits.of(window).unwrap())
                .collect();
            assert!(limits.is_sorted_by(|a, b| a < b), "{window:?} {limits:?}");
        }
    }
}
