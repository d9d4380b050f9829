//! Times in JSON: RFC 3339, in UTC, with milliseconds.

use serde::{Serialize, Serializer};
use shared::Millis;
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};
use utoipa::openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

const FORMAT: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// A point in time that is written as RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub Millis);

/// Why a text is no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a time is written as in RFC 3339, e.g. 2027-01-31T09:30:00Z, and is between 1970 and 9999"
)]
pub struct TimestampError;

impl Timestamp {
    /// Reads an RFC 3339 time with any offset; fractions of a millisecond are dropped.
    ///
    /// # Errors
    /// [`TimestampError`] for anything else, and before 1970.
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        let at = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| TimestampError)?;
        let millis = at.unix_timestamp_nanos() / 1_000_000;
        let latest = i128::from(253_402_300_799_999_u64);
        if !(0..=latest).contains(&millis) {
            return Err(TimestampError);
        }
        Millis::try_from(millis)
            .map(Self)
            .map_err(|_| TimestampError)
    }

    /// As RFC 3339; a time past the year 9999 is shown as the epoch.
    pub fn to_text(self) -> String {
        let nanos = i128::from(self.0).saturating_mul(1_000_000);
        OffsetDateTime::from_unix_timestamp_nanos(nanos)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
            .to_offset(UtcOffset::UTC)
            .format(FORMAT)
            .unwrap_or_default()
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text())
    }
}

impl PartialSchema for Timestamp {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("A time (RFC 3339), 1970 to 9999; shown in UTC."))
            .examples(["2027-01-31T09:30:00.000Z"])
            .into()
    }
}

impl ToSchema for Timestamp {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_any_offset_and_written_in_utc() {
        let at = Timestamp::parse("2027-01-31T10:30:00.1239+01:00").unwrap();
        assert_eq!(at.to_text(), "2027-01-31T09:30:00.123Z");
        assert_eq!(Timestamp::parse(&at.to_text()), Ok(at));
        let last = Timestamp::parse("9999-12-31T23:59:59.999Z").unwrap();
        assert_eq!(last.to_text(), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "tomorrow",
            "2027-01-31",
            "2027-01-31T09:30:00",
            "2027-02-30T09:30:00Z",
            "1969-12-31T23:59:59Z",
            "9999-12-31T23:59:59-10:00",
            "99999-01-01T00:00:00Z",
            "1700000000000",
        ] {
            assert_eq!(Timestamp::parse(text), Err(TimestampError), "{text}");
        }
    }
}
