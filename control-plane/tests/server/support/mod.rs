//! What the tests share: a server, an edge that receives, answers to look into.

pub mod answer;
pub mod app;
pub mod contract;
pub mod database;
pub mod edge;
pub mod process;
pub mod usage;
pub mod wait;

pub use answer::Answer;
pub use app::App;
pub use database::Database;
pub use edge::Edge;
pub use wait::until;

/// `whsec_` and 24 bytes.
pub const PUSH_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// Signs the tags of tokens.
pub const TAG_SECRET: &str = "a tag secret for the tests only";
/// When the tests' clock starts: 2027-01-15T08:00:00Z.
pub const START: u64 = 1_800_000_000_000;
