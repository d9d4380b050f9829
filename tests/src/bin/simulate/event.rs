//! What happens, and when.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use shared::message::{KeyAnswer, KeyAsk, Report};

use crate::oracle::Micros;

/// Something that happens.
#[derive(Debug)]
pub enum Event {
    /// A request arrives at a location.
    Arrival(usize),
    /// A request that waited for another's question looks again.
    Resume {
        /// Its gate.
        gate: u64,
        /// The request.
        request: u64,
    },
    /// A call reaches the guard.
    Call {
        /// The call.
        call: Call,
        /// Its number.
        id: u64,
    },
    /// An answer reaches its gate.
    Answer {
        /// The call's number.
        call: u64,
        /// What it says.
        answer: Answer,
    },
    /// A gate is told that its call failed.
    Fail(u64),
    /// A gate's flusher wakes.
    Flush(u64),
    /// An isolate of a location dies.
    Dies(usize),
    /// The guard stops.
    GuardDown,
    /// The guard is there again.
    GuardUp,
}

/// A call on its way.
#[derive(Debug, Clone)]
pub struct Call {
    /// The gate.
    pub gate: u64,
    /// Where it is.
    pub location: usize,
    /// The key asked about, and the question.
    pub ask: Option<(usize, KeyAsk)>,
    /// The report.
    pub report: Option<Report>,
}

/// An answer on its way.
#[derive(Debug)]
pub struct Answer {
    /// What is said of the key.
    pub key: Option<KeyAnswer>,
    /// The report that is kept.
    pub acknowledged: Option<u64>,
    /// When the guard decided.
    pub decided_at: Micros,
}

/// What is still to happen.
#[derive(Default)]
pub struct Agenda {
    /// Of two things at the same time, what was put down first happens first.
    count: u64,
    events: BinaryHeap<Reverse<Entry>>,
}

impl Agenda {
    /// Puts something down.
    pub fn put(&mut self, at: Micros, event: Event) {
        self.count += 1;
        self.events.push(Reverse(Entry {
            at,
            place: self.count,
            event,
        }));
    }

    /// What happens next, and when.
    pub fn next(&mut self) -> Option<(Micros, Event)> {
        let Reverse(entry) = self.events.pop()?;
        Some((entry.at, entry.event))
    }
}

struct Entry {
    at: Micros,
    place: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.place) == (other.at, other.place)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.place).cmp(&(other.at, other.place))
    }
}
