//! Permissions: `resource.action`, with wildcards.

use std::fmt;

use serde::Serialize;

use crate::wire;

/// The longest permission, in characters.
pub const MAX_PERMISSION: usize = 128;

/// What a key or role is allowed: `customers.read`, `customers.*`, or `*` for everything.
///
/// Segments are `[a-z0-9_-]+`, joined by dots; `*` may stand only as the last segment, and covers
/// one or more segments.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub struct Permission(String);

/// Why a text is no permission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a permission is `resource.action` in lower case (letters, digits, - and _), `resource.*`, or `*`"
)]
pub struct PermissionError;

impl Permission {
    /// Reads a permission or a wildcard.
    ///
    /// # Errors
    /// [`PermissionError`] for anything but the documented form.
    pub fn parse(text: &str) -> Result<Self, PermissionError> {
        if text.len() > MAX_PERMISSION {
            return Err(PermissionError);
        }
        let mut segments = text.split('.').peekable();
        while let Some(segment) = segments.next() {
            let is_last = segments.peek().is_none();
            let is_name = !segment.is_empty()
                && segment.bytes().all(|b| {
                    b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-'
                });
            if !(is_name || (is_last && segment == "*")) {
                return Err(PermissionError);
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// `*`.
    pub fn everything() -> Self {
        Self("*".to_owned())
    }

    fn to_text(&self) -> &str {
        self.as_str()
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this ends in a wildcard.
    pub fn is_wildcard(&self) -> bool {
        self.0.ends_with('*')
    }

    /// Whether holding `self` allows `needed` (which may itself be a wildcard, then covered whole).
    pub fn covers(&self, needed: &Permission) -> bool {
        match self.0.strip_suffix('*') {
            Some(stem) => needed.0.len() > stem.len() && needed.0.starts_with(stem),
            None => self.0 == needed.0,
        }
    }
}

wire!(Permission: Permission::parse, "a permission" or Self(String::new()));

impl From<Permission> for String {
    fn from(permission: Permission) -> Self {
        permission.0
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether any of `held` covers `needed`.
pub fn allows(held: &[Permission], needed: &Permission) -> bool {
    held.iter().any(|p| p.covers(needed))
}

/// What a key may do under its owner's role: the intersection of the two, as written texts, those of the key first.
pub fn effective<'a>(key: &'a [Permission], role: Option<&'a [Permission]>) -> Vec<&'a str> {
    let Some(role) = role else {
        return key.iter().map(Permission::as_str).collect();
    };
    let of_key = key.iter().filter(|p| allows(role, p));
    let of_role = role.iter().filter(|p| allows(key, p));
    let mut all = Vec::new();
    for permission in of_key.chain(of_role) {
        if !all.contains(&permission.as_str()) {
            all.push(permission.as_str());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(text: &str) -> Permission {
        Permission::parse(text).unwrap()
    }

    #[test]
    fn wildcards_cover_what_is_below_them_and_nothing_else() {
        assert!(p("*").covers(&p("customers.read")));
        assert!(p("customers.*").covers(&p("customers.read")));
        assert!(p("customers.*").covers(&p("customers.notes.read")));
        assert!(p("customers.*").covers(&p("customers.*")));
        assert!(!p("customers.*").covers(&p("customers")));
        assert!(!p("customers.*").covers(&p("customersx.read")));
        assert!(!p("customers.read").covers(&p("customers.write")));
        assert!(!p("customers.read").covers(&p("customers.*")));
        assert!(!p("customers.*").covers(&p("*")));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "", ".", "a.", ".a", "a..b", "A.b", "a.*.b", "a*", "a b", "ä.b",
        ] {
            assert!(Permission::parse(text).is_err(), "{text}");
        }
        assert!(Permission::parse(&"a".repeat(129)).is_err());
    }
}
