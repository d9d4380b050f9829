//! The slow oracle: it logs every single event and adds up by hand.

mod books;
pub mod calendar;
pub mod checks;
pub mod exchange;
mod ledger;
pub mod naive;
pub mod op;
pub mod purse;
pub mod truth;
mod windows;
pub mod world;

use crate::quota::Mutation;
use proptest::test_runner::{Config, FileFailurePersistence};

/// `PROPTEST_CASES` widens every test by the same factor: it is the number of cases in place of 256.
pub fn config(cases: u32) -> Config {
    let widened = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|text| text.parse::<u64>().ok())
        .map_or(u64::from(cases), |wanted| {
            (u64::from(cases) * wanted).div_ceil(256)
        });
    Config {
        cases: u32::try_from(widened).unwrap_or(u32::MAX),
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        max_shrink_iters: 50_000,
        ..Config::default()
    }
}

impl Mutation {
    /// Whether the guard's books are right, so that they can be held against the truth.
    fn keeps_books(self) -> bool {
        matches!(self, Self::None | Self::LeaseFromArrival)
    }
}
