//! Rights: management permissions, which say what an admin may do here, and API permissions, which bound the keys of a
//! role's members; and the built-in roles that hold them.

use shared::permission::{Permission, allows, effective};

use crate::validate::Checks;

/// Every management permission. What needs one names it in its operation's security requirement.
pub const MANAGEMENT: [&str; 18] = [
    "accounts.read",
    "accounts.write",
    "members.read",
    "members.write",
    "roles.read",
    "roles.write",
    "tokens.read",
    "tokens.write",
    "apis.read",
    "apis.write",
    "keys.read",
    "keys.write",
    "identities.read",
    "identities.write",
    "usage.read",
    "audit.read",
    "sync.read",
    "sync.write",
];

/// The role that may do everything.
pub const OWNER: &str = "owner";

/// A role that every account has.
#[derive(Debug, Clone, Copy)]
pub struct BuiltIn {
    /// Its id, and its name.
    pub name: &'static str,
    /// For people.
    pub description: &'static str,
    management: &'static [&'static str],
    api: &'static [&'static str],
}

/// The built-in roles.
pub const BUILT_IN: [BuiltIn; 4] = [
    BuiltIn {
        name: OWNER,
        description: "May do everything",
        management: &["*"],
        api: &["*"],
    },
    BuiltIn {
        name: "admin",
        description: "May do everything but change accounts and repair edges",
        management: &[
            "accounts.read",
            "members.*",
            "roles.*",
            "tokens.*",
            "apis.*",
            "keys.*",
            "identities.*",
            "usage.read",
            "audit.read",
            "sync.read",
        ],
        api: &["*"],
    },
    BuiltIn {
        name: "developer",
        description: "Makes and changes keys and identities, and sees what they belong to",
        management: &[
            "accounts.read",
            "members.read",
            "roles.read",
            "apis.read",
            "keys.*",
            "identities.*",
            "usage.read",
        ],
        api: &["*"],
    },
    BuiltIn {
        name: "viewer",
        description: "Sees accounts, people, APIs, keys and usage, and changes nothing",
        management: &[
            "accounts.read",
            "members.read",
            "roles.read",
            "apis.read",
            "keys.read",
            "identities.read",
            "usage.read",
        ],
        api: &[],
    },
];

/// What a role or a token may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    /// Here.
    pub management: Vec<Permission>,
    /// What keys of its holder may do at APIs.
    pub api: Vec<Permission>,
}

impl Rights {
    /// Those of a built-in role; `None` for any other name.
    pub fn built_in(name: &str) -> Option<Self> {
        BUILT_IN
            .iter()
            .find(|role| role.name == name)
            .map(BuiltIn::rights)
    }

    /// No more management permissions than `scope` has; `None` narrows nothing.
    #[must_use]
    pub fn narrowed(self, scope: Option<&[Permission]>) -> Self {
        let Some(scope) = scope else {
            return self;
        };
        let both = effective(scope, Some(&self.management));
        // They were permissions before, so none is lost.
        let management = both.iter().filter_map(|p| Permission::parse(p).ok());
        Self {
            management: management.collect(),
            api: self.api,
        }
    }

    /// The first right of `other` that is not among these, in words.
    pub fn lack(&self, other: &Self) -> Option<String> {
        let management = first_beyond(&self.management, &other.management)
            .map(|p| format!("the permission {p}"));
        management.or_else(|| {
            let api = first_beyond(&self.api, &other.api);
            api.map(|p| format!("the API permission {p}"))
        })
    }

    /// The management permissions one by one, without wildcards.
    pub fn management_permissions(&self) -> Vec<&'static str> {
        let holds =
            |name: &&str| Permission::parse(name).is_ok_and(|p| allows(&self.management, &p));
        MANAGEMENT.into_iter().filter(holds).collect()
    }
}

impl BuiltIn {
    /// What it may do.
    pub fn rights(&self) -> Rights {
        let parsed = |texts: &[&str]| -> Vec<Permission> {
            texts
                .iter()
                .filter_map(|text| Permission::parse(text).ok())
                .collect()
        };
        Rights {
            management: parsed(self.management),
            api: parsed(self.api),
        }
    }
}

/// The first of `wanted` that `held` does not cover.
pub fn first_beyond<'a>(held: &[Permission], wanted: &'a [Permission]) -> Option<&'a Permission> {
    wanted.iter().find(|p| !allows(held, p))
}

/// Reads management permissions: each must be one of [`MANAGEMENT`], or a wildcard over some of them.
pub fn check_management(checks: &mut Checks, field: &str, texts: &[String]) -> Vec<Permission> {
    checks.list(field, texts, |text| {
        let unknown = || {
            format!(
                "is no management permission; they are {}, and `keys.*` or `*` for several",
                MANAGEMENT.join(", ")
            )
        };
        let permission = Permission::parse(text).map_err(|_| unknown())?;
        let covers = |name: &&str| Permission::parse(name).is_ok_and(|p| permission.covers(&p));
        if MANAGEMENT.iter().any(covers) {
            Ok(permission)
        } else {
            Err(unknown())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(texts: &[&str]) -> Vec<Permission> {
        texts
            .iter()
            .map(|t| Permission::parse(t).unwrap())
            .collect()
    }

    fn of(role: &str) -> Vec<&'static str> {
        Rights::built_in(role).unwrap().management_permissions()
    }

    #[test]
    fn built_in_roles_hold_what_the_documentation_says() {
        assert_eq!(of("owner"), MANAGEMENT);
        let beyond_admin: Vec<_> = MANAGEMENT
            .into_iter()
            .filter(|name| !of("admin").contains(name))
            .collect();
        assert_eq!(beyond_admin, ["accounts.write", "sync.write"]);
        let developer = [
            "accounts.read",
            "members.read",
            "roles.read",
            "apis.read",
            "keys.read",
            "keys.write",
            "identities.read",
            "identities.write",
            "usage.read",
        ];
        assert_eq!(of("developer"), developer);
        let reads = |name: &&str| {
            name.ends_with(".read") && !["tokens.read", "audit.read", "sync.read"].contains(name)
        };
        let viewer: Vec<_> = MANAGEMENT.into_iter().filter(reads).collect();
        assert_eq!(of("viewer"), viewer);
        assert_eq!(Rights::built_in("role_1"), None);
    }

    #[test]
    fn the_roles_that_the_edge_knows_by_name_bound_keys_as_they_do_here() {
        for role in BUILT_IN {
            let bound = shared::record::built_in_role(role.name);
            assert_eq!(bound, Some(role.rights().api), "{}", role.name);
        }
    }

    #[test]
    fn a_scope_narrows_and_never_widens() {
        let developer = Rights::built_in("developer").unwrap();
        let narrowed = developer
            .clone()
            .narrowed(Some(&p(&["keys.read", "tokens.*", "apis.*"])));
        assert_eq!(narrowed.management, p(&["keys.read", "apis.read"]));
        assert_eq!(developer.lack(&narrowed), None);
        assert_eq!(developer.clone().narrowed(None), developer);
        let nothing = developer.narrowed(Some(&[]));
        assert_eq!(nothing.management_permissions(), Vec::<&str>::new());
    }

    #[test]
    fn what_is_lacking_is_named() {
        let (admin, owner) = (
            Rights::built_in("admin").unwrap(),
            Rights::built_in("owner").unwrap(),
        );
        assert_eq!(owner.lack(&admin), None);
        assert_eq!(admin.lack(&owner).unwrap(), "the permission *");
        let mut bounded = admin.clone();
        bounded.api = p(&["customers.*"]);
        assert_eq!(bounded.lack(&admin).unwrap(), "the API permission *");
        assert_eq!(admin.lack(&bounded), None);
    }

    #[test]
    fn management_permissions_are_known_ones() {
        let read = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|t| (*t).to_owned()).collect();
            let mut checks = Checks::default();
            let list = check_management(&mut checks, "p", &texts);
            checks.finish().is_ok().then_some(list)
        };
        assert_eq!(read(&["keys.*", "*", "usage.read"]).unwrap().len(), 3);
        for text in ["keys", "keys.fly", "customers.*", "Keys.read", ""] {
            assert!(read(&[text]).is_none(), "{text}");
        }
    }
}
