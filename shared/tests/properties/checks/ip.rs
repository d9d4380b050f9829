use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use shared::ip::{IpRange, allowed};

use super::draw::Draw;

/// An allow-list admits exactly the addresses whose first bits are those of one of its ranges.
pub fn ip(bytes: &[u8]) {
    let mut draw = Draw::new(bytes);
    let text = draw.text(
        &[
            "10", ".", "0", "/", "8", ":", "::", "f", "255", "ffff", "32", "33", " ", "+", "-",
            "%eth0",
        ],
        12,
    );
    if let Ok(range) = IpRange::parse(&text) {
        round_trip(range);
    }
    let (network, length) = (address(&mut draw), draw.byte());
    let range = IpRange::parse(&format!("{network}/{length}"));
    assert_eq!(
        range.is_ok(),
        length <= bits(network).1,
        "{network}/{length}"
    );
    let Ok(range) = range else { return };
    round_trip(range);
    let near = nearby(&mut draw, network);
    for client in [network, near, address(&mut draw)] {
        let want = within(client, network, length);
        assert_eq!(
            allowed(&[range], Some(client)),
            want,
            "{client} in {network}/{length}"
        );
    }
    assert!(!allowed(&[range], None));
}

fn round_trip(range: IpRange) {
    let text = String::from(range);
    assert_eq!(IpRange::parse(&text), Ok(range), "{text}");
}

fn address(draw: &mut Draw<'_>) -> IpAddr {
    match draw.below(3) {
        0 => IpAddr::V4(Ipv4Addr::from(draw.array::<4>())),
        1 => IpAddr::V6(Ipv6Addr::from(draw.array::<16>())),
        _ => IpAddr::V6(Ipv4Addr::from(draw.array::<4>()).to_ipv6_mapped()),
    }
}

/// An address that differs in one bit.
fn nearby(draw: &mut Draw<'_>, from: IpAddr) -> IpAddr {
    match from {
        IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from(v4.to_bits() ^ (1 << draw.below(32)))),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(v6.to_bits() ^ (1 << draw.below(128)))),
    }
}

/// The bits of an address, and how many they are.
fn bits(ip: IpAddr) -> (u128, u8) {
    match ip {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    }
}

/// By the bits. IPv4 written as IPv6 is IPv4, in a list as long as the range holds nothing else.
fn within(client: IpAddr, network: IpAddr, length: u8) -> bool {
    let client = client.to_canonical();
    let (network, length) = match network.to_canonical() {
        v4 @ IpAddr::V4(_) if network.is_ipv4() => (v4, length),
        v4 @ IpAddr::V4(_) if length >= 96 => (v4, length - 96),
        _ => (network, length),
    };
    let ((a, width), (b, other)) = (bits(client), bits(network));
    width == other && (length == 0 || (a ^ b) >> (width - length) == 0)
}
