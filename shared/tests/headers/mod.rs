//! A key's guard and the gates that ask it, in accelerated time, with a plain log of what was admitted.

pub mod checks;
pub mod gate;
pub mod log;
pub mod told;
pub mod world;

use shared::Millis;

/// The lease time.
pub const LEASE_MS: Millis = 1_000;
/// How long a message is under way at most, one way.
pub const LEG_MS: Millis = 200;

/// A deliberate fault, to show that the checks can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// As designed.
    None,
    /// The guard tells how the windows stood before it granted.
    StandingBeforeGrant,
    /// The guard tells that units come back in half the time.
    EarlyReset,
    /// A gate tells those whom it refuses what it would tell if they passed.
    RefusedAsPassed,
    /// The guard forgets to give back what was not spent.
    NothingGivenBack,
}
