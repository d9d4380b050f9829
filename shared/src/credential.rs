//! Where a request carries its API key: `Authorization: Bearer …` (RFC 6750) or `X-API-Key`. Never the query. And what the
//! key tells by itself.

use crate::denial::{Denial, InvalidKey};
use crate::record::{ApiRecord, Endpoint};
use crate::token::{ParsedToken, TagSecrets, TokenError};

/// The longest credential that is looked at, in bytes.
pub const MAX_CREDENTIAL: usize = 512;

/// The presented key. Repeated headers arrive joined with commas, and are refused by the grammar.
///
/// # Errors
/// [`Denial::MissingCredential`] without either header, [`Denial::MalformedCredential`] for headers that
/// can't be read or contradict each other.
pub fn presented<'a>(
    authorization: Option<&'a str>,
    x_api_key: Option<&'a str>,
) -> Result<&'a str, Denial> {
    let bearer = authorization.map(from_authorization).transpose()?;
    let plain = x_api_key.map(|v| checked(trim(v))).transpose()?;
    match (bearer, plain) {
        (None, None) => Err(Denial::MissingCredential),
        (Some(a), Some(b)) if a != b => Err(Denial::MalformedCredential(
            "Authorization and X-API-Key carry different keys",
        )),
        (Some(key), _) | (None, Some(key)) => Ok(key),
    }
}

fn from_authorization(value: &str) -> Result<&str, Denial> {
    let value = trim(value);
    let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Denial::MalformedCredential(
            "The Authorization header must be `Bearer` and an API key",
        ));
    }
    checked(rest.trim_start_matches(' '))
}

/// Without the white space that may stand around a header's value (RFC 9110, section 5.5).
fn trim(value: &str) -> &str {
    value.trim_matches([' ', '\t'])
}

fn checked(key: &str) -> Result<&str, Denial> {
    if key.is_empty() {
        return Err(Denial::MalformedCredential("The API key is empty"));
    }
    if key.len() > MAX_CREDENTIAL {
        return Err(Denial::MalformedCredential("The API key is too long"));
    }
    // Imported keys have any form, so this is more than b64token of RFC 6750, section 2.1. No comma, so that two joined
    // headers are not taken for one key.
    let fits = key.bytes().all(|b| b.is_ascii_graphic() && b != b',');
    if !fits {
        return Err(Denial::MalformedCredential(
            "The API key has characters that no key has",
        ));
    }
    Ok(key)
}

/// What a credential is, as far as it tells by itself.
#[derive(Debug, Clone, Copy)]
pub enum Form<'a> {
    /// One of our tokens.
    Own(ParsedToken<'a>),
    /// Not of our tokens' form, and why: it may be an imported key's.
    Foreign(TokenError),
}

impl<'a> Form<'a> {
    /// Reads a credential.
    ///
    /// # Errors
    /// [`InvalidKey::Forged`] for what has the form of our tokens and was not made with our secrets: it is nobody's.
    pub fn of(text: &'a str, secrets: &TagSecrets) -> Result<Self, Denial> {
        match ParsedToken::parse(text) {
            Ok(token) if token.is_genuine(secrets) => Ok(Self::Own(token)),
            Ok(_) => Err(Denial::InvalidKey(InvalidKey::Forged)),
            Err(error) => Ok(Self::Foreign(error)),
        }
    }

    /// Whether it is worth looking up for an endpoint. Of an imported key only its record tells the environment.
    ///
    /// # Errors
    /// [`Denial::WrongEnvironment`], or [`Denial::MalformedCredential`] where keys of other forms are not taken.
    pub fn admit(&self, api: &ApiRecord, endpoint: &Endpoint) -> Result<(), Denial> {
        match self {
            Self::Own(token) if token.env_code() == endpoint.code => Ok(()),
            Self::Own(_) => Err(Denial::WrongEnvironment {
                endpoint: endpoint.environment.clone(),
            }),
            Self::Foreign(_) if api.accept_imported => Ok(()),
            Self::Foreign(error) => Err(Denial::MalformedCredential(error.message())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use crate::token::Token;

    fn malformed(authorization: Option<&str>, x_api_key: Option<&str>) -> bool {
        matches!(
            presented(authorization, x_api_key),
            Err(Denial::MalformedCredential(_))
        )
    }

    #[test]
    fn either_header_or_both_with_the_same_key_will_do() {
        assert_eq!(presented(Some("Bearer k_1"), None), Ok("k_1"));
        assert_eq!(presented(Some("bEARER   k_1"), None), Ok("k_1"));
        assert_eq!(presented(None, Some("k_1")), Ok("k_1"));
        assert_eq!(presented(Some("Bearer k_1"), Some("k_1")), Ok("k_1"));
        assert_eq!(presented(None, None), Err(Denial::MissingCredential));
    }

    #[test]
    fn everything_else_is_malformed() {
        assert!(malformed(Some("Bearer k_1"), Some("k_2")));
        assert!(malformed(Some("Basic dXNlcg=="), None));
        assert!(malformed(Some("Basic dXNlcg=="), Some("k_1")));
        assert!(malformed(Some("Bearer"), None));
        assert!(malformed(Some(""), None));
        assert!(malformed(None, Some("")));
        assert!(malformed(Some("Bearer a b"), None));
        assert!(malformed(Some("Bearer a, Bearer b"), None));
        assert!(malformed(None, Some("a, a")));
        assert!(malformed(None, Some("a,a")));
        assert!(malformed(None, Some("a\u{7f}")));
        assert!(malformed(Some("Bearer k\u{e4}"), None));
        assert!(malformed(None, Some(&"a".repeat(513))));
        assert!(malformed(Some("k_1"), None));
    }

    fn secret(seed: u8) -> Secret {
        Secret::from_text(&hex::encode([seed; 32])).unwrap()
    }

    fn api(accept_imported: bool) -> ApiRecord {
        let json = format!(
            r#"{{"id": "api_1", "version": 1, "account": "acc_Ab3dE6gH", "name": "A", "upstream": "http://u",
                "endpoints": [{{"host": "*", "environment": "production", "code": "prod"}}],
                "acceptImported": {accept_imported}}}"#
        );
        crate::read::from_str(&json).unwrap()
    }

    /// What becomes of a credential before any look-up.
    fn before_any_look_up(text: &str, accept_imported: bool) -> Result<(), Denial> {
        let api = api(accept_imported);
        Form::of(text, &TagSecrets::new(&secret(1), None))?.admit(&api, &api.endpoints[0])
    }

    #[test]
    fn any_visible_ascii_may_be_a_key() {
        for key in [
            "a!\"#$%&'()*+-./:;<=>?@[]^_`{|}~",
            "sk_live_1",
            &"a".repeat(512),
        ] {
            assert_eq!(presented(None, Some(key)), Ok(key));
            assert_eq!(presented(Some(&format!("Bearer {key}")), None), Ok(key));
        }
    }

    #[test]
    fn keys_of_other_forms_are_looked_up_only_where_the_api_takes_them() {
        let mint = |env, seed| Token::mint("kw", env, "Ab3dE6gH", &[7; 32], &secret(seed)).unwrap();
        let own = mint("prod", 1);
        // In its random part, after `kw_prod_sk_`.
        let mut mistyped = own.expose().to_owned();
        let slip = if mistyped.as_bytes()[11] == b'0' {
            "1"
        } else {
            "0"
        };
        mistyped.replace_range(11..12, slip);
        for text in ["sk_live_4eC39HqLyjWDarjtT1zdp7dc", "1", &*mistyped] {
            assert_eq!(before_any_look_up(text, true), Ok(()), "{text}");
            let refused = before_any_look_up(text, false);
            assert!(
                matches!(refused, Err(Denial::MalformedCredential(_))),
                "{text}"
            );
        }
        for accepts in [true, false] {
            assert_eq!(before_any_look_up(own.expose(), accepts), Ok(()));
            assert_eq!(
                before_any_look_up(mint("prod", 2).expose(), accepts),
                Err(Denial::InvalidKey(InvalidKey::Forged))
            );
            assert!(matches!(
                before_any_look_up(mint("stg", 1).expose(), accepts),
                Err(Denial::WrongEnvironment { .. })
            ));
        }
    }
}
