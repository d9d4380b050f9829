//! Where a request comes from: the connection's address, or what the proxies in front say.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use clap::ValueEnum;

/// What stands in front of this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proxies {
    /// Nothing: a request comes from where its connection comes from, whatever its headers say.
    None,
    /// Proxies, each of which adds the address that it sees to a header.
    Trusted {
        /// How many, one behind the other.
        number: NonZeroU32,
        /// The header that they use.
        header: ForwardedHeader,
    },
}

/// The header in which proxies say where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For: 203.0.113.7, 198.51.100.1`
    XForwardedFor,
    /// `Forwarded: for=203.0.113.7` (RFC 7239)
    Forwarded,
}

/// The address that a request comes from; of IPv4 addresses in IPv6 clothes, the IPv4 one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// What counts as one client: an address of IPv4, and of IPv6 the /64, which is what one subscriber is given.
    pub fn subscriber(self) -> IpAddr {
        match self.0 {
            IpAddr::V4(_) => self.0,
            IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // Without the layer, which only tests leave out, everybody is one client.
        let unknown = Self(Ipv4Addr::UNSPECIFIED.into());
        Ok(parts.extensions.get().copied().unwrap_or(unknown))
    }
}

/// Finds out the address once for each request.
pub async fn layer(State(proxies): State<Proxies>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    if let Some(ConnectInfo(peer)) = peer {
        let address = proxies.client(peer.ip(), request.headers());
        request.extensions_mut().insert(ClientAddress(address));
    }
    next.run(request).await
}

impl Proxies {
    /// Where a request comes from that came from `peer` with these headers. What can't be read is the proxy's
    /// fault, and the request is then the proxy's.
    fn client(self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let said = match self {
            Self::None => None,
            Self::Trusted { number, header } => {
                let entries = header.entries(headers);
                // Proxy 1 from behind is the connection's other end, so the last entry is the one that it added.
                // A chain that is too short was made by proxies all the same.
                let from_behind = usize::try_from(number.get()).unwrap_or(usize::MAX);
                let at = entries.len().saturating_sub(from_behind);
                entries.get(at).and_then(|entry| header.address(entry))
            }
        };
        said.unwrap_or(peer).to_canonical()
    }
}

impl ForwardedHeader {
    fn entries(self, headers: &HeaderMap) -> Vec<&str> {
        let name = match self {
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
        };
        // A line that is no text still counts as one entry: leaving it out would move the count.
        let lines = headers
            .get_all(name)
            .iter()
            .map(|line| line.to_str().unwrap_or(""));
        lines.flat_map(|line| line.split(',')).collect()
    }

    fn address(self, entry: &str) -> Option<IpAddr> {
        match self {
            Self::XForwardedFor => node(entry.trim()),
            Self::Forwarded => entry.split(';').find_map(|pair| {
                let (name, value) = pair.split_once('=')?;
                let is_for = name.trim().eq_ignore_ascii_case("for");
                is_for.then(|| node(value.trim().trim_matches('"')))?
            }),
        }
    }
}

/// An address, with or without a port, IPv6 in brackets if it has one.
fn node(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address);
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(address.ip());
    }
    text.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: &str = "10.0.0.1";

    fn client(proxies: Proxies, lines: &[(&'static str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, line) in lines {
            headers.append(*name, line.parse().unwrap());
        }
        proxies.client(PEER.parse().unwrap(), &headers).to_string()
    }

    fn behind(number: u32, header: ForwardedHeader) -> Proxies {
        Proxies::Trusted {
            number: NonZeroU32::new(number).unwrap(),
            header,
        }
    }

    #[test]
    fn without_a_proxy_headers_say_nothing() {
        let lines = [
            ("x-forwarded-for", "203.0.113.7"),
            ("forwarded", "for=203.0.113.7"),
        ];
        assert_eq!(client(Proxies::None, &lines), PEER);
    }

    #[test]
    fn the_entry_of_the_outermost_trusted_proxy_counts() {
        let x = ForwardedHeader::XForwardedFor;
        let three = "6.6.6.6, 203.0.113.7,198.51.100.1";
        for (number, line, expected) in [
            (1, three, "198.51.100.1"),
            (2, three, "203.0.113.7"),
            (3, three, "6.6.6.6"),
            (9, three, "6.6.6.6"),
            (1, "203.0.113.7:5555", "203.0.113.7"),
            (1, "2001:db8::1", "2001:db8::1"),
            (1, "[2001:db8::1]:80", "2001:db8::1"),
            (1, "::ffff:203.0.113.7", "203.0.113.7"),
            (1, "203.0.113.7, unknown", PEER),
            (1, "", PEER),
        ] {
            let found = client(behind(number, x), &[("x-forwarded-for", line)]);
            assert_eq!(found, expected, "{number} {line}");
        }
        let lines = [
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-for", "203.0.113.7"),
            ("forwarded", "for=7.7.7.7"),
        ];
        assert_eq!(client(behind(1, x), &lines), "203.0.113.7");
        assert_eq!(client(behind(1, x), &[]), PEER);
    }

    #[test]
    fn forwarded_is_read_as_its_rfc_writes_it() {
        let forwarded = ForwardedHeader::Forwarded;
        for (line, expected) in [
            ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
            ("for=192.0.2.43, for=198.51.100.17", "198.51.100.17"),
            (r#"For="[2001:db8:cafe::17]:4711""#, "2001:db8:cafe::17"),
            (r#"for="[2001:db8:cafe::17]""#, "2001:db8:cafe::17"),
            ("for=_hidden", PEER),
            ("proto=https", PEER),
        ] {
            let lines = [("forwarded", line), ("x-forwarded-for", "6.6.6.6")];
            assert_eq!(client(behind(1, forwarded), &lines), expected, "{line}");
        }
    }

    #[test]
    fn a_subscriber_of_ipv6_is_a_64() {
        let subscriber = |text: &str| ClientAddress(text.parse().unwrap()).subscriber();
        assert_eq!(
            subscriber("2001:db8:1:2::7"),
            subscriber("2001:db8:1:2:ffff::1")
        );
        assert_ne!(subscriber("2001:db8:1:2::7"), subscriber("2001:db8:1:3::7"));
        assert_ne!(subscriber("192.0.2.1"), subscriber("192.0.2.2"));
    }
}
