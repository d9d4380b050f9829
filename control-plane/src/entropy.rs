//! Randomness, from the system's CSPRNG only.

use zeroize::Zeroizing;

/// 32 random bytes, wiped when dropped.
///
/// # Errors
/// When the system has no randomness to give; nothing may be made up in its place.
pub fn draw() -> anyhow::Result<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut_slice())
        .map_err(|e| anyhow::anyhow!("the system's random source failed: {e}"))?;
    Ok(bytes)
}
