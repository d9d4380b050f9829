//! The windows of a limit, and the counters behind them.
//!
//! A counter keeps units in buckets. A bucket counts until the whole of it is older than the window, so a
//! rolling window is never under-counted, and units leave it late by at most one bucket.

use serde::{Serialize, Serializer};

use crate::Millis;
use crate::columns;
use crate::read::Misfit;
use crate::wire;

/// A UTC day, in milliseconds.
pub const DAY_MS: Millis = 86_400_000;

/// A window of time in which units are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Window {
    /// Rolling 60 s, in buckets of 200 ms.
    Minute,
    /// Rolling 3600 s, in buckets of 15 s.
    Hour,
    /// The UTC day, one bucket.
    Day,
    /// The UTC calendar month, one bucket.
    Month,
}

impl Window {
    /// Those of rate limits, shortest first.
    pub const OF_RATES: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];

    /// Its name in headers and bodies.
    pub fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// Its length in milliseconds; the longest that it can have.
    pub fn span(self) -> Millis {
        match self {
            Self::Minute => 60_000,
            Self::Hour => 3_600_000,
            Self::Day => DAY_MS,
            Self::Month => 31 * DAY_MS,
        }
    }

    /// The length of its buckets, in milliseconds: by so much a unit leaves late. A three-hundredth of the window at
    /// most, for what is late is lost to those who use all of their limit. Months differ in length.
    fn bucket_span(self) -> Millis {
        match self {
            Self::Minute => 200,
            Self::Hour => 15_000,
            Self::Day | Self::Month => DAY_MS,
        }
    }

    /// The bucket that a moment falls into.
    pub fn bucket(self, at: Millis) -> u64 {
        let bucket = at / self.bucket_span();
        match self {
            Self::Month => month_of(bucket),
            _ => bucket,
        }
    }

    /// The first moment at which a bucket no longer counts.
    pub fn leaves_at(self, bucket: u64) -> Millis {
        let next = match self {
            Self::Month => first_day_of(bucket.saturating_add(1)),
            _ => bucket.saturating_add(1),
        };
        let bucket_end = next.saturating_mul(self.bucket_span());
        match self {
            Self::Day | Self::Month => bucket_end,
            Self::Minute | Self::Hour => bucket_end.saturating_add(self.span()),
        }
    }
}

/// Days from the first of March of the year 0 to the Unix epoch. A year that begins with March has its leap day last, and
/// its months follow a plain rule: 153 days in five.
const DAYS_BEFORE_EPOCH: u64 = 719_468;
/// Days in 400 years, after which the calendar repeats itself.
const DAYS_OF_ERA: u64 = 146_097;
/// Far beyond any clock, and small enough to calculate with.
const LAST_MONTH: u64 = 1 << 30;

/// The month that a day since the epoch is in, counted from March of the year 0.
fn month_of(day: u64) -> u64 {
    let day = day.saturating_add(DAYS_BEFORE_EPOCH);
    let (era, day) = (day / DAYS_OF_ERA, day % DAYS_OF_ERA);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    (era * 400 + year) * 12 + (5 * day + 2) / 153
}

/// The first day of that month.
fn first_day_of(month: u64) -> u64 {
    let month = month.min(LAST_MONTH);
    let (era, year) = (month / 4_800, month / 12 % 400);
    let day = 365 * year + year / 4 - year / 100 + (153 * (month % 12) + 2) / 5;
    (era * DAYS_OF_ERA + day).saturating_sub(DAYS_BEFORE_EPOCH)
}

/// The units of one window, by bucket, oldest first. Buckets of the future count too: they hold units that
/// are leased and may be spent until then.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Counter(Vec<(u64, u64)>);

wire!(Counter: Counter::from_text, "counts by bucket");

impl Serialize for Counter {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.to_text())
    }
}

impl Counter {
    /// Whether nothing is counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn to_text(&self) -> String {
        columns::write(&mut self.0.iter().map(|(bucket, units)| [*bucket, *units]))
    }

    fn from_text(text: &str) -> Result<Self, Misfit> {
        let rows = columns::read(text)?;
        Ok(Self(
            rows.into_iter().map(|[b, units]| (b, units)).collect(),
        ))
    }

    /// Drops the buckets that no longer count at `now`.
    pub fn expire(&mut self, window: Window, now: Millis) {
        self.0.retain(|(bucket, _)| window.leaves_at(*bucket) > now);
    }

    /// Units that count at `now`.
    pub fn used(&self, window: Window, now: Millis) -> u64 {
        self.live(window, now).map(|(_, units)| units).sum()
    }

    fn live(&self, window: Window, now: Millis) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0
            .iter()
            .copied()
            .filter(move |(bucket, _)| window.leaves_at(*bucket) > now)
    }

    /// Counts units in the bucket of `at`.
    pub fn add(&mut self, window: Window, at: Millis, units: u64) {
        if units == 0 {
            return;
        }
        let bucket = window.bucket(at);
        let place = self.0.partition_point(|(b, _)| *b < bucket);
        match self.0.get_mut(place) {
            Some((b, count)) if *b == bucket => *count = count.saturating_add(units),
            _ => self.0.insert(place, (bucket, units)),
        }
    }

    /// Takes units out of the bucket of `at` again; never below zero.
    pub fn remove(&mut self, window: Window, at: Millis, units: u64) {
        let bucket = window.bucket(at);
        if let Some((_, count)) = self.0.iter_mut().find(|(b, _)| *b == bucket) {
            *count = count.saturating_sub(units);
        }
        self.0.retain(|(_, count)| *count > 0);
    }

    /// The first moment from `now` on at which no more than `allowed` units count, if nothing is added.
    pub fn falls_to(&self, window: Window, now: Millis, allowed: u64) -> Millis {
        let mut left = self.used(window, now);
        if left <= allowed {
            return now;
        }
        for (bucket, units) in self.live(window, now) {
            left = left.saturating_sub(units);
            if left <= allowed {
                return window.leaves_at(bucket);
            }
        }
        now
    }

    /// The first moment from `now` on at which any units leave; `now` when none count.
    pub fn next_leave(&self, window: Window, now: Millis) -> Millis {
        self.live(window, now)
            .next()
            .map_or(now, |(bucket, _)| window.leaves_at(bucket))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_counts_until_the_whole_of_it_is_older_than_the_window() {
        let mut c = Counter::default();
        c.add(Window::Minute, 1_500, 3);
        assert_eq!(c.used(Window::Minute, 61_599), 3);
        assert_eq!(c.used(Window::Minute, 61_600), 0);
        let mut h = Counter::default();
        h.add(Window::Hour, 31_000, 2);
        assert_eq!(h.used(Window::Hour, 3_644_999), 2);
        assert_eq!(h.used(Window::Hour, 3_645_000), 0);
    }

    #[test]
    fn a_day_ends_at_utc_midnight_sharp() {
        let mut c = Counter::default();
        c.add(Window::Day, DAY_MS - 1, 5);
        assert_eq!(c.used(Window::Day, DAY_MS - 1), 5);
        assert_eq!(c.used(Window::Day, DAY_MS), 0);
    }

    #[test]
    fn months_are_those_of_the_utc_calendar() {
        // The days of the months from January 1970 on: leap years, but not the year 2100.
        let mut first = 0;
        for year in 1970..2_420_u64 {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let february = if leap { 29 } else { 28 };
            for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
                let (start, end) = (first * DAY_MS, (first + days) * DAY_MS);
                let month = Window::Month.bucket(start);
                assert_eq!(Window::Month.bucket(end - 1), month, "{year}");
                assert_eq!(Window::Month.bucket(end), month + 1, "{year}");
                assert_eq!(Window::Month.leaves_at(month), end, "{year}");
                first += days;
            }
        }
        assert!(Window::Month.leaves_at(u64::MAX) > first * DAY_MS);
    }

    #[test]
    fn falls_to_names_the_first_moment_with_room() {
        let mut c = Counter::default();
        c.add(Window::Minute, 0, 5);
        c.add(Window::Minute, 10_000, 5);
        assert_eq!(c.falls_to(Window::Minute, 20_000, 10), 20_000);
        assert_eq!(c.falls_to(Window::Minute, 20_000, 9), 60_200);
        assert_eq!(c.falls_to(Window::Minute, 20_000, 4), 70_200);
        assert_eq!(c.next_leave(Window::Minute, 20_000), 60_200);
    }

    #[test]
    fn removing_more_than_is_there_leaves_nothing_negative() {
        let mut c = Counter::default();
        c.add(Window::Minute, 0, 5);
        c.remove(Window::Minute, 0, 9);
        assert_eq!(c.used(Window::Minute, 0), 0);
        c.remove(Window::Minute, 5_000, 1);
        assert_eq!(c, Counter::default());
    }
}
