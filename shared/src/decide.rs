//! Whether a request may pass, quota aside: pure, synchronous, without a clock.
//!
//! The checks stand in a fixed order and the first that fails is the answer. Quota comes after them, since
//! a refused request costs nothing: see [`crate::lease`].

use std::net::IpAddr;

use crate::Millis;
use crate::account::AccountRecord;
use crate::denial::{Denial, InvalidKey};
use crate::ip;
use crate::origin::{Origin, admits};
use crate::permission::allows;
use crate::record::Unlisted;
use crate::record::{ApiRecord, Endpoint, KeyRecord, KeyState};
use crate::resource;
use crate::route::{Lookup, Matched, RouteTable};
use crate::token::KeyHash;

/// The cost of a request that no route lists, in units.
const UNLISTED_COST: u32 = 1;

/// All that a decision rests on.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// When the request arrived.
    pub now: Millis,
    /// The hash of the presented token.
    pub hash: &'a KeyHash,
    /// The key's record.
    pub key: &'a KeyRecord,
    /// The API that answers for the host.
    pub api: &'a ApiRecord,
    /// The endpoint of that API.
    pub endpoint: &'a Endpoint,
    /// The route, `None` for one that is not listed where that is allowed.
    pub route: Option<&'a Matched<'a>>,
    /// The account that the path names, as far as it is known.
    pub account: NamedAccount<'a>,
    /// The client's address.
    pub ip: Option<IpAddr>,
    /// The `Origin` header.
    pub origin: Option<&'a str>,
}

/// The account that a path names.
#[derive(Debug, Clone, Copy)]
pub enum NamedAccount<'a> {
    /// The route names none, or the key's own.
    Own,
    /// One that exists.
    Known(&'a AccountRecord),
    /// One that the edge does not know.
    Unknown(&'a str),
}

/// One check: a name for people, and what it says.
pub type Check = (&'static str, fn(&Facts<'_>) -> Result<(), Denial>);

/// The checks, in their order.
pub const CHECKS: [Check; 9] = [
    ("status", status),
    ("tenant", tenant),
    ("expiry", expiry),
    ("environment", environment),
    ("account", account),
    ("ip", ip_allowed),
    ("origin", origin_allowed),
    ("permission", permission),
    ("resource", resource_allowed),
];

/// Decides everything but quota.
///
/// # Errors
/// The first check's denial.
pub fn decide(facts: &Facts<'_>) -> Result<(), Denial> {
    CHECKS.iter().try_for_each(|(_, check)| check(facts))
}

/// What a request costs, in units.
pub fn cost(route: Option<&Matched<'_>>) -> u32 {
    route.map_or(UNLISTED_COST, |m| m.route.cost)
}

/// The route of a request, if the API lets it through at all.
///
/// # Errors
/// [`Denial::UnknownRoute`] or [`Denial::MethodNotAllowed`] where unlisted routes are closed.
pub fn route<'t>(
    table: &'t RouteTable,
    unlisted: Unlisted,
    method: &str,
    path: &'t str,
) -> Result<Option<Matched<'t>>, Denial> {
    match (table.lookup(method, path), unlisted) {
        (Lookup::Found(matched), _) => Ok(Some(matched)),
        (_, Unlisted::Open) => Ok(None),
        (Lookup::OtherMethods(allow), Unlisted::Closed) => Err(Denial::MethodNotAllowed { allow }),
        (Lookup::None, Unlisted::Closed) => Err(Denial::UnknownRoute),
    }
}

fn status(facts: &Facts<'_>) -> Result<(), Denial> {
    let invalid = |why| Err(Denial::InvalidKey(why));
    match facts.key.state {
        KeyState::Revoked => return invalid(InvalidKey::Revoked),
        KeyState::OwnerRemoved => return invalid(InvalidKey::OwnerRemoved),
        KeyState::Deleted => return invalid(InvalidKey::Deleted),
        KeyState::Active => {}
    }
    match facts.key.credential(facts.hash) {
        Some(credential) if credential.not_after.is_none_or(|end| facts.now < end) => Ok(()),
        _ => invalid(InvalidKey::Replaced),
    }
}

fn tenant(facts: &Facts<'_>) -> Result<(), Denial> {
    if facts.key.belongs_at(facts.api) {
        Ok(())
    } else {
        Err(Denial::InvalidKey(InvalidKey::OtherTenant))
    }
}

fn expiry(facts: &Facts<'_>) -> Result<(), Denial> {
    match facts.key.expires_at {
        Some(end) if facts.now >= end => Err(Denial::ExpiredKey),
        _ => Ok(()),
    }
}

fn environment(facts: &Facts<'_>) -> Result<(), Denial> {
    if facts.key.environment == facts.endpoint.code {
        return Ok(());
    }
    Err(Denial::WrongEnvironment {
        endpoint: facts.endpoint.environment.clone(),
    })
}

fn account(facts: &Facts<'_>) -> Result<(), Denial> {
    let outside = |account: &str| {
        Err(Denial::AccountNotAllowed {
            account: account.to_owned(),
        })
    };
    match facts.account {
        NamedAccount::Own => Ok(()),
        NamedAccount::Known(named) if named.is_within(&facts.key.account) => Ok(()),
        NamedAccount::Known(named) => outside(&named.id),
        NamedAccount::Unknown(id) => outside(id),
    }
}

fn ip_allowed(facts: &Facts<'_>) -> Result<(), Denial> {
    if ip::allowed(&facts.key.allowed_ips, facts.ip) {
        Ok(())
    } else {
        Err(Denial::IpNotAllowed)
    }
}

fn origin_allowed(facts: &Facts<'_>) -> Result<(), Denial> {
    let key = facts.key;
    let allowed = key.allowed_origins.is_empty()
        || (facts.origin.is_none() && key.allow_missing_origin)
        || admits(&key.allowed_origins, Origin::from_header(facts.origin));
    if allowed {
        return Ok(());
    }
    Err(Denial::OriginNotAllowed {
        origin: facts.origin.map(str::to_owned),
    })
}

fn permission(facts: &Facts<'_>) -> Result<(), Denial> {
    let Some(needed) = facts.route.and_then(|m| m.route.permission.as_ref()) else {
        return Ok(());
    };
    let by_role = facts
        .key
        .role_permissions
        .as_deref()
        .is_none_or(|role| allows(role, needed));
    if by_role && allows(&facts.key.permissions, needed) {
        return Ok(());
    }
    Err(Denial::InsufficientPermission {
        needed: needed.clone(),
    })
}

fn resource_allowed(facts: &Facts<'_>) -> Result<(), Denial> {
    let Some((kind, id)) = facts.route.and_then(|m| m.resource) else {
        return Ok(());
    };
    if resource::reaches(&facts.key.resources, kind, id) {
        return Ok(());
    }
    Err(Denial::ResourceNotAllowed {
        resource: format!("{kind}:{id}"),
    })
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
