//! Environments: a name for people and a short code that stands in tokens.

use shared::token::{MAX_ENV_CODE, is_env_code};

use crate::openapi::schema::schema;
use crate::validate::Checks;

/// The environments that every account has.
const DEFAULTS: [(&str, &str); 3] = [
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

impl Environment {
    /// Reads an environment's name and, for a custom one, its code, which is the name itself when none is given
    /// and the name can be one. The codes of the defaults belong to them alone, so that no other environment's
    /// keys open them. `at` names the two fields, name and code, in mistakes.
    pub fn check(checks: &mut Checks, at: [&str; 2], name: &str, code: Option<&str>) -> Self {
        let [name_field, code_field] = at;
        let is_name = (1..=MAX_NAME).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !is_name {
            let detail = format!(
                "an environment is production, staging, development or a name of 1 to {MAX_NAME} lower-case \
                 letters, digits and -"
            );
            checks.fail(name_field, detail);
        }
        let code = match DEFAULTS.iter().find(|(default, _)| *default == name) {
            Some((_, fixed)) => {
                if code.is_some_and(|given| given != *fixed) {
                    checks.fail(code_field, format!("the code of {name} is {fixed}"));
                }
                (*fixed).to_owned()
            }
            None => Self::custom_code(checks, code_field, code.unwrap_or(name)),
        };
        Self {
            name: name.to_owned(),
            code,
        }
    }

    fn custom_code(checks: &mut Checks, field: &str, code: &str) -> String {
        if !is_env_code(code) {
            let detail = format!(
                "an environment of your own needs a code of 1 to {MAX_ENV_CODE} lower-case letters and digits"
            );
            checks.fail(field, detail);
        } else if let Some((owner, _)) = DEFAULTS.iter().find(|(_, taken)| *taken == code) {
            checks.fail(field, format!("{code} is the code of {owner}"));
        }
        code.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, code: Option<&str>) -> Option<String> {
        let mut checks = Checks::default();
        let env = Environment::check(&mut checks, ["environment", "code"], name, code);
        checks.finish().ok().map(|()| env.code)
    }

    #[test]
    fn default_environments_have_their_own_codes() {
        assert_eq!(check("production", None).as_deref(), Some("prod"));
        assert_eq!(check("staging", Some("stg")).as_deref(), Some("stg"));
        assert_eq!(check("development", Some("prod")), None);
    }

    #[test]
    fn custom_environments_have_any_other_code() {
        assert_eq!(check("preview", None).as_deref(), Some("preview"));
        assert_eq!(check("pre-release", Some("pre")).as_deref(), Some("pre"));
        assert_eq!(check("pre-release", None), None);
        assert_eq!(check("live", Some("prod")), None);
        assert_eq!(check("prod", None), None);
        assert_eq!(check("Preview", None), None);
        assert_eq!(check("", None), None);
    }
}
