//! IP allow-lists: single addresses and CIDR ranges, IPv4 and IPv6.

mod parse;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Serialize;

use crate::wire;

pub use parse::{parse, parse_v4, parse_v6};

/// The bits before an IPv4 address written as an IPv6 one (RFC 4291, section 2.5.5.2).
const MAPPED_PREFIX: u8 = 96;

/// One entry of an allow-list: `203.0.113.7` or `2001:db8::/32`.
///
/// IPv4 addresses written as IPv6 ones (`::ffff:203.0.113.7`) are taken for what they are, here as in requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(into = "String")]
pub struct IpRange {
    /// The first address of the block, as bits of an IPv6 one.
    first: u128,
    /// How many bits the addresses of the block share.
    shared: u8,
}

/// Why a text is no IP range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an IP range is an address or a CIDR block, e.g. 203.0.113.7 or 2001:db8::/32")]
pub struct IpRangeError;

impl IpRange {
    const NONE: Self = Self {
        first: 0,
        shared: 128,
    };

    /// Reads an address or CIDR block. Host bits are dropped: `10.1.2.3/8` is `10.0.0.0/8`.
    ///
    /// # Errors
    /// [`IpRangeError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, IpRangeError> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let ip = parse(address).ok_or(IpRangeError)?;
        let (before, most) = match ip {
            IpAddr::V4(_) => (MAPPED_PREFIX, 32),
            IpAddr::V6(_) => (0, 128),
        };
        let length = match length {
            Some(length) => prefix_length(length, most).ok_or(IpRangeError)?,
            None => most,
        };
        let shared = before + length;
        let host_bits = u128::MAX.checked_shr(u32::from(shared)).unwrap_or(0);
        let first = bits(ip) & !host_bits;
        Ok(Self { first, shared })
    }

    fn contains(&self, ip: u128) -> bool {
        let differing = (self.first ^ ip).leading_zeros() < u32::from(self.shared);
        !differing && self.is_v4() == is_v4(ip)
    }

    /// A block of IPv6 that reaches further than the IPv4 addresses is one of IPv6.
    fn is_v4(&self) -> bool {
        self.shared >= MAPPED_PREFIX && is_v4(self.first)
    }

    fn to_text(self) -> String {
        let (mut text, length) = if self.is_v4() {
            let v4 = Ipv4Addr::from_bits(self.first as u32);
            (v4_text(v4), self.shared - MAPPED_PREFIX)
        } else {
            (v6_text(Ipv6Addr::from_bits(self.first)), self.shared)
        };
        text.push('/');
        text.push_str(itoa::Buffer::new().format(u64::from(length)));
        text
    }
}

wire!(IpRange: IpRange::parse, "an address or a range of addresses" or Self::NONE);

impl From<IpRange> for String {
    fn from(range: IpRange) -> Self {
        range.to_text()
    }
}

/// Digits, no more than the longest length has.
fn prefix_length(text: &str, most: u8) -> Option<u8> {
    let fits = text.len() <= if most > 99 { 3 } else { 2 };
    let is_number = fits && text.bytes().all(|b| b.is_ascii_digit());
    let length = is_number.then(|| text.parse().ok())??;
    (length <= most).then_some(length)
}

/// An address as the bits of an IPv6 one.
fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn is_v4(bits: u128) -> bool {
    bits >> 32 == 0xffff
}

fn v4_text(ip: Ipv4Addr) -> String {
    let mut text = String::with_capacity(20);
    for (index, octet) in ip.octets().into_iter().enumerate() {
        if index > 0 {
            text.push('.');
        }
        text.push_str(itoa::Buffer::new().format(u64::from(octet)));
    }
    text
}

/// An IPv6 address as RFC 5952 has it, without any IPv4 address in it: so do browsers.
pub fn v6_text(ip: Ipv6Addr) -> String {
    let segments = ip.segments();
    // The first of the longest runs of zeros is left out.
    let (mut gap, mut run) = (0..0, 0);
    for (index, segment) in segments.into_iter().enumerate() {
        run = if segment == 0 { run + 1 } else { 0 };
        if run > 1 && run > gap.len() {
            gap = index + 1 - run..index + 1;
        }
    }
    let mut text = String::with_capacity(44);
    for (index, segment) in segments.into_iter().enumerate() {
        if gap.contains(&index) {
            if index == gap.start {
                text.push_str("::");
            }
            continue;
        }
        if !text.is_empty() && !text.ends_with(':') {
            text.push(':');
        }
        push_hex(&mut text, segment);
    }
    text
}

/// Hexadecimal digits without leading zeros.
fn push_hex(to: &mut String, number: u16) {
    for shift in [12, 8, 4, 0] {
        if number >> shift > 0 || shift == 0 {
            to.extend(char::from_digit(u32::from(number >> shift) & 15, 16));
        }
    }
}

/// Whether a client at `ip` is let in: an empty list allows all, else the address must be known and listed.
pub fn allowed(list: &[IpRange], ip: Option<IpAddr>) -> bool {
    if list.is_empty() {
        return true;
    }
    // An IPv4 client on a dual-stack socket shows up as ::ffff:a.b.c.d and is the same client.
    ip.map(bits)
        .is_some_and(|ip| list.iter().any(|range| range.contains(ip)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(ranges: &[&str]) -> Vec<IpRange> {
        ranges.iter().map(|r| IpRange::parse(r).unwrap()).collect()
    }

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn addresses_and_blocks_of_both_families_match() {
        let l = list(&["203.0.113.7", "10.1.2.3/8", "2001:db8::/32"]);
        assert!(allowed(&l, ip("203.0.113.7")));
        assert!(!allowed(&l, ip("203.0.113.8")));
        assert!(allowed(&l, ip("10.200.0.1")));
        assert!(allowed(&l, ip("2001:db8:ffff::1")));
        assert!(!allowed(&l, ip("2001:db9::1")));
        assert!(allowed(&l, ip("::ffff:10.0.0.1")));
    }

    #[test]
    fn a_block_ends_where_it_ends() {
        for (block, inside, outside) in [
            (
                "198.51.100.0/24",
                ["198.51.100.0", "198.51.100.255"],
                ["198.51.99.255", "198.51.101.0"],
            ),
            (
                "198.51.100.4/31",
                ["198.51.100.4", "198.51.100.5"],
                ["198.51.100.3", "198.51.100.6"],
            ),
            (
                "198.51.100.4/32",
                ["198.51.100.4", "::ffff:c633:6404"],
                ["198.51.100.5", "::c633:6404"],
            ),
            (
                "0.0.0.0/0",
                ["0.0.0.0", "255.255.255.255"],
                ["::", "2001:db8::1"],
            ),
            ("::/0", ["::", "ffff::"], ["0.0.0.0", "::ffff:203.0.113.7"]),
            (
                "2001:db8::/127",
                ["2001:db8::", "2001:db8::1"],
                ["2001:db8::2", "2001:db7:ffff::"],
            ),
            (
                "2001:db8::8000/113",
                ["2001:db8::8000", "2001:db8::ffff"],
                ["2001:db8::7fff", "2001:db8::1:0"],
            ),
        ] {
            let block = list(&[block]);
            assert!(
                inside.iter().all(|one| allowed(&block, ip(one))),
                "{block:?}"
            );
            assert!(
                !outside.iter().any(|one| allowed(&block, ip(one))),
                "{block:?}"
            );
        }
    }

    #[test]
    fn ipv4_written_as_ipv6_is_ipv4_in_lists_too() {
        for text in ["::ffff:203.0.113.0/120", "::ffff:cb00:7100/120"] {
            let range = IpRange::parse(text).unwrap();
            assert_eq!(String::from(range), "203.0.113.0/24");
            assert!(allowed(&[range], ip("203.0.113.7")));
            assert!(allowed(&[range], ip("::ffff:203.0.113.7")));
        }
        let one = IpRange::parse("::ffff:203.0.113.7").unwrap();
        assert_eq!(String::from(one), "203.0.113.7/32");
        // A block that reaches further is one of IPv6.
        let wide = IpRange::parse("::ffff:0:0/95").unwrap();
        assert!(!allowed(&[wide], ip("203.0.113.7")));
    }

    #[test]
    fn an_empty_list_allows_all_and_an_unknown_address_passes_no_list() {
        assert!(allowed(&[], None));
        assert!(!allowed(&list(&["0.0.0.0/0"]), None));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0",
            "example.com",
            "10.0.0.0/-1",
        ] {
            assert!(IpRange::parse(text).is_err(), "{text}");
        }
    }
}
