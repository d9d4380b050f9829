//! What a key may spend in all: how it is set, and `POST /v1/keys/{id}/credits`. What is left of it, only the account's
//! guard knows.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use shared::record::{Credits, Interval, Refill};
use utoipa::ToSchema;

use super::view::ChangedKey;
use super::{begin, conclude, save};
use crate::auth::Admin;
use crate::error::ApiError;
use crate::http::body::{Body, Reply, given, nullable};
use crate::http::params::Id;
use crate::http::precondition::Precondition;
use crate::openapi::answers::Conflict;
use crate::openapi::names::{IdempotencyKey, IfMatch, KeyId, MAX_UNITS, Units};
use crate::openapi::schema::schema;
use crate::state::AppState;
use crate::timestamp::Timestamp;
use crate::validate::Checks;

const INTERVALS: [(&str, Interval); 2] =
    [("daily", Interval::Daily), ("monthly", Interval::Monthly)];

schema! {
    /// When it is refilled, in UTC: at midnight, or at midnight before the first of a month.
    IntervalName = word(&INTERVALS);
    /// What is left, in cost units; may be none.
    Remaining = count().maximum(Some(MAX_UNITS as usize)).examples([10_000]);
    /// What a key was given, in cost units.
    Granted = count().maximum(Some(MAX_UNITS as usize)).examples([10_000]);
}

/// Credits to be set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreditsInput {
    /// Starts over: so many units are left, whatever was used. Needed for a key without credits.
    #[schema(value_type = Remaining)]
    #[serde(default, deserialize_with = "given")]
    remaining: Option<u64>,
    /// What is added by itself; `null`: nothing.
    #[schema(value_type = Option<RefillInput>)]
    #[serde(default, deserialize_with = "nullable")]
    refill: Option<Option<RefillInput>>,
}

/// A refill: what is left is topped up to an amount if it is less.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RefillInput {
    #[schema(value_type = Units)]
    amount: u64,
    #[schema(value_type = IntervalName)]
    interval: String,
}

/// Units to be added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddCredits {
    #[schema(value_type = Units)]
    add: u64,
}

/// What a key may spend in all. What is left of it is known at the edge, which tells it with every answer to the key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Credits)]
#[serde(rename_all = "camelCase")]
pub struct CreditsView {
    /// What it was given since it was set, refills not included.
    #[schema(value_type = Granted)]
    granted: u64,
    /// What is added by itself; `null`: nothing.
    #[schema(required)]
    refill: Option<RefillView>,
    /// When `remaining` was set the last time.
    set_at: Timestamp,
}

/// A refill: what is left is topped up to an amount if it is less.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Refill)]
struct RefillView {
    #[schema(value_type = Units)]
    amount: u64,
    #[schema(value_type = IntervalName)]
    interval: Interval,
}

impl CreditsView {
    /// As an admin sees it.
    pub fn of(credits: Credits) -> Self {
        Self {
            granted: credits.granted,
            refill: credits.refill.map(|refill| RefillView {
                amount: refill.amount,
                interval: refill.interval,
            }),
            set_at: Timestamp(credits.serial),
        }
    }
}

impl CreditsInput {
    /// Checks what is given and sets it. A serial is higher than the key's last version, so that no earlier one of the key
    /// is as high, and is a time but for that.
    pub fn apply(
        self,
        checks: &mut Checks,
        credits: &mut Option<Credits>,
        now: shared::Millis,
        last_version: u64,
    ) {
        if let Some(remaining) = self.remaining {
            let granted = checks.number("credits.remaining", remaining, 0, MAX_UNITS);
            let refill = credits.as_ref().and_then(|credits| credits.refill);
            *credits = Some(Credits {
                serial: now.max(last_version.saturating_add(1)),
                granted,
                refill,
            });
        }
        let Some(credits) = credits else {
            checks.fail(
                "credits.remaining",
                "is needed for a key that has no credits",
            );
            return;
        };
        if let Some(refill) = self.refill {
            credits.refill = refill.and_then(|refill| refill.check(checks));
        }
    }
}

impl RefillInput {
    fn check(&self, checks: &mut Checks) -> Option<Refill> {
        let amount = checks.number("credits.refill.amount", self.amount, 1, MAX_UNITS);
        let interval = checks.word("credits.refill.interval", &self.interval, &INTERVALS)?;
        Some(Refill { amount, interval })
    }
}

/// Add credits
///
/// To what is left, which stays the edge's to count. The key must have credits.
#[utoipa::path(
    post, path = "/keys/{id}/credits", operation_id = "addCredits", tag = "Keys",
    params(("id" = inline(KeyId), Path), IfMatch, IdempotencyKey),
    request_body(content = AddCredits, example = json!({"add": 5_000})),
    responses((status = 200, description = "The key as it is now.", body = ChangedKey), Conflict),
    security(("adminToken" = ["keys.write"])),
)]
pub async fn add(
    State(state): State<AppState>,
    admin: Admin,
    Id(id): Id,
    precondition: Precondition,
    Body(input): Body<AddCredits>,
) -> Result<Reply<ChangedKey>, ApiError> {
    let mut checks = Checks::default();
    let added = checks.number("add", input.add, 1, MAX_UNITS);
    checks.finish()?;
    let (mut change, before) = begin(&state, &admin, &id, &precondition).await?;
    let mut key = before.clone();
    let Some(credits) = &mut key.settings.credits else {
        let detail = "The key has no credits; set credits.remaining first";
        return Err(ApiError::Conflict(detail.to_owned()));
    };
    let granted = credits.granted.saturating_add(added);
    if granted > MAX_UNITS {
        let detail = format!(
            "With that the key would have been given more than {MAX_UNITS} units; set credits.remaining to start over"
        );
        return Err(ApiError::Conflict(detail));
    }
    credits.granted = granted;
    save(&mut change, &mut key).await?;
    conclude(&state, change, "add_credits", before, key).await
}
