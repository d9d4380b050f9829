//! What the gate reads of a request: the facts that `edge/js/worker.mjs` hands over, one to a line.

use std::net::IpAddr;

use shared::ip;

/// How JavaScript says that a header is missing: no header value holds a NUL (RFC 9110, section 5.5).
const ABSENT: &str = "\0";
/// The line before those of a request that is described in headers.
const DESCRIBES: &str = "describes";

/// A request without its body.
#[derive(Debug, Clone, Copy, Default)]
pub struct Head<'a> {
    /// The method, in upper case as the runtime gives it.
    pub method: &'a str,
    /// The `Host`, with its port.
    pub host: &'a str,
    /// The path as received.
    pub path: &'a str,
    /// The query with its `?`; empty without one.
    pub query: &'a str,
    /// `Authorization`.
    pub authorization: Option<&'a str>,
    /// `X-API-Key`.
    pub x_api_key: Option<&'a str>,
    /// `Origin`.
    pub origin: Option<&'a str>,
    /// The client's address, as the network reports it; for a described request `X-Real-IP`, or else
    /// `X-Forwarded-For`.
    pub client_ip: Option<&'a str>,
    /// Whether this is another request than the one that came, as that describes it.
    pub is_described: bool,
    /// `Access-Control-Request-Method`.
    pub request_method: Option<&'a str>,
    /// `Access-Control-Request-Headers`.
    pub request_headers: Option<&'a str>,
}

/// What a request to `verify` says of the request that it asks about, in headers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Forwarded<'a> {
    /// `X-Forwarded-Method`, or else `X-Original-Method`.
    pub method: Option<&'a str>,
    /// `X-Forwarded-Uri`, or else `X-Original-URI`: path and query.
    pub uri: Option<&'a str>,
    /// `X-Original-URL`: the whole URL.
    pub url: Option<&'a str>,
    /// `X-Forwarded-Host`, or else `X-Original-Host`.
    pub host: Option<&'a str>,
}

impl<'a> Head<'a> {
    /// Reads the facts of a request, and of the one that it describes, if it describes one.
    pub fn read(facts: &'a str) -> (Self, Option<Forwarded<'a>>) {
        let mut lines = facts.split('\n');
        let mut next = || lines.next().unwrap_or(ABSENT);
        let method = next();
        let mut head = Self::of_url(next());
        let mut header = || Some(next()).filter(|value| *value != ABSENT);
        head.method = method;
        head.authorization = header();
        head.x_api_key = header();
        head.origin = header();
        head.client_ip = header();
        let forwarded = header()
            .filter(|mark| *mark == DESCRIBES)
            .map(|_| Forwarded {
                method: header(),
                uri: header(),
                url: header(),
                host: header(),
            });
        head.request_method = header();
        head.request_headers = header();
        (head, forwarded)
    }

    /// Takes a URL apart. The runtime has serialised it by the WHATWG URL Standard: scheme, host, path that
    /// begins with a slash, query.
    pub fn of_url(url: &'a str) -> Self {
        let after_scheme = url
            .strip_prefix("https://")
            .or_else(|| url.strip_prefix("http://"))
            .unwrap_or(url);
        let host_end = after_scheme
            .find(['/', '?', '#'])
            .unwrap_or(after_scheme.len());
        let (host, rest) = after_scheme.split_at_checked(host_end).unwrap_or_default();
        Self {
            host,
            ..Self::of_uri(rest)
        }
    }

    /// Takes a path with its query apart.
    pub fn of_uri(uri: &'a str) -> Self {
        let uri = uri.split('#').next().unwrap_or_default();
        let path_end = uri.find('?').unwrap_or(uri.len());
        let (path, query) = uri.split_at_checked(path_end).unwrap_or_default();
        Self {
            path: if path.is_empty() { "/" } else { path },
            query,
            ..Self::default()
        }
    }

    /// The client's address, if it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        ip::parse(self.client_ip?.trim())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let read = |url: &'static str| {
            let head = Head::of_url(url);
            (head.host, head.path, head.query)
        };
        assert_eq!(
            read("https://a.example/v1/x?y=/z?"),
            ("a.example", "/v1/x", "?y=/z?")
        );
        assert_eq!(read("http://[::1]:8701/"), ("[::1]:8701", "/", ""));
        assert_eq!(read("http://a.example?x"), ("a.example", "/", "?x"));
        assert_eq!(read("nonsense"), ("nonsense", "/", ""));
    }

    #[test]
    fn missing_headers_are_not_empty_ones() {
        let (head, forwarded) = Head::read("GET\nhttp://h/p\n\n\0\nhttps://o\n\0");
        assert_eq!((head.method, head.host, head.path), ("GET", "h", "/p"));
        assert_eq!(head.authorization, Some(""));
        assert_eq!(head.x_api_key, None);
        assert_eq!(head.origin, Some("https://o"));
        assert_eq!((head.client_ip, head.request_method), (None, None));
        assert!(forwarded.is_none());
    }

    #[test]
    fn what_is_described_comes_after_the_request_itself() {
        let facts = "GET\nhttp://h/p\n\0\n\0\n\0\n192.0.2.1, 192.0.2.2\ndescribes\nOPTIONS\n/v1?x\n\0\n\0\nGET\nx-a";
        let (head, forwarded) = Head::read(facts);
        let forwarded = forwarded.unwrap();
        assert_eq!(forwarded.method, Some("OPTIONS"));
        assert_eq!(forwarded.uri, Some("/v1?x"));
        assert_eq!(forwarded.host, None);
        assert_eq!(head.client_ip, Some("192.0.2.1, 192.0.2.2"));
        assert_eq!(head.ip(), None);
        assert_eq!(head.request_method, Some("GET"));
        assert_eq!(head.request_headers, Some("x-a"));
        let (head, forwarded) = Head::read("OPTIONS\nhttp://h/p\n\0\n\0\n\0\n\0\n\0\nGET\n\0");
        assert!(forwarded.is_none());
        assert_eq!(head.request_method, Some("GET"));
    }
}
