//! The account tree: a parent's key reaches the parent and all below it.

use serde::Serialize;

use crate::base62;
use crate::text;
use crate::wire;

/// The deepest a tree of accounts may go, root included.
pub const MAX_DEPTH: usize = 8;
const PREFIX: &str = "acc_";
/// Characters in a locator.
pub const LOCATOR: usize = 8;

/// The id of the account that a locator names: the locator is the id's own suffix.
pub fn id_from_locator(locator: &str) -> String {
    text::join(&[PREFIX, locator], "")
}

/// The locator of an account id; `None` when the id is not well-formed.
pub fn locator_of(account_id: &str) -> Option<&str> {
    account_id
        .strip_prefix(PREFIX)
        .filter(|l| l.len() == LOCATOR && base62::is_base62(l))
}

/// The name of the guard (Durable Object) that holds the account: its locator and a shard number, 0 today.
pub fn guard_name(account_id: &str) -> Option<String> {
    locator_of(account_id).map(|locator| text::join(&[locator, ".0"], ""))
}

/// An account's place in the tree, as the edge knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountRecord {
    /// `acc_…`
    pub id: String,
    /// Grows by every change.
    pub version: u64,
    /// The accounts above, root first, without the account itself.
    pub ancestors: Vec<String>,
    /// Whether the account is gone.
    pub deleted: bool,
    /// Its plan: cost units that all its own keys together may spend in a UTC calendar month; `None`: no plan. An account
    /// below has a plan of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_month: Option<u64>,
}

wire!(AccountRecord {
    id: "id",
    version: "version",
    ancestors: "ancestors" or Vec::new(),
    deleted: "deleted" or false,
    requests_per_month: "requestsPerMonth",
});

impl AccountRecord {
    /// Whether a key of `holder` reaches this account: its own, or one below.
    pub fn is_within(&self, holder: &str) -> bool {
        !self.deleted && (self.id == holder || self.ancestors.iter().any(|a| a == holder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_reaches_down_and_nobody_reaches_up_or_across() {
        let child = AccountRecord {
            id: "acc_child000".into(),
            version: 1,
            ancestors: vec!["acc_root0000".into(), "acc_parent00".into()],
            deleted: false,
            requests_per_month: None,
        };
        assert!(child.is_within("acc_child000"));
        assert!(child.is_within("acc_parent00"));
        assert!(child.is_within("acc_root0000"));
        assert!(!child.is_within("acc_other000"));
        let gone = AccountRecord {
            deleted: true,
            ..child
        };
        assert!(!gone.is_within("acc_parent00"));
    }

    #[test]
    fn account_ids_and_locators_name_each_other() {
        assert_eq!(locator_of(&id_from_locator("Ab3dE6gH")), Some("Ab3dE6gH"));
        assert_eq!(guard_name("acc_Ab3dE6gH").as_deref(), Some("Ab3dE6gH.0"));
        for id in [
            "",
            "acc_",
            "acc_short",
            "acc_toolong00",
            "key_Ab3dE6gH",
            "acc_Ab3dE6g/",
        ] {
            assert_eq!(locator_of(id), None, "{id}");
        }
    }
}
