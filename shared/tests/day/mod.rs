//! A day of a guard and the gates that ask it.

pub mod gate;
pub mod guard;
pub mod log;
pub mod network;
pub mod record;
pub mod together;
pub mod upsets;
pub mod world;

/// A deliberate fault, to show that the checks can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// As designed.
    None,
    /// When the guard restarts, what it granted in the last while is forgotten.
    ForgetfulGuard,
    /// When the guard restarts, what keys took of their identities and of the plan in the last while is forgotten.
    HalfKept,
    /// The guard grants whatever version of a record the gate has.
    SilentGuard,
}
