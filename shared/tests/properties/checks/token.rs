use shared::secret::Secret;
use shared::token::{KeyHash, MAX_TOKEN, ParsedToken, TagSecrets, Token};

use super::draw::{ALPHANUMERIC, Draw, LOWER};
use super::reference;

/// A token is read as it was minted; after any slip of the pen it is refused, whoever else's secret it is held against.
pub fn token(bytes: &[u8]) {
    let mut draw = Draw::new(bytes);
    if draw.one_in(3) {
        foreign(&mut draw);
    } else {
        minted(&mut draw);
    }
}

fn secret(name: &str, byte: u8) -> Secret {
    Secret::from_text(&format!("the {name} secret {byte}")).expect("long")
}

fn secrets(byte: u8) -> TagSecrets {
    let previous = byte.is_multiple_of(2).then(|| secret("previous", byte));
    TagSecrets::new(&secret("current", byte), previous.as_ref())
}

fn minted(draw: &mut Draw<'_>) {
    let first = draw.word(&LOWER[..26], 1);
    let length = draw.below(12);
    let prefix = first + &draw.word(LOWER, length);
    let length = 1 + draw.below(10);
    let env_code = draw.word(LOWER, length);
    let locator = draw.word(ALPHANUMERIC, 8);
    let byte = draw.byte();
    let ours = secrets(byte);
    let token = Token::mint(
        &prefix,
        &env_code,
        &locator,
        &draw.array(),
        &secret("current", byte),
    );
    let token = token.expect("its parts are well-formed");
    let text = token.expose();
    assert!(text.len() <= MAX_TOKEN);
    let parsed = ParsedToken::parse(text).expect("a minted token");
    assert!(parsed.is_genuine(&ours));
    assert_eq!(
        (parsed.env_code(), parsed.locator()),
        (&*env_code, &*locator)
    );
    assert_eq!(parsed.hash(), token.hash());
    assert_eq!(
        KeyHash::from_hex(&token.hash().to_hex()),
        Some(token.hash())
    );
    let other = draw.byte();
    assert!(other == byte || !parsed.is_genuine(&secrets(other)));

    let slipped = draw.slip(text);
    if slipped != text {
        let read = ParsedToken::parse(&slipped);
        assert!(
            !read.is_ok_and(|token| token.is_genuine(&ours)),
            "{text} passes as {slipped}"
        );
    }
}

/// What we did not mint is read exactly when it has the published form, and is never genuine.
fn foreign(draw: &mut Draw<'_>) {
    let mut text = draw.text(&["kw", "_", "prod", "sk", "live", "-", "9", "A"], 12);
    if draw.one_in(2) {
        let body = draw.word(ALPHANUMERIC, 40);
        text = format!("kw_{}_sk_{body}", draw.text(&["prod", "a", "9", "_"], 4));
    }
    if draw.one_in(2) {
        text.push_str(&reference::crc(&text));
    }
    let read = ParsedToken::parse(&text);
    assert_eq!(read.is_ok(), reference::is_token(&text), "{text}");
    if let Ok(token) = read {
        assert!(!token.is_genuine(&secrets(draw.byte())), "{text}");
    }
}
