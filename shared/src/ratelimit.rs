//! Rate-limit headers: the common `X-RateLimit-*`, and draft-ietf-httpapi-ratelimit-headers-11.

use crate::Millis;
use crate::fields::Fields;
use crate::json::Object;
use crate::lease::PolicyView;
use crate::ledger::is_never;
use crate::record::RateLimits;

/// Milliseconds as whole seconds, rounded up: a retry after that many seconds is not too early.
pub fn whole_seconds(ms: Millis) -> u64 {
    ms.div_ceil(1_000)
}

/// Adds the fields of a metered answer; none for a key without limits.
///
/// `X-RateLimit-*` and `RateLimit` speak of the limit with the least left (the first of equals); its reset is when units
/// begin to come back, or, of a refusal, when a retry would succeed. Where none come back there is no reset.
pub fn put_fields(fields: &mut Fields, views: &[PolicyView], now: Millis) {
    put_limits(fields, views);
    put_state(fields, views, now);
}

/// The place of the limit that the fields speak of.
pub fn tightest(views: &[PolicyView]) -> Option<usize> {
    let places = views.iter().enumerate();
    places
        .min_by_key(|(_, v)| v.remaining)
        .map(|(place, _)| place)
}

/// Adds what is the same for every answer to a key while its limits are the same and the same one has the least left.
pub fn put_limits(fields: &mut Fields, views: &[PolicyView]) {
    if let Some(tightest) = tightest(views).and_then(|place| views.get(place)) {
        fields.put_number("x-ratelimit-limit", tightest.limit);
        fields.put("ratelimit-policy", &policy(views));
    }
}

/// Adds how the limits stand.
pub fn put_state(fields: &mut Fields, views: &[PolicyView], now: Millis) {
    let Some(tightest) = tightest(views).and_then(|place| views.get(place)) else {
        return;
    };
    let [mut remaining, mut reset] = [itoa::Buffer::new(); 2];
    let remaining = remaining.format(tightest.remaining);
    fields.put("x-ratelimit-remaining", remaining);
    let name = tightest.policy.name();
    let (mut t, mut seconds) = ("", "");
    if !is_never(tightest.reset_in) {
        let at = whole_seconds(now.saturating_add(tightest.reset_in));
        fields.put_number("x-ratelimit-reset", at);
        (t, seconds) = (";t=", reset.format(whole_seconds(tightest.reset_in)));
    }
    fields.put_parts("ratelimit", &["\"", name, "\";r=", remaining, t, seconds]);
}

fn policy(views: &[PolicyView]) -> String {
    let mut policy = String::with_capacity(96);
    for view in views {
        if !policy.is_empty() {
            policy.push_str(", ");
        }
        let mut number = itoa::Buffer::new();
        let quota = number.format(view.limit);
        for part in ["\"", view.policy.name(), "\";q=", quota] {
            policy.push_str(part);
        }
        if let Some(window) = view.policy.window() {
            policy.push_str(";w=");
            policy.push_str(number.format(window.span() / 1_000));
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
    use crate::ledger::NEVER_MS;
    use crate::policy::Policy;
    use crate::window::Window;
    use sfv::{BareItem, List, ListEntry, Parser};

    fn view(policy: impl Into<Policy>, limit: u64, remaining: u64, reset_in: Millis) -> PolicyView {
        PolicyView {
            policy: policy.into(),
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
    fn what_has_no_window_and_never_comes_back_is_told_so() {
        let views = [
            view(Window::Minute, 100, 47, 11_200),
            view(Policy::Identity(Window::Hour), 5_000, 40, 60_000),
            view(Policy::Month, 1_000_000, 900, 86_400_000),
            view(Policy::Credits, 50, 3, NEVER_MS - 1_000),
        ];
        let mut fields = Fields::default();
        put_fields(&mut fields, &views, 1_700_000_000_500);
        assert_eq!(fields.get("ratelimit"), Some("\"credits\";r=3"));
        assert_eq!(fields.get("x-ratelimit-limit"), Some("50"));
        assert_eq!(fields.get("x-ratelimit-remaining"), Some("3"));
        assert_eq!(fields.get("x-ratelimit-reset"), None);
        let policy = fields.get("ratelimit-policy").unwrap();
        assert_eq!(
            policy,
            "\"minute\";q=100;w=60, \"identity-hour\";q=5000;w=3600, \"month\";q=1000000, \"credits\";q=50"
        );
        let list: List = Parser::new(policy).parse().unwrap();
        assert_eq!(list.len(), 4);
    }

    #[test]
    fn a_key_without_limits_gets_none() {
        let mut fields = Fields::default();
        put_fields(&mut fields, &[], 0);
        assert_eq!(fields.count(), 0);
    }
}
