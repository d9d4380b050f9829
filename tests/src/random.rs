//! Randomness for names, secrets and moments.

use shared::base62;

/// Random bytes of the system.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    bytes
}

/// `count` random letters and digits, at most 40.
pub fn letters(count: usize) -> String {
    base62::from_entropy(&bytes::<64>(), count)
}

/// A random number below `bound`.
pub fn below(bound: u64) -> u64 {
    u64::from_le_bytes(bytes()) % bound.max(1)
}
