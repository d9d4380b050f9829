//! Which addresses are public, by IANA's registries of special-purpose addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Blocks of IPv4 that are not globally reachable, or not for one host: first address, length of the prefix.
/// <https://www.iana.org/assignments/iana-ipv4-special-registry/>
const CLOSED_V4: [([u8; 4], u32); 16] = [
    ([0, 0, 0, 0], 8),       // this network
    ([10, 0, 0, 0], 8),      // private
    ([100, 64, 0, 0], 10),   // carriers' NAT
    ([127, 0, 0, 0], 8),     // loopback
    ([169, 254, 0, 0], 16),  // link-local, clouds' metadata
    ([172, 16, 0, 0], 12),   // private
    ([192, 0, 0, 0], 24),    // protocol assignments
    ([192, 0, 2, 0], 24),    // documentation
    ([192, 31, 196, 0], 24), // AS112
    ([192, 52, 193, 0], 24), // AMT
    ([192, 88, 99, 0], 24),  // 6to4 relays
    ([192, 168, 0, 0], 16),  // private
    ([192, 175, 48, 0], 24), // AS112
    ([198, 18, 0, 0], 15),   // benchmarks
    ([198, 51, 100, 0], 24), // documentation
    ([203, 0, 113, 0], 24),  // documentation
];
/// Multicast, reserved, broadcast.
const FIRST_BEYOND_UNICAST_V4: u8 = 224;

/// Blocks within 2000::/3, the only global unicast there is, that are special.
/// <https://www.iana.org/assignments/iana-ipv6-special-registry/>
const CLOSED_V6: [(u128, u32); 5] = [
    (0x2001 << 112, 23),     // protocol assignments, Teredo and ORCHID among them
    (0x2001_0db8 << 96, 32), // documentation
    (0x2002 << 112, 16),     // 6to4: an address of IPv4 in disguise
    (0x2620_004f_8000_0000 << 64, 48), // AS112
    (0x3fff << 112, 20),     // documentation
];
const GLOBAL_V6: (u128, u32) = (0x2000 << 112, 3);
/// Addresses of IPv4 as a network with IPv6 alone reaches them (RFC 6052).
const NAT64: (u128, u32) = (0x0064_ff9b << 96, 96);

/// Whether an address is that of one host which anybody on the internet can reach.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let bits = address.to_bits();
    let within = |(first, length): ([u8; 4], u32)| {
        (bits ^ Ipv4Addr::from(first).to_bits()).leading_zeros() >= length
    };
    let [first, ..] = address.octets();
    first < FIRST_BEYOND_UNICAST_V4 && !CLOSED_V4.into_iter().any(within)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let bits = address.to_bits();
    let within = |(first, length): (u128, u32)| (bits ^ first).leading_zeros() >= length;
    if within(NAT64) {
        return is_public_v4(Ipv4Addr::from_bits(bits as u32));
    }
    within(GLOBAL_V6) && !CLOSED_V6.into_iter().any(within)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first and the last address of every row of both registries, and what carries one of them.
    const CLOSED: [&str; 87] = [
        "0.0.0.0",
        "0.255.255.255",
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.0",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.0.0",
        "169.254.169.254",
        "169.254.255.255",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.0",
        "192.0.0.7",
        "192.0.0.8",
        "192.0.0.9",
        "192.0.0.10",
        "192.0.0.170",
        "192.0.0.171",
        "192.0.0.255",
        "192.0.2.0",
        "192.0.2.255",
        "192.31.196.0",
        "192.31.196.255",
        "192.52.193.0",
        "192.52.193.255",
        "192.88.99.0",
        "192.88.99.255",
        "192.168.0.0",
        "192.168.255.255",
        "192.175.48.0",
        "192.175.48.255",
        "198.18.0.0",
        "198.19.255.255",
        "198.51.100.0",
        "198.51.100.255",
        "203.0.113.0",
        "203.0.113.255",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.0",
        "255.255.255.254",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.1.2.3",
        "::ffff:169.254.169.254",
        // IPv4-compatible, long deprecated.
        "::127.0.0.1",
        "::8.8.8.8",
        "64:ff9b::127.0.0.1",
        "64:ff9b::169.254.169.254",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::",
        "64:ff9b:1:ffff:ffff:ffff:808:808",
        "100::",
        "100::ffff:ffff:ffff:ffff",
        "100:0:0:1::",
        "100:0:0:1:ffff:ffff:ffff:ffff",
        "2001::",
        "2001:0:ffff:ffff:ffff:ffff:ffff:ffff",
        "2001:1::1",
        "2001:1::2",
        "2001:1::3",
        "2001:2::",
        "2001:3::",
        "2001:4:112::",
        "2001:10::",
        "2001:20::",
        "2001:30::",
        "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
        "2001:db8::",
        "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
        // 6to4 around 127.0.0.1, 10.0.0.1 and a public address.
        "2002:7f00:1::",
        "2002:a00:1::",
        "2002:808:808::",
        "2620:4f:8000::",
        "2620:4f:8000:ffff:ffff:ffff:ffff:ffff",
        "3fff::",
        "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
        "5f00::",
        "fc00::",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ];

    const OPEN: [&str; 27] = [
        "1.0.0.0",
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.0.3.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "203.0.114.0",
        "223.255.255.255",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2001:200::",
        "2001:4860:4860::8888",
        "2606:4700:4700::1111",
        "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    ];

    #[test]
    fn special_addresses_are_not_public_and_their_neighbours_are() {
        for text in CLOSED {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in OPEN {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }
}
