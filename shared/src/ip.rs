//! IP allow-lists: single addresses and CIDR ranges, IPv4 and IPv6.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// One entry of an allow-list: `203.0.113.7` or `2001:db8::/32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
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
        Ok(Self(net))
    }

    fn contains(&self, ip: IpAddr) -> bool {
        self.0.contains(&ip)
    }
}

impl TryFrom<String> for IpRange {
    type Error = IpRangeError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

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
