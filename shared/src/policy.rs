//! Policies: everything that can limit a request, and its name for callers.

use serde::{Serialize, Serializer};

use crate::read::Misfit;
use crate::window::Window;
use crate::wire;

/// Whose windows units are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Holder {
    /// A key's own.
    Key,
    /// Those of an identity, shared by its keys.
    Identity,
    /// The month of an account's plan, shared by its keys.
    Plan,
}

impl Holder {
    /// The windows that it counts in.
    pub fn windows(self) -> &'static [Window] {
        match self {
            Self::Key | Self::Identity => &Window::OF_RATES,
            Self::Plan => &[Window::Month],
        }
    }

    /// What a limit of its is called in one of these windows.
    pub fn policy(self, window: Window) -> Policy {
        match self {
            Self::Key => Policy::Key(window),
            Self::Identity => Policy::Identity(window),
            Self::Plan => Policy::Month,
        }
    }
}

/// What limits a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Policy {
    /// A window of the key's own.
    Key(Window),
    /// A window of its identity's.
    Identity(Window),
    /// The month of its account's plan.
    Month,
    /// The key's credits.
    Credits,
}

impl Policy {
    /// All of them: the key's own first, shortest window first.
    pub const ALL: [Self; 8] = [
        Self::Key(Window::Minute),
        Self::Key(Window::Hour),
        Self::Key(Window::Day),
        Self::Identity(Window::Minute),
        Self::Identity(Window::Hour),
        Self::Identity(Window::Day),
        Self::Month,
        Self::Credits,
    ];

    /// Its name in headers, bodies and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Key(window) => window.name(),
            Self::Identity(Window::Minute) => "identity-minute",
            Self::Identity(Window::Hour) => "identity-hour",
            Self::Identity(_) => "identity-day",
            Self::Month => "month",
            Self::Credits => "credits",
        }
    }

    /// A number below 16 that no other has.
    pub fn place(self) -> u64 {
        match self {
            Self::Key(window) => window as u64,
            Self::Identity(window) => 4 + window as u64,
            Self::Month => 8,
            Self::Credits => 9,
        }
    }

    /// The window, if it is one of a fixed length.
    pub fn window(self) -> Option<Window> {
        match self {
            Self::Key(window) | Self::Identity(window) => Some(window),
            Self::Month | Self::Credits => None,
        }
    }

    /// Whether other keys spend of it too.
    pub fn is_shared(self) -> bool {
        matches!(self, Self::Identity(_) | Self::Month)
    }

    /// Whether it is a quota: an amount that was bought or given, not a rate.
    pub fn is_quota(self) -> bool {
        matches!(self, Self::Month | Self::Credits)
    }

    fn to_text(self) -> &'static str {
        self.name()
    }

    fn from_text(text: &str) -> Result<Self, Misfit> {
        let found = Self::ALL.into_iter().find(|policy| policy.name() == text);
        found.ok_or(Misfit::wanted("a policy"))
    }
}

wire!(Policy: Policy::from_text, "a known policy" or Policy::Credits);

impl Serialize for Policy {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

impl From<Window> for Policy {
    /// Of a key's own window.
    fn from(window: Window) -> Self {
        Self::Key(window)
    }
}
