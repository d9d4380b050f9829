//! Environments: a name for people and a short code that stands in tokens.
//!
//! Three are built in; an account may define others, which the accounts below it have, too. A key or an endpoint names one
//! that its account knows.

use shared::token::{MAX_ENV_CODE, is_env_code};

use crate::openapi::schema::schema;
use crate::validate::Checks;

/// The environments that every account has, by name and code.
pub const BUILT_IN: [(&str, &str); 3] = [
    ("production", "prod"),
    ("staging", "stg"),
    ("development", "dev"),
];
/// The environment of a key that names none.
pub const DEFAULT: &str = "production";
const MAX_NAME: usize = 32;

schema! {
    /// `production`, `staging`, `development`, or a name of your own.
    pub EnvironmentName = form("^[a-z0-9-]+$").max_length(Some(MAX_NAME)).examples([DEFAULT]);
    /// The environment's short code, which stands in tokens.
    pub EnvironmentCode = form("^[a-z0-9]+$").max_length(Some(MAX_ENV_CODE)).examples(["prod"]);
}

/// An environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// `production`, or a name of the account's choice.
    pub name: String,
    /// `prod`, or a code of the account's choice.
    pub code: String,
}

/// How a key or an endpoint names an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// Its code, which is needed only where two have the name.
    pub code: Option<String>,
}

/// The code of an environment that is built in.
pub fn built_in(name: &str) -> Option<&'static str> {
    let found = BUILT_IN.iter().find(|(known, _)| *known == name);
    found.map(|(_, code)| *code)
}

/// Those that are built in.
pub fn all_built_in() -> impl Iterator<Item = Environment> {
    BUILT_IN.iter().map(|(name, code)| Environment {
        name: (*name).to_owned(),
        code: (*code).to_owned(),
    })
}

impl Environment {
    /// Reads the name and code of an environment to be defined. The code is the name itself when none is given and the name
    /// can be one. Names and codes of those that are built in belong to them alone, so that no other environment's keys open
    /// them.
    pub fn check_new(checks: &mut Checks, name: &str, code: Option<&str>) -> Self {
        let is_name = (1..=MAX_NAME).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !is_name {
            let detail = format!("1 to {MAX_NAME} lower-case letters, digits and - are needed");
            checks.fail("name", detail);
        } else if built_in(name).is_some() {
            checks.fail("name", format!("{name} is built in"));
        }
        let code = code.unwrap_or(name);
        if !is_env_code(code) {
            let detail =
                format!("a code of 1 to {MAX_ENV_CODE} lower-case letters and digits is needed");
            checks.fail("code", detail);
        } else if let Some((owner, _)) = BUILT_IN.iter().find(|(_, taken)| *taken == code) {
            checks.fail("code", format!("{code} is the code of {owner}"));
        }
        Self {
            name: name.to_owned(),
            code: code.to_owned(),
        }
    }
}

impl Named {
    /// The one of `known` that is meant. `at` names the two fields, name and code, in mistakes.
    pub fn among(&self, known: &[Environment], checks: &mut Checks, at: [&str; 2]) -> Environment {
        let [name_field, code_field] = at;
        let named: Vec<&Environment> = known.iter().filter(|e| e.name == self.name).collect();
        let code = self.code.as_deref();
        let fits = |e: &&&Environment| code.is_none_or(|code| e.code == code);
        let mut meant = named.iter().filter(fits);
        match (meant.next(), meant.next()) {
            (Some(one), None) => return (*one).clone(),
            _ if named.is_empty() => {
                let names = list(known.iter().map(|e| e.name.as_str()));
                let detail = format!("the account has no such environment; it has {names}");
                checks.fail(name_field, detail);
            }
            _ => {
                let codes = list(named.iter().map(|e| e.code.as_str()));
                checks.fail(code_field, format!("the code of {} is {codes}", self.name));
            }
        }
        // Nobody uses it: the mistake is noted.
        Environment {
            name: self.name.clone(),
            code: String::new(),
        }
    }
}

/// Names for people, each once.
fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut once: Vec<&str> = Vec::new();
    for name in names {
        if !once.contains(&name) {
            once.push(name);
        }
    }
    once.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(name: &str, code: Option<&str>) -> Option<String> {
        let mut checks = Checks::default();
        let env = Environment::check_new(&mut checks, name, code);
        checks.finish().ok().map(|()| env.code)
    }

    #[test]
    fn new_environments_have_names_and_codes_of_their_own() {
        assert_eq!(new("preview", None).as_deref(), Some("preview"));
        assert_eq!(new("pre-release", Some("pre")).as_deref(), Some("pre"));
        for (name, code) in [
            ("pre-release", None),
            ("live", Some("prod")),
            ("live", Some("Live")),
            ("live", Some("elevenchars")),
            ("prod", None),
            ("production", Some("live")),
            ("Preview", None),
            ("", Some("x")),
        ] {
            assert_eq!(new(name, code), None, "{name} {code:?}");
        }
    }

    fn meant(name: &str, code: Option<&str>) -> Result<String, String> {
        let own = [("load-test", "lt"), ("twin", "one"), ("twin", "two")];
        let own = own.map(|(name, code)| Environment {
            name: name.to_owned(),
            code: code.to_owned(),
        });
        let known: Vec<_> = all_built_in().chain(own).collect();
        let named = Named {
            name: name.to_owned(),
            code: code.map(str::to_owned),
        };
        let mut checks = Checks::default();
        let found = named.among(&known, &mut checks, ["environment", "environmentCode"]);
        match checks.finish() {
            Ok(()) => Ok(found.code),
            Err(crate::error::ApiError::Validation(errors)) => Err(errors
                .iter()
                .map(|e| format!("{}: {}", e.field, e.detail))
                .collect()),
            Err(_) => Err(String::new()),
        }
    }

    #[test]
    fn what_is_named_is_found_and_what_is_not_known_is_answered_with_what_is() {
        assert_eq!(meant("production", None).unwrap(), "prod");
        assert_eq!(meant("staging", Some("stg")).unwrap(), "stg");
        assert_eq!(meant("load-test", None).unwrap(), "lt");
        assert_eq!(meant("twin", Some("two")).unwrap(), "two");
        for (name, code, detail) in [
            (
                "preview",
                Some("prod"),
                "environment: the account has no such environment; it has production, staging, development, load-test, twin",
            ),
            (
                "development",
                Some("prod"),
                "environmentCode: the code of development is dev",
            ),
            (
                "twin",
                None,
                "environmentCode: the code of twin is one, two",
            ),
        ] {
            assert_eq!(meant(name, code).unwrap_err(), detail);
        }
    }
}
