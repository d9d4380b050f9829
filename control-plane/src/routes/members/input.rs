//! What a caller may say of a member, and its checks.

use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::error::ApiError;
use crate::http::body::given;
use crate::http::page::{Cursor, PageLimit};
use crate::openapi::names::{AccountId, Name, RoleId};
use crate::openapi::schema::schema;
use crate::store::members::MemberFilter;
use crate::validate::{Checks, MAX_NAME};

/// RFC 5321: a path has at most 256 octets, its brackets included.
const MAX_EMAIL: usize = 254;
/// More than any role's id has.
const MAX_ROLE: usize = 64;
const MAX_SEARCH: usize = 100;

schema! {
    /// An e-mail address; kept in lower case.
    pub Email = text(3, MAX_EMAIL).examples(["ada@example.com"]);
    /// Part of a name, an e-mail address or an id.
    Search = text(1, MAX_SEARCH).examples(["ada"]);
}

/// A member to be invited.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateMember {
    /// The account; the token's own by default.
    #[schema(value_type = AccountId)]
    #[serde(default, deserialize_with = "given")]
    account_id: Option<String>,
    #[schema(value_type = Email)]
    email: String,
    #[schema(value_type = Name)]
    name: String,
    #[schema(value_type = RoleId)]
    role: String,
}

/// A checked [`CreateMember`].
#[derive(Debug)]
pub struct NewMember {
    /// In lower case.
    pub email: String,
    /// For people.
    pub name: String,
    /// A role's name or id, whether there is one or not.
    pub role: String,
}

impl CreateMember {
    /// The account, if one is named, and the rest.
    ///
    /// # Errors
    /// [`ApiError::Validation`]
    pub fn check(self) -> Result<(Option<String>, NewMember), ApiError> {
        let mut checks = Checks::default();
        let email = checks.text("email", &self.email, MAX_EMAIL).to_lowercase();
        if !is_email(&email) {
            checks.fail("email", "must be an e-mail address: name@example.com");
        }
        let new = NewMember {
            email,
            name: checks.text("name", &self.name, MAX_NAME),
            role: checks.text("role", &self.role, MAX_ROLE),
        };
        checks.finish()?;
        Ok((self.account_id, new))
    }
}

/// Whether a text has the form of an address. Whether there is one behind it, only a message to it can tell.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    (1..=64).contains(&local.len())
        && !local.chars().any(|c| c.is_whitespace() || c == '@')
        && domain.split('.').all(is_label)
}

/// What is given replaces what there was.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PatchMember {
    #[schema(value_type = Name)]
    #[serde(default, deserialize_with = "given")]
    pub name: Option<String>,
    #[schema(value_type = RoleId)]
    #[serde(default, deserialize_with = "given")]
    pub role: Option<String>,
}

impl PatchMember {
    /// With its texts checked.
    ///
    /// # Errors
    /// [`ApiError::Validation`]
    pub fn check(self) -> Result<Self, ApiError> {
        let mut checks = Checks::default();
        let name = self.name.map(|text| checks.text("name", &text, MAX_NAME));
        let role = self.role.map(|text| checks.text("role", &text, MAX_ROLE));
        checks.finish()?;
        Ok(Self { name, role })
    }
}

/// The query string of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListMembers {
    /// Only members of this account.
    #[param(inline, value_type = Option<AccountId>)]
    account: Option<String>,
    /// Only members with this role.
    #[param(inline, value_type = Option<RoleId>)]
    role: Option<String>,
    #[param(inline, value_type = Option<Search>)]
    q: Option<String>,
    #[param(inline, value_type = Option<PageLimit>)]
    pub limit: Option<String>,
    #[param(inline, value_type = Option<Cursor>)]
    pub cursor: Option<String>,
}

impl ListMembers {
    /// Which members are asked for.
    pub fn filter(self, checks: &mut Checks) -> MemberFilter {
        MemberFilter {
            account: self.account,
            role: self.role.map(|text| checks.text("role", &text, MAX_ROLE)),
            text: self.q.map(|text| checks.text("q", &text, MAX_SEARCH)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_other_texts() {
        for text in [
            "a@b",
            "ada.lovelace+keys@example.com",
            "ädä@exämple.com",
            "o'neil@x-y.example",
        ] {
            assert!(is_email(text), "{text}");
        }
        for text in [
            "", "a", "@", "a@", "@b", "a b@c", "a@b c", "a@@b", "a@b..c", "a@.b", "a@-b", "a@b-.c",
            "a@b_c",
        ] {
            assert!(!is_email(text), "{text}");
        }
        let long = "a".repeat(65);
        assert!(!is_email(&format!("{long}@b")) && !is_email(&format!("a@{long}")));
    }
}
