//! Who is at the other end of a request.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;

use crate::http::finish::RequestId;

/// Where a request comes from, and its id.
#[derive(Debug, Clone, Default)]
pub struct Client {
    /// The connection's other end; of IPv4 addresses in IPv6 clothes, the IPv4 one.
    pub address: Option<IpAddr>,
    /// The request's id.
    pub request_id: Option<String>,
}

impl Client {
    /// Of a request.
    pub fn of(parts: &Parts) -> Self {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let id = parts.extensions.get::<RequestId>();
        Self {
            address: peer.map(|ConnectInfo(peer)| peer.ip().to_canonical()),
            request_id: id.map(|RequestId(id)| id.clone()),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(parts))
    }
}
