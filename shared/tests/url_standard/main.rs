//! Origins as the URL Standard has them: held against its own test data, and against the `url` crate on texts that nobody
//! thought of.

mod data;
mod generated;

use shared::origin::{Origin, OriginPattern, admits};

/// Whether the text is taken for an origin, and every way of asking agrees.
fn is_origin(text: &str) -> bool {
    let origin = Origin::from_header(Some(text));
    let is_tuple = matches!(origin, Origin::Tuple(_));
    let any = OriginPattern::parse("*").expect("a pattern");
    assert_eq!(admits(&[any], origin), is_tuple, "{text}");
    if let Ok(pattern) = OriginPattern::parse(text)
        && !text.contains('*')
    {
        assert!(is_tuple, "{text}");
        assert!(admits(&[pattern], origin), "{text}");
    }
    is_tuple
}

/// Whether browsers may know better: names in `xn--` are not decoded.
fn is_internationalised(text: &str) -> bool {
    text.contains("xn--")
}

/// What stands before `://`.
fn scheme(text: &str) -> &str {
    text.split_once("://").map_or("", |(scheme, _)| scheme)
}
