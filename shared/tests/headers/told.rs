//! What a caller is told, read from the header fields.

use shared::Millis;
use shared::denial::Denial;
use shared::fields::Fields;
use shared::lease::{QuotaRefusal, Views};
use shared::policy::Policy;
use shared::ratelimit::put_fields;
use shared::record::RateLimits;
use shared::window::Window;

/// What a caller was told.
#[derive(Debug, Clone)]
pub struct Told {
    /// `X-RateLimit-Limit`.
    pub limit: u32,
    /// `X-RateLimit-Remaining`, and `r` of `RateLimit`.
    pub remaining: u32,
    /// `X-RateLimit-Reset`.
    pub reset: u64,
    /// The window that `RateLimit` speaks of.
    pub window: Window,
    /// `t` of `RateLimit`.
    pub t: u64,
    /// `RateLimit-Policy`.
    pub policy: String,
    /// Of a caller who is refused: the windows without room, and `Retry-After`.
    pub refused: Option<(Vec<Policy>, Option<u64>)>,
}

impl Told {
    /// What the fields of an answer say.
    pub fn of(
        views: &Views,
        now: Millis,
        cost: u32,
        refusal: Option<QuotaRefusal>,
        limits: RateLimits,
    ) -> Self {
        let mut fields = Fields::default();
        put_fields(&mut fields, views, now);
        let number = |name| fields.get(name).unwrap().parse::<u64>().unwrap();
        let state: sfv::List = sfv::Parser::new(fields.get("ratelimit").unwrap())
            .parse()
            .unwrap();
        let [sfv::ListEntry::Item(item)] = &state[..] else {
            panic!("{state:?}")
        };
        let parameter = |name: &str| {
            let value = item.params.get(name).unwrap().as_integer().unwrap();
            u64::try_from(i64::from(value)).unwrap()
        };
        let name = item.bare_item.as_string().unwrap().as_str();
        let remaining = u32::try_from(number("x-ratelimit-remaining")).unwrap();
        assert_eq!(parameter("r"), u64::from(remaining));
        let refused = refusal.map(|refusal| {
            let violated = refusal.violated.clone();
            let denial = Denial::limited(cost, refusal, limits);
            (violated, denial.retry_after())
        });
        Self {
            limit: u32::try_from(number("x-ratelimit-limit")).unwrap(),
            remaining,
            reset: number("x-ratelimit-reset"),
            window: Window::OF_RATES
                .into_iter()
                .find(|w| w.name() == name)
                .unwrap(),
            t: parameter("t"),
            policy: fields.get("ratelimit-policy").unwrap().to_owned(),
            refused,
        }
    }

    /// Whether the request passed.
    pub fn passed(&self) -> bool {
        self.refused.is_none()
    }
}
