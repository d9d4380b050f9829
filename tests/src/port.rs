//! Ports on the loopback address for servers that are killed and started again.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::Mutex;

use crate::random;

static TAKEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
const LOWEST: u64 = 10_240;

/// A port that nothing listens on, and that this process gives out once. It lies below the ports that the system
/// gives to outgoing connections: one of those must not take it while its server is down.
pub fn free() -> u16 {
    let end = first_outgoing();
    loop {
        let port = LOWEST + random::below(end - LOWEST);
        let port = u16::try_from(port).expect("a port has 16 bits");
        let is_free = TcpListener::bind(("127.0.0.1", port)).is_ok();
        let mut taken = TAKEN
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if is_free && taken.insert(port) {
            return port;
        }
    }
}

fn first_outgoing() -> u64 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    range
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .filter(|first| *first > LOWEST + 1_000)
        .unwrap_or(32_768)
}
