//! Cursor pages: newest first, `limit` at a time.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use shared::Millis;
use utoipa::ToSchema;

use crate::http::params::{self, is_id};
use crate::openapi::schema::schema;
use crate::validate::Checks;

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

schema! {
    /// How many rows the page has at most.
    pub PageLimit = whole(1, MAX_LIMIT).default(Some(DEFAULT_LIMIT.into()));
    /// The `nextCursor` of the page before; the first page has none.
    pub Cursor = form("^[A-Za-z0-9_-]+$").examples(["MTgwMDAwMDAwMDAwMC5rZXlfNmZKcTgxTm4wc1B6NWNHaFIyV2E"]);
}

/// Which page is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// How many rows, 1 to 200.
    pub limit: u32,
    /// The row that the page comes after; `None`: the first page.
    pub after: Option<Position>,
}

/// A row's place: rows are ordered by time of creation, then id, both descending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// When it was created.
    pub created_at: Millis,
    /// Its id.
    pub id: String,
}

impl Position {
    fn to_cursor(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}.{}", self.created_at, self.id))
    }

    fn from_cursor(cursor: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
        let (created_at, id) = text.split_once('.')?;
        let created_at = created_at.parse().ok()?;
        is_id(id).then(|| Self {
            created_at,
            id: id.to_owned(),
        })
    }
}

impl PageRequest {
    /// Reads the parameters `limit` and `cursor`.
    pub fn check(checks: &mut Checks, limit: Option<&str>, cursor: Option<&str>) -> Self {
        let limit = limit.map_or(DEFAULT_LIMIT, |text| {
            params::number(checks, "limit", text, 1, MAX_LIMIT)
        });
        let after = cursor.and_then(|text| {
            let position = Position::from_cursor(text);
            if position.is_none() {
                checks.fail("cursor", "not a cursor of this list");
            }
            position
        });
        Self { limit, after }
    }

    /// How many rows to fetch: one more than is shown tells whether there is another page.
    pub fn fetch(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// Makes the page of the rows fetched.
    pub fn page<R, T>(
        &self,
        mut rows: Vec<R>,
        position: impl Fn(&R) -> Position,
        show: impl Fn(R) -> T,
    ) -> Page<T> {
        let limit = self.limit as usize;
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows
            .last()
            .filter(|_| has_more)
            .map(|row| position(row).to_cursor());
        Page {
            data: rows.into_iter().map(show).collect(),
            next_cursor,
        }
    }
}

/// One page of a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// The rows.
    pub data: Vec<T>,
    /// Gives the next page; `null` on the last.
    #[schema(required, value_type = Option<Cursor>)]
    pub next_cursor: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_read_back_and_nonsense_is_refused() {
        let position = Position {
            created_at: 1_700_000_000_000,
            id: "key_a".into(),
        };
        let cursor = position.to_cursor();
        assert_eq!(Position::from_cursor(&cursor), Some(position));
        for text in ["", "!", "AAAA", &URL_SAFE_NO_PAD.encode("1.a'b")] {
            assert_eq!(Position::from_cursor(text), None, "{text}");
        }
    }
}
