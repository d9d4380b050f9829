//! Tokens that open nothing.

use shared::account::locator_of;
use shared::secret::Secret;
use shared::token::Token;

use crate::random;
use crate::secrets::Secrets;

fn mint(env_code: &str, account: &str, tag: &str) -> String {
    let secret = Secret::from_text(tag).expect("a secret");
    let locator = locator_of(account).expect("an account's id");
    let token = Token::mint("kw", env_code, locator, &random::bytes(), &secret);
    token.expect("a token").expose().to_owned()
}

impl Secrets {
    /// A token with a genuine tag that no key has: of a key whose records were lost, say.
    ///
    /// # Panics
    /// When `account` is no account's id.
    pub fn unissued_token(&self, env_code: &str, account: &str) -> String {
        mint(env_code, account, &self.tag)
    }
}

/// A token, right in form and checksum, by someone who does not have the tag secret.
///
/// # Panics
/// When `account` is no account's id.
pub fn forged_token(env_code: &str, account: &str) -> String {
    mint(env_code, account, &random::letters(40))
}

/// A token with one character changed, the one at `at` counted from its random part, as by a typing error.
///
/// # Panics
/// When the token is shorter.
pub fn mistyped_token(token: &str, at: usize) -> String {
    let body = token.rfind('_').map_or(0, |mark| mark + 1);
    let mut bytes = token.as_bytes().to_vec();
    let place = body + at % (bytes.len() - body);
    bytes[place] = if bytes[place] == b'x' { b'y' } else { b'x' };
    String::from_utf8(bytes).expect("a token is ASCII")
}
