//! What limits a key beside its own windows: credits, and the identity that it shares.

use serde::Serialize;

use super::RateLimits;
use crate::window::Window;
use crate::wire;

/// What a key may spend in all, in cost units. The guard owns the balance: what was granted and refilled, less what was
/// used.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Credits {
    /// A higher one than the guard has seen starts over: nothing is used of what is granted.
    pub serial: u64,
    /// What the key was given under this serial. A larger grant than the guard has seen adds the difference.
    pub granted: u64,
    /// What is added by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refill: Option<Refill>,
}

wire!(Credits {
    serial: "serial",
    granted: "granted",
    refill: "refill"
});

/// A refill: what remains is topped up to an amount if it is less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Refill {
    /// To so many units.
    pub amount: u64,
    /// When.
    pub interval: Interval,
}

wire!(Refill {
    amount: "amount",
    interval: "interval"
});

/// How often something is refilled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Interval {
    /// At UTC midnight.
    Daily,
    /// At UTC midnight before the first of a month.
    Monthly,
}

wire!(Interval: "daily" => Daily, _ | "monthly" => Monthly);

impl Interval {
    /// The window that begins with each refill.
    pub fn window(self) -> Window {
        match self {
            Self::Daily => Window::Day,
            Self::Monthly => Window::Month,
        }
    }
}

/// An identity: whoever stands behind several keys of an account, which share its limits. Only the account's guard
/// holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentityRecord {
    /// `idn_…`
    pub id: String,
    /// Grows by every change.
    pub version: u64,
    /// The account it belongs to.
    pub account: String,
    /// The accounts above that one, root first.
    pub ancestors: Vec<String>,
    /// What its keys may spend together, beside the limits of each.
    pub limits: RateLimits,
    /// Whether it is gone. Keys that still name it get nothing.
    pub deleted: bool,
}

wire!(IdentityRecord {
    id: "id",
    version: "version",
    account: "account",
    ancestors: "ancestors" or Vec::new(),
    limits: "limits" or RateLimits::default(),
    deleted: "deleted" or false,
});
