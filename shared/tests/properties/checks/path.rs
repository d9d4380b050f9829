use shared::path::{MAX_PATH, canonical};
use url::Url;

use super::draw::Draw;
use super::reference::{easy_going, percent_decoded};

const PIECES: &[&str] = &[
    "/",
    "/",
    "/",
    "//",
    ".",
    "..",
    "...",
    "%2e",
    "%2E",
    "%2f",
    "%2F",
    "%5c",
    "\\",
    ";",
    "%3b",
    ";x=1",
    "%00",
    "%",
    "%2",
    "%25",
    "%252e",
    "%252F",
    "%c0%ae",
    "%C3%A9",
    "é",
    "%20",
    " ",
    "a",
    "v1",
    ".well-known",
    "~",
    "%3F",
    "%23",
    "%7f",
    "\u{0}",
    "\n",
    ":",
    "@",
    "\u{feff}",
    "/../",
    "/./",
    "..%2f",
    "%zz",
];

/// A path that is not refused is read the same by whoever decodes it, goes up at dots or both, in whichever order and
/// however often.
pub fn path(bytes: &[u8]) {
    let mut draw = Draw::new(bytes);
    let raw = draw.text(PIECES, 24);
    let Ok(clear) = canonical(&raw) else { return };
    assert!(raw.len() <= MAX_PATH);
    assert!(
        clear.starts_with('/') && (clear == "/" || !clear.ends_with('/')),
        "{raw}: {clear}"
    );
    assert!(
        !clear.contains(['\\', '\0']) && !clear.contains("//"),
        "{raw}: {clear}"
    );
    for segment in clear.split('/') {
        let name = segment.split(';').next();
        assert!(!matches!(name, Some("." | "..")), "{raw}: {clear}");
    }

    // Nothing is lost: the same path, written again, is the same.
    assert_eq!(canonical(&encoded(&clear)).as_deref(), Ok(&*clear), "{raw}");
    if !clear.contains('%') {
        assert_eq!(canonical(&clear).as_deref(), Ok(&*clear), "{raw}");
    }

    // Servers that are less strict see the same segments.
    let segments: Vec<&[u8]> = clear
        .split('/')
        .filter(|s| !s.is_empty())
        .map(str::as_bytes)
        .collect();
    let decoded = percent_decoded(raw.as_bytes());
    let goes_up_last = easy_going(&decoded);
    assert_eq!(goes_up_last, segments, "{raw}");
    let goes_up_first: Vec<Vec<u8>> = easy_going(raw.as_bytes())
        .iter()
        .map(|s| percent_decoded(s))
        .collect();
    assert_eq!(goes_up_first, segments, "{raw}");
    let twice = easy_going(&percent_decoded(&decoded));
    let of_segments: Vec<Vec<u8>> = segments.iter().map(|s| percent_decoded(s)).collect();
    assert_eq!(twice, of_segments, "{raw}");

    // So does who reads it by the URL Standard.
    if raw.starts_with('/') {
        let mut url = Url::parse("https://api.example").expect("a URL");
        url.set_path(&raw);
        assert_eq!(canonical(url.path()).as_deref(), Ok(&*clear), "{raw}");
    }
}

/// Percent-encoded, every byte that needs it and some that do not.
fn encoded(path: &str) -> String {
    path.bytes()
        .map(|b| match b {
            b'/' => "/".to_owned(),
            b if b.is_ascii_lowercase() => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        })
        .collect()
}
