//! Base64 (RFC 4648): what signatures, secrets and assertions are written in.

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The usual alphabet, with padding (section 4).
pub fn encode(bytes: &[u8]) -> String {
    let mut text = encoded(bytes, STANDARD);
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

/// The alphabet for URLs, without padding (section 5).
pub fn encode_url(bytes: &[u8]) -> String {
    encoded(bytes, URL)
}

fn encoded(bytes: &[u8], alphabet: &[u8; 64]) -> String {
    let mut text = Vec::with_capacity(bytes.len() / 3 * 4 + 4);
    for chunk in bytes.chunks(3) {
        // Every assertion passes here: no iterators, which cost calls where code is to be small.
        let (a, b, c) = match *chunk {
            [a, b, c] => (a, b, c),
            [a, b] => (a, b, 0),
            [a] => (a, 0, 0),
            _ => (0, 0, 0),
        };
        let group = u32::from_be_bytes([0, a, b, c]);
        let digit = |shift: u32| match alphabet.get((group >> shift & 63) as usize) {
            Some(digit) => *digit,
            None => b'A',
        };
        let digits = [digit(18), digit(12), digit(6), digit(0)];
        text.extend_from_slice(digits.get(..=chunk.len()).unwrap_or_default());
    }
    String::from_utf8(text).unwrap_or_default()
}

/// Reads the usual alphabet with padding. `None` for anything that [`encode`] does not write.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.as_bytes();
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let end = text.iter().position(|b| *b == b'=').unwrap_or(text.len());
    let (digits, padding) = text.split_at_checked(end)?;
    if padding.len() > 2 || padding.iter().any(|b| *b != b'=') {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0);
    for digit in digits {
        let value = STANDARD.iter().position(|known| known == digit)?;
        bits = bits << 6 | value as u32;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    // Bits that stand for nothing are zero, or one value would have several texts.
    (bits == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_are_written_as_by_the_base64_library(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            prop_assert_eq!(encode(&bytes), STANDARD.encode(&bytes));
            prop_assert_eq!(encode_url(&bytes), URL_SAFE_NO_PAD.encode(&bytes));
            prop_assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }

        #[test]
        fn texts_are_read_or_refused_as_by_the_base64_library(text in "[A-Ea-e+/=]{0,12}|.{0,8}") {
            prop_assert_eq!(decode(&text), STANDARD.decode(&text).ok());
        }
    }
}
