//! Secrets for local use, from the system's generator.

use anyhow::{Context, Result};

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// `N` random bytes.
pub fn bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).context("the system gave no random bytes")?;
    Ok(bytes)
}

/// `length` characters of `[0-9A-Za-z]`, each equally likely.
pub fn base62(length: usize) -> Result<String> {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        // 248 is the largest multiple of 62 in a byte: above it the first letters would come more often.
        let usable = bytes::<64>()?.into_iter().filter(|byte| *byte < 248);
        for byte in usable.take(length - text.len()) {
            if let Some(letter) = BASE62.get(usize::from(byte) % BASE62.len()) {
                text.push(char::from(*letter));
            }
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base62_has_the_length_and_only_its_letters() -> Result<()> {
        for length in [0, 1, 40, 200] {
            let text = base62(length)?;
            assert_eq!(text.len(), length);
            assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        }
        assert_ne!(base62(40)?, base62(40)?);
        Ok(())
    }
}
