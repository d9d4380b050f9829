//! Who is at the other end of a request.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::http::client_address::ClientAddress;
use crate::http::observe::RequestId;

/// Where a request comes from, and its id.
#[derive(Debug, Clone, Default)]
pub struct Client {
    /// Where it comes from.
    pub address: Option<IpAddr>,
    /// The request's id.
    pub request_id: Option<String>,
}

impl Client {
    /// Of a request.
    pub fn of(parts: &Parts) -> Self {
        let address = parts.extensions.get::<ClientAddress>();
        let id = parts.extensions.get::<RequestId>();
        Self {
            address: address.map(|ClientAddress(address)| *address),
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
