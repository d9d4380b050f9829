//! The checks that `cargo test` runs too, there on bytes from proptest.

#[path = "../../shared/tests/properties/checks/mod.rs"]
pub mod checks;
