//! Base62 in the alphabet `0-9A-Za-z`: the digits of tokens and ids. No punctuation, so that a
//! double-click selects the whole string.

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The digit for `value`, taken modulo 62.
fn digit(value: u64) -> u8 {
    ALPHABET.get((value % 62) as usize).copied().unwrap_or(b'0')
}

/// The `N` least significant base62 digits of `value`, most significant first, zero-padded.
pub fn digits<const N: usize>(mut value: u64) -> [u8; N] {
    let mut digits = [0; N];
    for place in digits.iter_mut().rev() {
        *place = digit(value);
        value /= 62;
    }
    digits
}

/// `width` base62 digits drawn from `entropy`, read as one big-endian number.
///
/// With at least 14 bytes more than `width` digits need the bias is below 2⁻¹⁰⁰: 32 bytes for 24 digits.
pub fn from_entropy(entropy: &[u8], width: usize) -> String {
    let mut number = entropy.to_vec();
    let mut out = String::with_capacity(width);
    for _ in 0..width {
        let mut remainder: u32 = 0;
        for byte in &mut number {
            let value = (remainder << 8) | u32::from(*byte);
            *byte = (value / 62) as u8;
            remainder = value % 62;
        }
        out.push(char::from(digit(u64::from(remainder))));
    }
    zeroize::Zeroize::zeroize(&mut number);
    out
}

/// Whether every byte of `text` is a base62 digit.
pub fn is_base62(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_padded_and_ordered() {
        assert_eq!(&digits::<6>(0), b"000000");
        assert_eq!(&digits::<2>(61), b"0z");
        assert_eq!(&digits::<2>(62), b"10");
        assert_eq!(&digits::<6>(u64::from(u32::MAX)), b"4gfFC3");
    }

    #[test]
    fn different_entropy_gives_different_digits() {
        let a = from_entropy(&[7; 32], 24);
        let b = from_entropy(&[8; 32], 24);
        assert_eq!(a.len(), 24);
        assert!(is_base62(&a));
        assert_ne!(a, b);
    }
}
