//! The oracle: every admission and every refusal with its true time, held against the limits exactly.

use std::collections::VecDeque;

/// A moment of true time, in microseconds.
pub type Micros = u64;

/// What became of the requests of one key.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// When units were admitted, by the guard's decision or from a lease.
    pub admitted: Vec<(Micros, u32)>,
    /// When requests were refused.
    pub refused: Vec<(Micros, u32)>,
}

/// What the oracle says of a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Judgement {
    /// The most units above the limit in any window.
    pub over: u64,
    /// Refused requests that would have fitted beside all that was admitted before them, the others of this count included.
    pub refused_with_room: u64,
}

/// A rolling window that forgets.
#[derive(Default)]
struct Rolling {
    units: VecDeque<(Micros, u32)>,
    sum: u64,
}

impl Rolling {
    fn add(&mut self, at: Micros, units: u32) {
        self.units.push_back((at, units));
        self.sum += u64::from(units);
    }

    /// Units of the `span` that ends with `now`, both ends included but for the first microsecond.
    fn sum(&mut self, now: Micros, span: Micros) -> u64 {
        while let Some(&(at, units)) = self.units.front() {
            if at + span > now {
                break;
            }
            self.units.pop_front();
            self.sum -= u64::from(units);
        }
        self.sum
    }
}

impl Log {
    /// Judges by a limit in any `span`. Refusals before `from` are not looked at.
    pub fn judge(&mut self, limit: u32, span: Micros, from: Micros) -> Judgement {
        self.admitted.sort_unstable();
        self.refused.sort_unstable();
        let limit = u64::from(limit);
        let mut judgement = Judgement::default();
        let mut real = Rolling::default();
        let mut with_refused = Rolling::default();
        let mut refused = self.refused.iter().filter(|(at, _)| *at >= from).peekable();
        let mut refuse_before = |end: Micros, with_refused: &mut Rolling| {
            let mut count = 0;
            while let Some((at, cost)) = refused.next_if(|(at, _)| *at < end) {
                if with_refused.sum(*at, span) + u64::from(*cost) <= limit {
                    with_refused.add(*at, *cost);
                    count += 1;
                }
            }
            count
        };
        for &(at, cost) in &self.admitted {
            judgement.refused_with_room += refuse_before(at, &mut with_refused);
            real.add(at, cost);
            with_refused.add(at, cost);
            judgement.over = judgement.over.max(real.sum(at, span).saturating_sub(limit));
        }
        judgement.refused_with_room += refuse_before(Micros::MAX, &mut with_refused);
        judgement
    }

    /// Units admitted from a moment on and before another.
    pub fn admitted_within(&self, from: Micros, to: Micros) -> u64 {
        let within = self
            .admitted
            .iter()
            .filter(|(at, _)| from <= *at && *at < to);
        within.map(|(_, cost)| u64::from(*cost)).sum()
    }
}
