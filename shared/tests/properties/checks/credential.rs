use shared::credential::{MAX_CREDENTIAL, presented};
use shared::denial::Denial;

use super::draw::{ALPHANUMERIC, Draw};

const PIECES: &[&str] = &[
    "Bearer",
    "bearer",
    "BEARER",
    "Basic",
    "Token",
    " ",
    "  ",
    "\t",
    ",",
    ", ",
    "kw_prod_sk_",
    "a",
    "b",
    "=",
    ":",
    "/",
    "é",
    "\u{a0}",
    "\"",
    ";",
    "\r\n",
    "Bearer ",
];

/// What is taken for a key stands in a header as it is, whole; what two readers could take for different keys is refused.
pub fn credential(bytes: &[u8]) {
    let mut draw = Draw::new(bytes);
    let header = |draw: &mut Draw<'_>| (!draw.one_in(3)).then(|| draw.text(PIECES, 8));
    let [authorization, x_api_key] = [header(&mut draw), header(&mut draw)];
    match presented(authorization.as_deref(), x_api_key.as_deref()) {
        Ok(key) => is_whole(key, authorization.as_deref(), x_api_key.as_deref()),
        Err(Denial::MissingCredential) => assert_eq!((authorization, x_api_key), (None, None)),
        Err(denial) => {
            assert!(
                matches!(denial, Denial::MalformedCredential(_)),
                "{denial:?}"
            );
            assert!(authorization.is_some() || x_api_key.is_some());
        }
    }
    well_formed(&mut draw);
}

fn is_whole(key: &str, authorization: Option<&str>, x_api_key: Option<&str>) {
    assert!((1..=MAX_CREDENTIAL).contains(&key.len()));
    assert!(!key.contains([' ', ',', '\t']) && key.is_ascii(), "{key}");
    if let Some(value) = authorization {
        let (scheme, rest) = value.trim().split_at(6);
        assert!(scheme.eq_ignore_ascii_case("bearer"), "{value}");
        assert!(rest.starts_with(' ') && rest.trim() == key, "{value}");
    }
    if let Some(value) = x_api_key {
        assert_eq!(value.trim(), key);
    }
}

fn well_formed(draw: &mut Draw<'_>) {
    let length = 1 + draw.below(MAX_CREDENTIAL);
    let key = draw.word(&format!("{ALPHANUMERIC}-._~+/=:!#$%&*\"'();"), length);
    let scheme = draw.pick(&["Bearer", "bearer", "bEaReR"]);
    let spaces = " ".repeat(1 + draw.below(3));
    let bearer = format!("{scheme}{spaces}{key}");
    assert_eq!(presented(Some(&bearer), None), Ok(&*key));
    assert_eq!(presented(Some(&bearer), Some(&key)), Ok(&*key));
    // Two headers of one name arrive joined.
    assert!(presented(Some(&format!("{bearer}, {bearer}")), None).is_err());
    assert!(presented(None, Some(&format!("{key}, {key}"))).is_err());
    let other = draw.slip(&key);
    if other != key {
        assert!(
            presented(Some(&bearer), Some(&other)).is_err() || other.trim() == key,
            "{other}"
        );
    }
}
