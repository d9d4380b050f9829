//! What is measured, a file for each part.

pub mod control_plane;
pub mod garbage;
pub mod growth;
pub mod guard;
pub mod latency;
pub mod memory;
pub mod proxy;
pub mod start;
pub mod storage;
pub mod throughput;
