//! Calls to addresses that admins name: only public ones, so that nobody makes this server reach what it alone can
//! reach (its own machine, the private network, a cloud's metadata service).
//!
//! A name is judged by the addresses that it resolves to, and those very addresses are connected to: a name that changes
//! its mind in between (DNS rebinding) gains nothing. Redirects are not followed, proxies of the environment not used.

mod public;

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use tokio::net::lookup_host;

/// The longest that a call may take, the resolution of its name included.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Ports from 1024 on where other protocols than HTTP may listen that take an HTTP request for one of theirs: those that
/// the Fetch standard closes to browsers, and common databases and caches. Below 1024 only 80 and 443 are open.
const CLOSED_PORTS: [u16; 23] = [
    1433, 1521, 1719, 1720, 1723, 2049, 2375, 2376, 2379, 3306, 3659, 4045, 4190, 5060, 5061, 5432,
    6000, 6379, 6566, 6679, 6697, 10080, 11211,
];

/// The client of addresses that admins name.
#[derive(Debug, Clone)]
pub struct Outbound {
    http: Client,
    allows_private: bool,
}

/// Why an address gave no answer. Says nothing of what a name resolves to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Neither http nor https, or nothing that could be called.
    BadUrl,
    /// A port that is not for HTTP.
    ClosedPort,
    /// An address that is not public.
    NotPublic,
    /// The name has no address.
    UnknownName,
    /// No connection: nobody listens, or TLS fails.
    NoConnection,
    /// No answer in time.
    Timeout,
    /// An answer that is not HTTP.
    NoHttp,
}

impl Failure {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::BadUrl,
        Self::ClosedPort,
        Self::NotPublic,
        Self::UnknownName,
        Self::NoConnection,
        Self::Timeout,
        Self::NoHttp,
    ];

    /// A word for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::BadUrl => "bad_url",
            Self::ClosedPort => "closed_port",
            Self::NotPublic => "not_public",
            Self::UnknownName => "unknown_name",
            Self::NoConnection => "no_connection",
            Self::Timeout => "timeout",
            Self::NoHttp => "no_http",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadUrl => "The URL can't be called",
            Self::ClosedPort => "The port is not one for HTTP",
            Self::NotPublic => "The address is not public: this server calls public addresses only",
            Self::UnknownName => "The name has no address",
            Self::NoConnection => "No connection could be made, or TLS failed",
            Self::Timeout => "There was no answer within 5 seconds",
            Self::NoHttp => "The answer is not HTTP",
        })
    }
}

impl Outbound {
    /// A client; `allows_private` is for development.
    ///
    /// # Errors
    /// When TLS can't be set up.
    pub fn new(allows_private: bool) -> anyhow::Result<Self> {
        let mut builder = Client::builder()
            .timeout(TIMEOUT)
            .redirect(Policy::none())
            .no_proxy()
            .pool_max_idle_per_host(0)
            .user_agent(concat!("keyward/", env!("CARGO_PKG_VERSION")));
        if !allows_private {
            builder = builder.dns_resolver(Arc::new(PublicOnly));
        }
        Ok(Self {
            http: builder.build().context("no HTTP client can be made")?,
            allows_private,
        })
    }

    /// Asks for a URL's head: the status of the answer.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn head(&self, url: &str) -> Result<u16, Failure> {
        let url = self.admit(url)?;
        match self.http.head(url).send().await {
            Ok(answer) => Ok(answer.status().as_u16()),
            Err(error) => Err(classify(&error)),
        }
    }

    /// Judges what can be judged without resolving a name.
    fn admit(&self, text: &str) -> Result<Url, Failure> {
        let url = Url::parse(text).map_err(|_| Failure::BadUrl)?;
        let plain = url.username().is_empty() && url.password().is_none();
        if !matches!(url.scheme(), "http" | "https") || !plain {
            return Err(Failure::BadUrl);
        }
        let host = url.host_str().ok_or(Failure::BadUrl)?;
        if self.allows_private {
            return Ok(url);
        }
        let port = url.port_or_known_default().ok_or(Failure::BadUrl)?;
        if !matches!(port, 80 | 443) && (port < 1024 || CLOSED_PORTS.contains(&port)) {
            return Err(Failure::ClosedPort);
        }
        // An address in the URL is never resolved, so it is judged here.
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        match literal.parse::<IpAddr>() {
            Ok(address) if !public::is_public(address) => Err(Failure::NotPublic),
            _ => Ok(url),
        }
    }
}

/// Resolves names to public addresses only.
#[derive(Debug)]
struct PublicOnly;

#[derive(Debug, thiserror::Error)]
#[error("the name has no public address")]
struct NotPublic;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|a| public::is_public(a.ip())).collect();
            if public.is_empty() {
                return Err(NotPublic.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

fn classify(error: &reqwest::Error) -> Failure {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(inner) = cause {
        if inner.is::<NotPublic>() {
            return Failure::NotPublic;
        }
        cause = inner.source();
    }
    if error.is_timeout() {
        Failure::Timeout
    } else if error.is_dns() {
        Failure::UnknownName
    } else if error.is_connect() {
        Failure::NoConnection
    } else {
        Failure::NoHttp
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn failure(url: &str) -> Failure {
        let guarded = Outbound::new(false).unwrap();
        guarded.head(url).await.unwrap_err()
    }

    #[tokio::test]
    async fn urls_are_judged_before_anything_is_connected() {
        for (url, expected) in [
            ("nonsense", Failure::BadUrl),
            ("ftp://example.com", Failure::BadUrl),
            ("file:///etc/passwd", Failure::BadUrl),
            ("http://u:p@example.com", Failure::BadUrl),
            ("http://203.0.114.1:22/", Failure::ClosedPort),
            ("http://203.0.114.1:6379/", Failure::ClosedPort),
            ("http://127.0.0.1/", Failure::NotPublic),
            ("http://127.1/", Failure::NotPublic),
            ("http://2130706433/", Failure::NotPublic),
            ("http://0x7f.0.0.1/", Failure::NotPublic),
            ("http://0177.0.0.1/", Failure::NotPublic),
            ("http://[::1]/", Failure::NotPublic),
            ("http://[::ffff:10.0.0.1]/", Failure::NotPublic),
            (
                "http://169.254.169.254/latest/meta-data/",
                Failure::NotPublic,
            ),
            ("http://①⑦②.16.0.1/", Failure::NotPublic),
        ] {
            assert_eq!(failure(url).await, expected, "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_is_judged_by_its_addresses() {
        for url in ["http://localhost/", "http://localhost:8700/"] {
            assert_eq!(failure(url).await, Failure::NotPublic, "{url}");
        }
    }

    #[tokio::test]
    async fn with_leave_private_addresses_are_called() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let free = Outbound::new(true).unwrap();
        let failure = free.head(&format!("http://{address}/")).await.unwrap_err();
        assert_eq!(failure, Failure::NoConnection);
    }
}
