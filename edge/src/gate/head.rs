//! What the gate reads of a request.

use std::net::IpAddr;

/// A request without its body, in plain values.
#[derive(Debug, Clone, Default)]
pub struct Head {
    /// The method, in upper case as the runtime gives it.
    pub method: String,
    /// The `Host`, with its port.
    pub host: String,
    /// The path as received.
    pub path: String,
    /// The query with its `?`; empty without one.
    pub query: String,
    /// `Authorization`.
    pub authorization: Option<String>,
    /// `X-API-Key`.
    pub x_api_key: Option<String>,
    /// `Origin`.
    pub origin: Option<String>,
    /// The client's address, as the network reports it.
    pub ip: Option<IpAddr>,
    /// `Access-Control-Request-Method`.
    pub request_method: Option<String>,
    /// `Access-Control-Request-Headers`.
    pub request_headers: Option<String>,
}

impl Head {
    /// Takes a URL apart. The runtime has serialised it by the WHATWG URL Standard: scheme, host, path that
    /// begins with a slash, query.
    pub fn read(url: &str, method: String) -> Self {
        let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
        let host_end = after_scheme
            .find(['/', '?', '#'])
            .unwrap_or(after_scheme.len());
        let (host, rest) = after_scheme.split_at(host_end);
        let rest = rest.split('#').next().unwrap_or_default();
        let path_end = rest.find('?').unwrap_or(rest.len());
        let (path, query) = rest.split_at(path_end);
        Self {
            method,
            host: host.to_owned(),
            path: if path.is_empty() { "/" } else { path }.to_owned(),
            query: query.to_owned(),
            ..Self::default()
        }
    }

    /// Adds the headers that decisions need.
    #[must_use]
    pub fn with(
        self,
        authorization: Option<String>,
        x_api_key: Option<String>,
        origin: Option<String>,
        client_ip: Option<String>,
        request_method: Option<String>,
        request_headers: Option<String>,
    ) -> Self {
        Self {
            authorization,
            x_api_key,
            origin,
            ip: client_ip.and_then(|ip| ip.trim().parse().ok()),
            request_method,
            request_headers,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let read = |url: &str| {
            let head = Head::read(url, "GET".into());
            (head.host, head.path, head.query)
        };
        let parts = |h: &str, p: &str, q: &str| (h.to_owned(), p.to_owned(), q.to_owned());
        assert_eq!(
            read("https://a.example/v1/x?y=/z?"),
            parts("a.example", "/v1/x", "?y=/z?")
        );
        assert_eq!(read("http://[::1]:8701/"), parts("[::1]:8701", "/", ""));
        assert_eq!(read("http://a.example?x"), parts("a.example", "/", "?x"));
        assert_eq!(read("nonsense"), parts("nonsense", "/", ""));
    }
}
