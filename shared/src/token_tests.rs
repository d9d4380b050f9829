use super::*;
use proptest::prelude::*;

fn secret(text: &str) -> Secret {
    Secret::from_text(text).unwrap()
}

fn secrets(current: &str, previous: Option<&str>) -> TagSecrets {
    TagSecrets::new(&secret(current), previous.map(secret).as_ref())
}

fn minted(entropy: [u8; 32]) -> Token {
    Token::mint(
        "kw",
        "prod",
        "Ab3dE6gH",
        &entropy,
        &secret("0123456789abcdef"),
    )
    .unwrap()
}

#[test]
fn a_minted_token_reads_back_and_is_genuine() {
    let token = minted([9; 32]);
    let parsed = ParsedToken::parse(token.expose()).unwrap();
    assert_eq!(parsed.env_code(), "prod");
    assert_eq!(parsed.locator(), "Ab3dE6gH");
    assert_eq!(parsed.hash(), token.hash());
    assert!(parsed.is_genuine(&secrets("0123456789abcdef", None)));
    assert!(!parsed.is_genuine(&secrets("another secret!!", None)));
}

#[test]
fn the_previous_tag_secret_still_verifies() {
    let token = minted([9; 32]);
    let parsed = ParsedToken::parse(token.expose()).unwrap();
    assert!(parsed.is_genuine(&secrets("another secret!!", Some("0123456789abcdef"))));
}

#[test]
fn the_tag_is_the_published_construction() {
    // HMAC-SHA256(key, text), first 8 bytes big-endian, modulo 62^8: computed independently with Python's hmac.
    let tag = tag_of(
        "kw_prod_sk_000000000000000000000000Ab3dE6gH",
        keyed(&secret("0123456789abcdef")).unwrap(),
    );
    assert_eq!(&tag, b"iyzFfLJD");
}

#[test]
fn the_checksum_is_that_of_zip_files() {
    // zlib.crc32 in base62, computed independently with Python.
    assert_eq!(
        &crc_of("kw_prod_sk_000000000000000000000000Ab3dE6gHiyzFfLJD"),
        b"3Ac9u1"
    );
}

#[test]
fn hints_show_the_start_through_four_random_characters_and_the_last_eight() {
    let token = minted([1; 32]);
    let hints = token.hints();
    assert_eq!(hints.start.len(), "kw_prod_sk_".len() + 4);
    assert!(token.expose().starts_with(&hints.start));
    assert!(token.expose().ends_with(&hints.last8));
    assert_eq!(hints.last8.len(), 8);
}

#[test]
fn debug_output_never_shows_a_token() {
    let token = minted([1; 32]);
    let parsed = ParsedToken::parse(token.expose()).unwrap();
    let shown = format!("{token:?} {parsed:?}");
    assert!(!shown.contains(token.expose()));
    assert!(!shown.contains(&token.expose()[15..30]));
}

#[test]
fn malformed_prefixes_and_codes_cannot_be_minted() {
    let s = secret("0123456789abcdef");
    for (prefix, env, locator) in [
        ("", "prod", "Ab3dE6gH"),
        ("KW", "prod", "Ab3dE6gH"),
        ("1w", "prod", "Ab3dE6gH"),
        ("kw_x", "prod", "Ab3dE6gH"),
        ("kw", "", "Ab3dE6gH"),
        ("kw", "production1", "Ab3dE6gH"),
        ("kw", "prod", "Ab3dE6g"),
        ("kw", "prod", "Ab3dE6g_"),
    ] {
        assert!(Token::mint(prefix, env, locator, &[0; 32], &s).is_err());
    }
}

proptest! {
    #[test]
    fn any_string_is_read_without_panic(text in ".{0,120}") {
        let _ = ParsedToken::parse(&text);
    }

    #[test]
    fn every_single_character_change_is_caught_without_the_secret(
        entropy in any::<[u8; 32]>(), at in 0usize..57, to in "[0-9A-Za-z]"
    ) {
        let token = minted(entropy);
        let mut text = token.expose().to_owned();
        prop_assume!(text.get(at..=at) != Some(to.as_str()));
        text.replace_range(at..=at, &to);
        // CRC-32 catches every burst up to 32 bits, so a survivor would be a bug.
        prop_assert!(ParsedToken::parse(&text).is_err());
    }

    #[test]
    fn tokens_of_every_allowed_shape_read_back(
        prefix in "[a-z][a-z0-9]{0,11}", env in "[a-z0-9]{1,10}",
        locator in "[0-9A-Za-z]{8}", entropy in any::<[u8; 32]>()
    ) {
        let s = secrets("0123456789abcdef", None);
        let current = secret("0123456789abcdef");
        let token = Token::mint(&prefix, &env, &locator, &entropy, &current).unwrap();
        prop_assert!(token.expose().len() <= MAX_TOKEN);
        let parsed = ParsedToken::parse(token.expose()).unwrap();
        prop_assert_eq!(parsed.env_code(), env.as_str());
        prop_assert_eq!(parsed.locator(), locator.as_str());
        prop_assert!(parsed.is_genuine(&s));
    }
}
