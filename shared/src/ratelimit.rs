//! Rate-limit headers: the common `X-RateLimit-*`, and draft-ietf-httpapi-ratelimit-headers-11.

use crate::Millis;
use crate::fields::Fields;
use crate::json::Object;
use crate::lease::WindowView;
use crate::record::RateLimits;

/// Milliseconds as whole seconds, rounded up: a retry after that many seconds is not too early.
pub fn whole_seconds(ms: Millis) -> u64 {
    ms.div_ceil(1_000)
}

/// Adds the fields of a metered answer; none for a key without limits.
///
/// `X-RateLimit-*` and `RateLimit` speak of the window with the least left (the shortest of equals); its
/// reset is when units begin to come back, or, of a refusal, when a retry would succeed.
pub fn put_fields(fields: &mut Fields, views: &[WindowView], now: Millis) {
    put_limits(fields, views);
    put_state(fields, views, now);
}

/// The place of the window that the fields speak of.
pub fn tightest(views: &[WindowView]) -> Option<usize> {
    let places = views.iter().enumerate();
    places
        .min_by_key(|(_, v)| v.remaining)
        .map(|(place, _)| place)
}

/// Adds what is the same for every answer to a key while the same window has the least left.
pub fn put_limits(fields: &mut Fields, views: &[WindowView]) {
    if let Some(tightest) = tightest(views).and_then(|place| views.get(place)) {
        fields.put_number("x-ratelimit-limit", u64::from(tightest.limit));
        fields.put("ratelimit-policy", &policy(views));
    }
}

/// Adds how the limits stand.
pub fn put_state(fields: &mut Fields, views: &[WindowView], now: Millis) {
    let Some(tightest) = tightest(views).and_then(|place| views.get(place)) else {
        return;
    };
    let [mut remaining, mut reset] = [itoa::Buffer::new(); 2];
    let remaining = remaining.format(u64::from(tightest.remaining));
    fields.put("x-ratelimit-remaining", remaining);
    let at = whole_seconds(now.saturating_add(tightest.reset_in));
    fields.put_number("x-ratelimit-reset", at);
    let seconds = reset.format(whole_seconds(tightest.reset_in));
    let name = tightest.window.name();
    fields.put_parts(
        "ratelimit",
        &["\"", name, "\";r=", remaining, ";t=", seconds],
    );
}

fn policy(views: &[WindowView]) -> String {
    let mut policy = String::with_capacity(96);
    for view in views {
        if !policy.is_empty() {
            policy.push_str(", ");
        }
        let [mut quota, mut span] = [itoa::Buffer::new(); 2];
        let (quota, span) = (
            quota.format(u64::from(view.limit)),
            span.format(view.window.span() / 1_000),
        );
        for part in ["\"", view.window.name(), "\";q=", quota, ";w=", span] {
            policy.push_str(part);
        }
    }
    policy
}

/// The limits of a key, as refusals tell them in JSON.
pub fn limits_json(limits: &RateLimits) -> String {
    let mut object = Object::default();
    for (name, limit) in [
        ("requestsPerMinute", limits.requests_per_minute),
        ("requestsPerHour", limits.requests_per_hour),
        ("requestsPerDay", limits.requests_per_day),
    ] {
        if let Some(limit) = limit {
            object.number(name, u64::from(limit));
        }
    }
    object.finish()
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
        let mut fields = Fields::default();
        put_fields(&mut fields, &views, 1_700_000_000_500);
        let get = |name: &str| fields.get(name);
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
        let mut fields = Fields::default();
        put_fields(&mut fields, &[], 0);
        assert_eq!(fields.count(), 0);
    }
}
