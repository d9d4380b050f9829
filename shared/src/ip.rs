//! IP allow-lists: single addresses and CIDR ranges, IPv4 and IPv6.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};
use serde::Serialize;

use crate::read;

/// The bits before an IPv4 address written as an IPv6 one (RFC 4291, section 2.5.5.2).
const MAPPED_PREFIX: u8 = 96;

/// One entry of an allow-list: `203.0.113.7` or `2001:db8::/32`.
///
/// IPv4 addresses written as IPv6 ones (`::ffff:203.0.113.7`) are taken for what they are, here as in requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(into = "String")]
pub struct IpRange(IpNet);

/// Why a text is no IP range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an IP range is an address or a CIDR block, e.g. 203.0.113.7 or 2001:db8::/32")]
pub struct IpRangeError;

impl IpRange {
    /// Reads an address or CIDR block. Host bits are dropped: `10.1.2.3/8` is `10.0.0.0/8`.
    ///
    /// # Errors
    /// [`IpRangeError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, IpRangeError> {
        let net = match text.parse::<IpNet>() {
            Ok(net) => net.trunc(),
            Err(_) => IpNet::from(text.parse::<IpAddr>().map_err(|_| IpRangeError)?),
        };
        Ok(Self(plain(net)))
    }

    fn contains(&self, ip: IpAddr) -> bool {
        self.0.contains(&ip)
    }
}

read!(IpRange: IpRange::parse, "an address or a range of addresses" or Self(IpNet::default()));

impl From<IpRange> for String {
    fn from(range: IpRange) -> Self {
        range.0.to_string()
    }
}

/// Whether a client at `ip` is let in: an empty list allows all, else the address must be known and listed.
pub fn allowed(list: &[IpRange], ip: Option<IpAddr>) -> bool {
    if list.is_empty() {
        return true;
    }
    // An IPv4 client on a dual-stack socket shows up as ::ffff:a.b.c.d and is the same client.
    ip.map(|ip| match ip {
        IpAddr::V6(v6) => unmap(v6),
        v4 @ IpAddr::V4(_) => v4,
    })
    .is_some_and(|ip| list.iter().any(|range| range.contains(ip)))
}

/// A block of IPv4 addresses written as IPv6 ones, as the IPv4 block that it is.
fn plain(net: IpNet) -> IpNet {
    let IpNet::V6(v6) = net else { return net };
    let v4 = v6.network().to_ipv4_mapped();
    let length = v6.prefix_len().checked_sub(MAPPED_PREFIX);
    v4.zip(length)
        .and_then(|(v4, length)| Ipv4Net::new(v4, length).ok())
        .map_or(net, IpNet::V4)
}

fn unmap(v6: Ipv6Addr) -> IpAddr {
    v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4)
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
