//! Rate-limit headers: the common `X-RateLimit-*`, and draft-ietf-httpapi-ratelimit-headers-11.

use std::fmt::Write;

use crate::Millis;
use crate::lease::WindowView;

/// Milliseconds as whole seconds, rounded up: a retry after that many seconds is not too early.
pub fn whole_seconds(ms: Millis) -> u64 {
    ms.div_ceil(1_000)
}

/// The headers of a metered answer; none for a key without limits.
///
/// `X-RateLimit-*` and `RateLimit` speak of the window with the least left (the shortest of equals); its
/// reset is when units begin to come back.
pub fn headers(views: &[WindowView], now: Millis) -> Vec<(&'static str, String)> {
    let Some(tightest) = views.iter().min_by_key(|v| v.remaining) else {
        return Vec::new();
    };
    let mut policy = String::new();
    for view in views {
        let comma = if policy.is_empty() { "" } else { ", " };
        // Writing to a String cannot fail.
        let _ = write!(
            policy,
            "{comma}\"{}\";q={};w={}",
            view.window.name(),
            view.limit,
            view.window.span() / 1_000
        );
    }
    let reset = whole_seconds(now.saturating_add(tightest.reset_in));
    vec![
        ("x-ratelimit-limit", tightest.limit.to_string()),
        ("x-ratelimit-remaining", tightest.remaining.to_string()),
        ("x-ratelimit-reset", reset.to_string()),
        ("ratelimit-policy", policy),
        (
            "ratelimit",
            format!(
                "\"{}\";r={};t={}",
                tightest.window.name(),
                tightest.remaining,
                whole_seconds(tightest.reset_in)
            ),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Window;
    use sfv::{BareItem, List, ListEntry, Parser};

    fn view(window: Window, limit: u32, remaining: u32, reset_in: Millis) -> WindowView {
        WindowView {
            window,
            limit,
            remaining,
            reset_in,
        }
    }

    #[test]
    fn headers_are_those_of_the_draft_and_parse_as_structured_fields() {
        let views = [
            view(Window::Minute, 100, 47, 11_200),
            view(Window::Hour, 5_000, 4_900, 60_000),
            view(Window::Day, 100_000, 99_000, 3_600_000),
        ];
        let headers = headers(&views, 1_700_000_000_500);
        let get = |name: &str| {
            headers
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| v.as_str())
        };
        assert_eq!(get("x-ratelimit-limit"), Some("100"));
        assert_eq!(get("x-ratelimit-remaining"), Some("47"));
        assert_eq!(get("x-ratelimit-reset"), Some("1700000012"));
        assert_eq!(get("ratelimit"), Some("\"minute\";r=47;t=12"));
        let policy = get("ratelimit-policy").unwrap();
        assert_eq!(
            policy,
            "\"minute\";q=100;w=60, \"hour\";q=5000;w=3600, \"day\";q=100000;w=86400"
        );
        let list: List = Parser::new(policy).parse().unwrap();
        let ListEntry::Item(first) = &list[0] else {
            panic!("no item")
        };
        assert!(matches!(&first.bare_item, BareItem::String(s) if s.as_str() == "minute"));
        assert_eq!(list.len(), 3);
    }

    #[test]
    fn a_key_without_limits_gets_none() {
        assert!(headers(&[], 0).is_empty());
    }
}
