//! The flags for what can be set of a key.

use clap::Args;
use clap::builder::BoolishValueParser;
use serde_json::{Map, Value, json};

use super::super::failure::Failure;
use super::super::resource::{empty, put, put_end, without_empty};

/// What takes a setting away.
const NONE: &str = "none";

/// Settings of a key.
#[derive(Debug, Args)]
#[command(next_help_heading = "Settings")]
pub struct Settings {
    /// Who owns it; `none` for nobody.
    #[arg(long, value_name = "ID")]
    owner: Option<String>,
    /// What it may do: customers.read, customers.*, *. As all lists here: several times, or with commas; an empty text for none.
    #[arg(long = "permission", value_name = "PERMISSION", value_delimiter = ',')]
    permissions: Option<Vec<String>>,
    /// What it is bound to, of each kind: customer:c_9.
    #[arg(long = "resource", value_name = "KIND:ID", value_delimiter = ',')]
    resources: Option<Vec<String>>,
    /// From which web pages it may be used: https://*.example.com.
    #[arg(long = "origin", value_name = "ORIGIN", value_delimiter = ',')]
    origins: Option<Vec<String>>,
    /// With allowed origins: whether requests without any pass.
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true,
        value_name = "BOOL", value_parser = BoolishValueParser::new())]
    allow_missing_origin: Option<bool>,
    /// From which addresses it may be used: 203.0.113.7, 2001:db8::/32.
    #[arg(long = "ip", value_name = "ADDRESS", value_delimiter = ',')]
    ips: Option<Vec<String>>,
    /// Limits that go by a name, see `keyward presets`; those given beside it override them.
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
    /// Units in any 60 seconds.
    #[arg(long, value_name = "N")]
    per_minute: Option<u32>,
    /// Units in any hour; `none` for no limit.
    #[arg(long, value_name = "N", value_parser = limit)]
    per_hour: Option<Limit>,
    /// Units in a day of UTC; `none` for no limit.
    #[arg(long, value_name = "N", value_parser = limit)]
    per_day: Option<Limit>,
    /// leased: decided in memory; strict: every request asks.
    #[arg(long, value_name = "leased|strict")]
    enforcement: Option<String>,
    /// When it ends: never, 30d, 90d, or a time as 2027-01-31T09:30:00Z.
    #[arg(long, value_name = "WHEN")]
    expires: Option<String>,
    /// A JSON object of your own.
    #[arg(long, value_name = "JSON")]
    metadata: Option<String>,
}

/// A limit, or that there is to be none.
#[derive(Debug, Clone, Copy)]
struct Limit(Option<u32>);

impl Settings {
    /// The body of a request that sets what is given.
    pub fn body(self) -> Result<Value, Failure> {
        let mut body = empty();
        let owner = self
            .owner
            .map(|id| if id == NONE { Value::Null } else { id.into() });
        put(&mut body, "ownerId", owner);
        let lists = [
            ("permissions", self.permissions),
            ("resources", self.resources),
            ("allowedOrigins", self.origins),
            ("allowedIps", self.ips),
        ];
        for (field, list) in lists {
            put(&mut body, field, list.map(without_empty));
        }
        put(&mut body, "allowMissingOrigin", self.allow_missing_origin);
        let mut limits = empty();
        put(&mut limits, "preset", self.preset);
        put(&mut limits, "requestsPerMinute", self.per_minute);
        put(
            &mut limits,
            "requestsPerHour",
            self.per_hour.map(|limit| json!(limit.0)),
        );
        put(
            &mut limits,
            "requestsPerDay",
            self.per_day.map(|limit| json!(limit.0)),
        );
        put(
            &mut body,
            "rateLimits",
            Some(limits).filter(|limits| *limits != empty()),
        );
        put(&mut body, "enforcement", self.enforcement);
        put_end(&mut body, self.expires);
        put(
            &mut body,
            "metadata",
            self.metadata.map(|text| object(&text)).transpose()?,
        );
        Ok(body)
    }
}

fn object(text: &str) -> Result<Map<String, Value>, Failure> {
    serde_json::from_str(text)
        .map_err(|error| Failure::Usage(format!("--metadata is no JSON object: {error}")))
}

fn limit(text: &str) -> Result<Limit, String> {
    if text == NONE {
        return Ok(Limit(None));
    }
    let number = text.parse().map_err(|_| format!("a number, or `{NONE}`"))?;
    Ok(Limit(Some(number)))
}

/// Reads `90`, `90s`, `30m`, `12h`, `7d`, in seconds.
pub fn seconds(text: &str) -> Result<u32, String> {
    let units = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];
    let (number, unit) = units
        .into_iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))
        .unwrap_or((text, 1));
    let number: Option<u32> = number.parse().ok();
    number
        .and_then(|number| number.checked_mul(unit))
        .ok_or_else(|| "seconds, or a number with s, m, h or d".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        settings: Settings,
    }

    fn body(flags: &[&str]) -> Value {
        let line = Line::try_parse_from([&["keyward"], flags].concat());
        line.unwrap_or_else(|error| panic!("{error}"))
            .settings
            .body()
            .unwrap()
    }

    #[test]
    fn only_what_is_given_is_set() {
        assert_eq!(body(&[]), json!({}));
        assert_eq!(
            body(&["--per-hour", "none"]),
            json!({"rateLimits": {"requestsPerHour": null}})
        );
    }

    #[test]
    fn every_setting_has_its_flag() {
        let flags = [
            "--owner",
            "u_1",
            "--permission",
            "a.read,b.*",
            "--permission",
            "c.write",
            "--resource",
            "agent:a",
            "--origin",
            "https://a.example",
            "--allow-missing-origin",
            "--ip",
            "::1,10.0.0.0/8",
            "--preset",
            "production",
            "--per-minute",
            "7",
            "--per-hour",
            "8",
            "--per-day",
            "9",
            "--enforcement",
            "strict",
            "--expires",
            "30d",
            "--metadata",
            r#"{"a": 1}"#,
        ];
        let expected = json!({
            "ownerId": "u_1", "permissions": ["a.read", "b.*", "c.write"], "resources": ["agent:a"],
            "allowedOrigins": ["https://a.example"], "allowMissingOrigin": true, "allowedIps": ["::1", "10.0.0.0/8"],
            "rateLimits": {"preset": "production", "requestsPerMinute": 7, "requestsPerHour": 8, "requestsPerDay": 9},
            "enforcement": "strict", "expiresIn": "30d", "metadata": {"a": 1},
        });
        assert_eq!(body(&flags), expected);
    }

    #[test]
    fn settings_can_be_taken_away() {
        let flags = [
            "--owner",
            "none",
            "--permission",
            "",
            "--allow-missing-origin=false",
            "--per-day",
            "none",
            "--expires",
            "2027-01-31T09:30:00Z",
        ];
        let expected = json!({
            "ownerId": null, "permissions": [], "allowMissingOrigin": false, "rateLimits": {"requestsPerDay": null},
            "expiresAt": "2027-01-31T09:30:00Z",
        });
        assert_eq!(body(&flags), expected);
    }

    #[test]
    fn times_have_units() {
        let read = |text| seconds(text).ok();
        assert_eq!(
            ["90", "90s", "30m", "12h", "7d"].map(read),
            [90, 90, 1800, 43_200, 604_800].map(Some)
        );
        assert_eq!(["", "h", "1w", "-1", "99999999d"].map(read), [None; 5]);
    }
}
