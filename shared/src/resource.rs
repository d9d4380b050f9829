//! Resource scopes: `kind:id`. A key with scopes of a kind reaches only those of that kind.

use serde::Serialize;

use crate::text;
use crate::wire;

/// The longest kind or id, in characters.
pub const MAX_PART: usize = 128;

/// One resource, e.g. `agent:a_17` or `customer:c_9`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub struct ResourceScope {
    kind: String,
    id: String,
}

/// Why a text is no resource scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a resource scope is `kind:id`; the kind in lower case (letters, digits, - and _), the id without spaces"
)]
pub struct ResourceError;

/// Whether `kind` may name a kind of resource.
pub fn is_kind(kind: &str) -> bool {
    (1..=MAX_PART).contains(&kind.len())
        && kind
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

impl ResourceScope {
    /// Reads `kind:id`; the id may itself contain colons.
    ///
    /// # Errors
    /// [`ResourceError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, ResourceError> {
        let (kind, id) = text.split_once(':').ok_or(ResourceError)?;
        let id_fits = (1..=MAX_PART).contains(&id.len())
            && !id.chars().any(|c| c.is_whitespace() || c.is_control());
        if !is_kind(kind) || !id_fits {
            return Err(ResourceError);
        }
        Ok(Self {
            kind: kind.to_owned(),
            id: id.to_owned(),
        })
    }

    fn to_text(&self) -> String {
        text::join(&[&self.kind, &self.id], ":")
    }
}

wire!(ResourceScope: ResourceScope::parse, "a resource scope" or Self {
    kind: String::new(),
    id: String::new(),
});

impl From<ResourceScope> for String {
    fn from(scope: ResourceScope) -> Self {
        scope.to_text()
    }
}

/// Whether a key with these scopes may reach the resource `kind:id`.
pub fn reaches(scopes: &[ResourceScope], kind: &str, id: &str) -> bool {
    let mut of_kind = scopes.iter().filter(|s| s.kind == kind).peekable();
    of_kind.peek().is_none() || of_kind.any(|s| s.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_bind_only_their_own_kind() {
        let scopes = [ResourceScope::parse("agent:a_17").unwrap()];
        assert!(reaches(&scopes, "agent", "a_17"));
        assert!(!reaches(&scopes, "agent", "a_18"));
        assert!(reaches(&scopes, "customer", "c_1"));
        assert!(reaches(&[], "agent", "a_18"));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "agent",
            ":a",
            "agent:",
            "Agent:a",
            "agent:a b",
            "agent:\u{0}",
        ] {
            assert!(ResourceScope::parse(text).is_err(), "{text:?}");
        }
        assert!(ResourceScope::parse("urn:a:b").is_ok());
    }
}
