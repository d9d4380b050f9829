//! Texts made of the pieces of addresses, held against what the `url` crate makes of them.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use shared::origin::{MAX_ORIGIN, Origin, OriginPattern, admits};
use url::{Host, Url};

use crate::{is_internationalised, is_origin};

/// What the `url` crate says: it is an address of http or https whose origin is written just so.
fn is_origin_by_url(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == text
    })
}

fn agree(text: &str) {
    let [ours, theirs] = [is_origin(text), is_origin_by_url(text)];
    if is_internationalised(text) {
        assert!(ours || !theirs, "{text}");
    } else {
        assert_eq!(ours, theirs, "{text}");
    }
}

fn scheme() -> impl Strategy<Value = String> {
    prop_oneof![
        10 => select(vec!["http", "https"]).prop_map(str::to_owned),
        1 => "[hH]ttp[sS]?|ws|ftp",
    ]
}

/// Labels as they come, and as they should not.
fn label() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z0-9-]{1,6}",
        2 => "[0-9]{1,4}",
        1 => "0x[0-9a-f]{0,3}",
        1 => "xn--[a-z0-9-]{0,4}",
        1 => "[ -~]{0,3}",
        1 => Just(String::new()),
        1 => "[a-zA-Zßäı。\u{ad}]{1,3}",
    ]
}

fn address() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(|bytes| std::net::Ipv4Addr::from(bytes).to_string()),
        any::<u32>().prop_map(|number| number.to_string()),
        vec(select(vec![0, 0, 0, 1, 0xffff, 0x0db8]), 8).prop_map(|words: Vec<u16>| {
            let words: [u16; 8] = words.try_into().expect("eight");
            format!("[{}]", std::net::Ipv6Addr::from(words))
        }),
        any::<[u8; 16]>().prop_map(|bytes| format!("[{}]", std::net::Ipv6Addr::from(bytes))),
        any::<[u16; 2]>().prop_map(|[high, low]| format!("[::ffff:{high:x}:{low:x}]")),
        "\\[[0-9a-fA-F:.]{0,12}\\]",
    ]
}

fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => vec(label(), 1..5).prop_map(|labels| labels.join(".")),
        1 => address(),
    ]
}

fn port() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just(String::new()),
        2 => any::<u16>().prop_map(|port| format!(":{port}")),
        1 => select(vec![":80", ":443", ":", ":0", ":080", ":+1", ":65536", ":8a"]).prop_map(str::to_owned),
    ]
}

fn rest() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        8 => Just(""),
        1 => select(vec!["/", "/a", "?", "#", "\\", " ", "\t", ", https://b.test"]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn a_text_is_an_origin_exactly_when_the_url_crate_writes_it_so(
        scheme in scheme(), user in select(vec!["", "", "", "", "u@", "@"]), host in host(), port in port(),
        rest in rest(),
    ) {
        let text = format!("{scheme}://{user}{host}{port}{rest}");
        prop_assume!(text.len() <= MAX_ORIGIN);
        agree(&text);
        // What it makes of the address is one, however it was written.
        if let Ok(url) = Url::parse(&text)
            && matches!(url.scheme(), "http" | "https")
        {
            agree(&url.origin().ascii_serialization());
        }
    }

    #[test]
    fn no_text_at_all_is_an_origin_that_the_url_crate_would_not_write(text in "https?:[ -~]{0,24}|\\PC{0,24}") {
        if text.starts_with("http:") || text.starts_with("https:") {
            agree(&text);
        }
        is_origin(&text);
    }

    #[test]
    fn a_wildcard_admits_just_the_names_below_its_own(
        scheme in select(vec!["http", "https"]), domain in "[a-b]{1,2}(\\.[a-b]{1,2}){0,2}",
        below in "([a-b]{0,2}\\.){0,3}[a-b]{0,2}\\.?", other in "[a-b]{1,2}(\\.[a-b]{1,2}){0,2}",
        swap in any::<bool>(), port in select(vec!["", "", ":8080"]), asked in select(vec!["", "", ":8080"]),
    ) {
        let pattern = OriginPattern::parse(&format!("{scheme}://*.{domain}{port}")).expect("a pattern");
        let parent = if swap { &other } else { &domain };
        let text = format!("https://{below}{parent}{asked}");
        let admitted = admits(&[pattern], Origin::from_header(Some(&text)));
        let expected = Url::parse(&text).is_ok_and(|url| {
            let Some(Host::Domain(name)) = url.host() else { return false };
            let labels = name.strip_suffix(&domain).and_then(|rest| rest.strip_suffix('.'));
            scheme == "https"
                && port == asked
                && labels.is_some_and(|labels| labels.split('.').all(|label| !label.is_empty()))
        });
        prop_assert_eq!(admitted, expected, "{}", text);
    }
}
