//! Origins and patterns, by example; `tests/url_standard` holds them against the standard.

use super::*;

fn admitted(pattern: &str, origin: &str) -> bool {
    admits(
        &[OriginPattern::parse(pattern).unwrap()],
        Origin::from_header(Some(origin)),
    )
}

#[test]
fn an_exact_pattern_admits_that_origin_only() {
    assert!(admitted(
        "https://app.example.com",
        "https://app.example.com"
    ));
    assert!(!admitted(
        "https://app.example.com",
        "http://app.example.com"
    ));
    assert!(!admitted(
        "https://app.example.com",
        "https://app.example.com:8443"
    ));
    assert!(admitted("http://localhost:3000", "http://localhost:3000"));
    assert!(admitted("http://[::1]:3000", "http://[::1]:3000"));
}

#[test]
fn a_wildcard_admits_subdomains_at_any_depth_and_nothing_else() {
    let p = "https://*.example.com";
    assert!(admitted(p, "https://a.example.com"));
    assert!(admitted(p, "https://a.b.example.com"));
    assert!(!admitted(p, "https://example.com"));
    assert!(!admitted(p, "https://evilexample.com"));
    assert!(!admitted(p, "https://.example.com"));
    assert!(!admitted(p, "https://a.example.com:8443"));
    assert!(!admitted(p, "http://a.example.com"));
    assert!(!admitted(p, "https://a.example.com.evil.org"));
    assert!(admitted(
        "http://*.localhost:8080",
        "http://a.localhost:8080"
    ));
    assert!(!admitted("http://*.localhost:8080", "http://a.localhost"));
}

#[test]
fn null_malformed_and_absent_origins_are_never_admitted() {
    let any = [OriginPattern::parse("*").unwrap()];
    for value in [
        "null",
        "",
        "example.com",
        "https://",
        "https://a.example.com/",
        "HTTPS://a.example.com",
        "https://A.example.com",
        "https://a.example.com:443",
        "https://a b",
        "https://a@b",
        "https://a.example.com:080",
        "https://a.example.com:99999",
        "https://[::1",
        "https://[0::1]",
        "https://a.example.com, https://b.example.com",
    ] {
        assert!(!admits(&any, Origin::from_header(Some(value))), "{value}");
    }
    assert!(!admits(&any, Origin::Absent));
    assert!(admits(
        &any,
        Origin::from_header(Some("https://a.example.com"))
    ));
}

#[test]
fn addresses_are_origins_as_browsers_write_them() {
    for text in [
        "http://[::ffff:102:304]:8080",
        "http://[::]",
        "https://[2001:db8::1]",
        "http://127.0.0.1:3000",
        "http://a_b-c.test.",
    ] {
        assert!(admitted(text, text), "{text}");
    }
    for text in [
        "http://[::ffff:1.2.3.4]",
        "http://[2001:DB8::1]",
        "http://127.1",
        "http://0x7f000001",
        "http://127.0.0.1.",
        "http://1.2.3.4.5",
        "http://a.256",
    ] {
        assert_eq!(Origin::from_header(Some(text)), Origin::Malformed, "{text}");
        assert!(OriginPattern::parse(text).is_err(), "{text}");
    }
}

#[test]
fn apps_and_extensions_have_origins_of_their_own() {
    for text in [
        "capacitor://localhost",
        "tauri://localhost",
        "app://obsidian.md",
        "chrome-extension://gighmmpiobklfepjocnamgkkbiglidom",
        "moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc",
    ] {
        assert!(admitted(text, text), "{text}");
    }
    for text in [
        "file://",
        "file://host",
        "wss://a.test",
        "ftp://a.test",
        "about://blank",
        "app://a/b",
        "app://a:1",
    ] {
        assert_eq!(Origin::from_header(Some(text)), Origin::Malformed, "{text}");
    }
}

#[test]
fn patterns_that_could_never_match_are_refused() {
    for text in [
        "",
        "null",
        "example.com",
        "https://*",
        "https://*.",
        "https://a.*.com",
        "https://example.com/",
        "https://example.com:443",
        "https://*.example.com:443",
        "https://*.*.com",
        "https://*.[::1]",
        "https://*.1.2.3.4",
        "https://*a.com",
        "*.example.com",
    ] {
        assert!(OriginPattern::parse(text).is_err(), "{text}");
    }
}
