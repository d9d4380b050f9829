//! The harness of the end-to-end tests: everything real, in one process tree, started and killed at will.
//!
//! [`World`] is the whole: the edge in workerd ([`Edge`]), the `keyward` binary on SQLite ([`ControlPlane`]) and an
//! API to guard in the test's own process ([`Upstream`]), with a demo account and API made through the admin API.
//! A test begins with [`world!`], which skips it by name where a part is missing:
//!
//! ```no_run
//! # use keyward_tests::{world, Call};
//! # use serde_json::json;
//! #[tokio::test(flavor = "multi_thread")]
//! async fn a_new_key_opens_the_api() {
//!     let world = world!();
//!     let key = world.key(json!({})).await;
//!     let answer = world.send(&Call::get("/v1/customers").key(&key.token)).await;
//!     assert_eq!(answer.status, 200);
//! }
//! ```
//!
//! Only three things are simulated, and each can be made to fail: the network between gates and guards, the store
//! behind the KV binding (`simulation/*.mjs`), and the guarded API. Waiting is always polling with a deadline
//! ([`eventually`]).

mod answer;
mod apis;
mod call;
mod clock;
mod control_plane;
mod edge;
mod eventually;
mod load;
mod parts;
mod port;
mod process;
mod pushed;
mod random;
mod raw;
mod refusal;
mod secrets;
mod tokens;
mod upstream;
mod wire;
mod world;

pub use answer::Answer;
pub use call::Call;
pub use clock::{now, rfc3339};
pub use control_plane::{Admin, ControlPlane, Key, NewKey};
pub use edge::{Counters, Edge, EdgeOptions, GuardNetwork, KvVersion, Ledger, Storage};
pub use eventually::{PATIENCE, eventually, stays};
pub use load::{Load, Running, Sample, Samples};
pub use parts::{Parts, root, skip};
pub use port::free as free_port;
pub use process::{Process, read_log};
pub use pushed::{PushedAccount, PushedKey};
pub use random::{below, letters};
pub use raw::RawRequest;
pub use secrets::Secrets;
pub use tokens::{forged_token, mistyped_token};
pub use upstream::{Seen, Upstream};
pub use wire::{Head, Wire, WireServer};
pub use world::{API_HOST, STAGING_HOST, World, WorldOptions, open_key};

/// A part that was looked for, or returns from the test, skipped by its name, when it is missing:
/// `let nginx = need!(Parts::nginx());`. To be used like [`world!`], and before it.
#[macro_export]
macro_rules! need {
    ($part:expr) => {{
        fn here() {}
        let name = ::std::any::type_name_of_val(&here)
            .trim_end_matches("::here")
            .trim_end_matches("::{{closure}}");
        match $part {
            Ok(part) => part,
            Err(missing) => return $crate::skip(name, &missing),
        }
    }};
}

/// Starts a [`World`] for the test that calls it, or returns from the test when a real part is missing.
///
/// `world!()` takes the default [`WorldOptions`], `world!(options)` others. Must be called in an async test function
/// that returns nothing. Worlds of one process live one after the other: a test has the machine to itself.
#[macro_export]
macro_rules! world {
    () => {
        $crate::world!($crate::WorldOptions::default())
    };
    ($options:expr) => {{
        let parts = $crate::need!($crate::Parts::find());
        $crate::World::start(&parts, $options).await
    }};
}
