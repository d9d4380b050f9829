//! Reading addresses. Strictly as std does, in a quarter of its code.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address of either family.
pub fn parse(text: &str) -> Option<IpAddr> {
    match parse_v4(text) {
        Some(v4) => Some(IpAddr::V4(v4)),
        None => parse_v6(text).map(IpAddr::V6),
    }
}

/// Four decimal numbers without leading zeros.
pub fn parse_v4(text: &str) -> Option<Ipv4Addr> {
    let (mut bits, mut count) = (0, 0);
    for part in text.split('.') {
        if part.len() > 1 && part.starts_with('0') {
            return None;
        }
        bits = (bits << 8) | number(part, 10, 3).filter(|n| *n <= 255)?;
        count += 1;
        if count > 4 {
            return None;
        }
    }
    (count == 4).then(|| Ipv4Addr::from_bits(bits))
}

/// RFC 4291, section 2.2: one run of zeros may be left out, and the last 32 bits may be an IPv4 address.
pub fn parse_v6(text: &str) -> Option<Ipv6Addr> {
    let gap = text.as_bytes().windows(2).position(|two| two == b"::");
    let bits = match gap {
        None => {
            let (bits, count) = groups(text, true)?;
            (count == 8).then_some(bits)?
        }
        Some(at) => {
            let (left, before) = groups(text.get(..at)?, false)?;
            let (right, after) = groups(text.get(at + 2..)?, true)?;
            if before + after > 7 {
                return None;
            }
            left.checked_shl(16 * (8 - before)).unwrap_or(0) | right
        }
    };
    Some(Ipv6Addr::from_bits(bits))
}

/// Groups of 16 bits, and how many.
fn groups(text: &str, may_end_with_v4: bool) -> Option<(u128, u32)> {
    let (mut bits, mut count) = (0, 0);
    if text.is_empty() {
        return Some((bits, count));
    }
    let mut is_over = false;
    for part in text.split(':') {
        if is_over {
            return None;
        }
        let (value, width) = match number(part, 16, 4) {
            Some(value) => (value, 1),
            None if may_end_with_v4 => {
                is_over = true;
                (parse_v4(part)?.to_bits(), 2)
            }
            None => return None,
        };
        bits = (bits << (16 * width)) | u128::from(value);
        count += width;
        if count > 8 {
            return None;
        }
    }
    Some((bits, count))
}

fn number(text: &str, radix: u32, most_digits: usize) -> Option<u32> {
    if text.is_empty() || text.len() > most_digits {
        return None;
    }
    let mut number = 0;
    for byte in text.bytes() {
        number = number * radix + char::from(byte).to_digit(radix)?;
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str) {
        assert_eq!(parse(text), text.parse().ok(), "{text}");
        assert_eq!(parse_v4(text), text.parse().ok(), "{text}");
        assert_eq!(parse_v6(text), text.parse().ok(), "{text}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_096, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_address_is_read_as_std_reads_it(bits in any::<u128>(), v4 in any::<u32>(), zeros in any::<u128>()) {
            check(&Ipv6Addr::from_bits(bits).to_string());
            check(&Ipv6Addr::from_bits(bits & zeros & (zeros << 16)).to_string());
            check(&Ipv6Addr::from_bits(0xffff << 32 | u128::from(v4)).to_string());
            check(&Ipv4Addr::from_bits(v4).to_string());
        }

        #[test]
        fn what_is_like_an_address_is_one_where_std_says_so(
            text in "((([0-9]{1,4}|25[0-9])\\.){2,4}[0-9]{0,3})|(([0-9a-fA-F]{0,5}|::|:){0,10}(:?([0-9]{1,3}\\.){3}[0-9]{1,3})?)|[0-9a-f:.%/]{0,20}",
        ) {
            check(&text);
        }
    }

    #[test]
    fn the_edges_of_what_is_an_address() {
        for text in [
            "",
            ":",
            "::",
            ":::",
            "1::",
            "::1",
            "1:2:3:4:5:6:7::",
            "::2:3:4:5:6:7:8",
            "1:2:3:4:5:6:7:8",
            "1::2:3:4:5:6:7:8",
            "1:2:3:4:5:6:7:8:9",
            "1:2:3:4:5:6:7",
            "::1.2.3.4",
            "1:2:3:4:5:6:1.2.3.4",
            "1:2:3:4:5:6:7:1.2.3.4",
            "1.2.3.4::",
            "::1.2.3.4:1",
            "::ffff:01.2.3.4",
            "12345::",
            "g::",
            "+1::",
            "1.2.3",
            "1.2.3.4.5",
            "01.2.3.4",
            "0.0.0.0",
            "256.1.1.1",
            "1.2.3.+4",
            " 1.2.3.4",
            "1..2.3",
            "::1%1",
        ] {
            check(text);
        }
    }
}
