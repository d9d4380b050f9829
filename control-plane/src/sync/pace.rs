//! How many records a push of the bulk lane holds.

use std::time::Duration;

use shared::message::MAX_PUSH_RECORDS;

/// The most records in a push of the urgent lane, and in the first of the bulk lane.
pub const FEW: u32 = 100;
const MOST: u32 = MAX_PUSH_RECORDS as u32;
/// What a push should take at most: an urgent one to the same guard waits for as long.
const AIM: Duration = Duration::from_millis(500);

/// A size that grows while the edge is quick, and shrinks when it is slow or fails.
#[derive(Debug)]
pub struct Pace {
    size: u32,
    most: u32,
}

impl Pace {
    /// For the bulk lane: as many as the edge takes in time.
    pub fn of_bulk() -> Self {
        Self {
            size: FEW,
            most: MOST,
        }
    }

    /// For the urgent lane.
    pub fn of_urgent() -> Self {
        Self {
            size: FEW,
            most: FEW,
        }
    }

    /// How many records the next push may hold.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// A push of `records` took so long.
    pub fn took(&mut self, records: usize, time: Duration) {
        if time > AIM {
            let share = AIM.as_secs_f64() / time.as_secs_f64();
            self.size = ((records as f64 * share) as u32).clamp(1, self.size);
        } else if time < AIM / 2 {
            self.size = self.size.saturating_mul(2).min(self.most);
        }
    }

    /// The edge could not finish a push.
    pub fn was_too_much(&mut self) {
        self.size = (self.size / 2).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pushes_grow_while_they_are_quick_and_shrink_to_the_time_that_is_aimed_at() {
        let mut pace = Pace::of_bulk();
        let mut sizes = Vec::new();
        for _ in 0..4 {
            sizes.push(pace.size());
            pace.took(pace.size() as usize, Duration::from_millis(100));
        }
        assert_eq!(sizes, [100, 200, 400, 500]);
        pace.took(500, Duration::from_secs(5));
        assert_eq!(pace.size(), 50);
        // Neither quick nor slow.
        pace.took(50, Duration::from_millis(400));
        assert_eq!(pace.size(), 50);
        for _ in 0..10 {
            pace.was_too_much();
        }
        assert_eq!(pace.size(), 1);
        pace.took(1, Duration::from_secs(20));
        assert_eq!(pace.size(), 1);
    }

    #[test]
    fn urgent_pushes_stay_small() {
        let mut pace = Pace::of_urgent();
        pace.took(100, Duration::ZERO);
        assert_eq!(pace.size(), FEW);
    }
}
