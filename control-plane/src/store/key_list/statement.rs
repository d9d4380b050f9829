//! The statements that lists are read with, each made so that both databases take the index that it is meant for.
//!
//! A `+` before a column, or an empty text after it, keeps an index of that column out of consideration.

use std::collections::BTreeSet;

use shared::Millis;

use super::{KeyFilter, KeyStatus, Scope};
use crate::http::page::Position;
use crate::store::sql::{Draft, Query};
use crate::store::{Conn, to_db};

/// A key counts as throttled for this long after a refusal for its limits, in milliseconds.
pub const THROTTLED_FOR: Millis = 60_000;
/// In milliseconds.
pub const MINUTE: Millis = 60_000;
const DAY: Millis = 24 * 60 * MINUTE;
/// Characters that an index of texts is asked by.
const GRAM: usize = 3;

/// How a statement comes to its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Along the list: by account and what else has an index in the order of the list.
    Order,
    /// By parts of the text.
    Text,
    /// By when keys expire.
    Expiry,
    /// By the day of their last use.
    Use,
    /// By the refusals of the last minute.
    Throttled,
}

/// A part of a list.
#[derive(Debug, Clone, Default)]
pub struct Span {
    /// It begins after this place; `None`: at the newest.
    pub after: Option<Position>,
    /// It ends with this place; `None`: at the oldest.
    pub down_to: Option<Position>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Statements<'a> {
    /// Whose keys.
    pub scope: &'a Scope,
    /// Which of them.
    pub filter: &'a KeyFilter,
    /// When.
    pub now: Millis,
}

impl Statements<'_> {
    /// The ways to what no index has in the order of the list, the cheapest to try first. Without any the list itself is one.
    pub fn ways(&self) -> Vec<Way> {
        let KeyFilter { status, text, .. } = self.filter;
        let has_grams = text.as_deref().is_some_and(|text| !grams(text).is_empty());
        let is_narrow = matches!(self.scope, Scope::Account(_));
        let mut ways = Vec::new();
        for (way, is_one) in [
            (Way::Throttled, *status == Some(KeyStatus::RateLimited)),
            (
                Way::Expiry,
                is_narrow && *status == Some(KeyStatus::Expired),
            ),
            (Way::Use, is_narrow && self.filter.unused_since.is_some()),
            (Way::Text, has_grams),
        ] {
            if is_one {
                ways.push(way);
            }
        }
        ways
    }

    /// The first keys of a span, with the status of each.
    pub fn rows(&self, conn: &Conn, way: Way, span: &Span, limit: u32) -> Query {
        let mut draft = Draft::default();
        let now = draft.put(to_db(self.now));
        let throttled = self.throttled(&mut draft);
        let from = self.from(&mut draft, conn, way);
        let mut conditions = self.along(&mut draft);
        conditions.extend(self.beside(&mut draft, conn, way));
        conditions.extend(within(&mut draft, span));
        if from.contains("cross join") {
            conditions.push("k.id = c.key_id".to_owned());
        }
        let conditions = conditions.join(" and ");
        // What comes by another index is sorted; without the `+` SQLite would go along the list to spare itself that.
        let sign = if way == Way::Order { "" } else { "+" };
        let limit = draft.put(i64::from(limit));
        draft
            .finish(format!(
                "select k.*, case when k.state = 'deleted' then 'deleted' when k.state = 'revoked' then 'revoked'
                   when k.expires_at <= {now} then 'expired'
                   when exists (select 1 from usage_minutes u where u.key_id = k.id and {throttled}) then 'rate_limited'
                   else 'active' end as status
                 from {from} where {conditions}
                 order by {sign}k.created_at desc, k.id desc limit {limit}"
            ))
            .planned_for_itself(self.filter.text.is_some())
    }

    /// The place of a key so far down a span, of those that have an index in this order.
    pub fn place(&self, span: &Span, offset: u32) -> Query {
        let mut draft = Draft::default();
        let mut conditions = self.along(&mut draft);
        conditions.extend(within(&mut draft, span));
        let conditions = conditions.join(" and ");
        let offset = draft.put(i64::from(offset));
        draft.finish(format!(
            "select k.created_at, k.id from keys k where {conditions}
             order by k.created_at desc, k.id desc limit 1 offset {offset}"
        ))
    }

    /// How many keys an index knows of, up to a number.
    pub fn count(&self, conn: &Conn, way: Way, most: u32) -> Query {
        let mut draft = Draft::default();
        let mut conditions = Vec::new();
        let from = match way {
            Way::Expiry | Way::Use | Way::Order => {
                conditions.push(self.account(&mut draft));
                "keys k".to_owned()
            }
            Way::Text | Way::Throttled => self.candidates(&mut draft, conn, way),
        };
        match way {
            Way::Expiry => conditions.push(self.expiry(&mut draft)),
            Way::Use => {
                conditions.extend(["k.state <> 'deleted'".to_owned(), self.day(&mut draft, "")])
            }
            Way::Order | Way::Text | Way::Throttled => {}
        }
        let conditions = if conditions.is_empty() {
            String::new()
        } else {
            format!("where {}", conditions.join(" and "))
        };
        let most = draft.put(i64::from(most));
        draft
            .finish(format!(
                "select count(*) from (select 1 from {from} {conditions} limit {most}) as few"
            ))
            .planned_for_itself(way == Way::Text)
    }

    /// What has an index in the order of the list.
    fn along(&self, draft: &mut Draft) -> Vec<String> {
        let KeyFilter {
            environment,
            owner,
            status,
            ..
        } = self.filter;
        let mut conditions = vec![self.account(draft)];
        conditions.push(
            match status {
                None => "k.state <> 'deleted'",
                Some(KeyStatus::Deleted) => "k.state = 'deleted'",
                Some(KeyStatus::Revoked) => "k.state = 'revoked'",
                // Beside the index, which is one of keys that are not deleted.
                Some(KeyStatus::Active | KeyStatus::Expired | KeyStatus::RateLimited) => {
                    "k.state <> 'deleted' and k.state || '' = 'active'"
                }
            }
            .to_owned(),
        );
        if let Some(environment) = environment {
            conditions.push(format!("k.environment = {}", draft.put(environment)));
        }
        if let Some(owner) = owner {
            conditions.push(format!("k.owner_id = {}", draft.put(owner)));
        }
        conditions
    }

    /// What is looked at in each row.
    fn beside(&self, draft: &mut Draft, conn: &Conn, way: Way) -> Vec<String> {
        let KeyFilter {
            status,
            text,
            unused_since,
            due_by,
            ..
        } = self.filter;
        let mut conditions = Vec::new();
        let now = draft.put(to_db(self.now));
        match status {
            Some(KeyStatus::Expired) if way == Way::Expiry => conditions.push(self.expiry(draft)),
            Some(KeyStatus::Expired) => conditions.push(format!("+k.expires_at <= {now}")),
            Some(KeyStatus::Active | KeyStatus::RateLimited) => {
                let throttled = self.throttled(draft);
                let some = if *status == Some(KeyStatus::Active) {
                    "="
                } else {
                    ">"
                };
                // Counted: PostgreSQL would make a join of `exists`, over all keys, and sort what comes of it.
                conditions.push(format!(
                    "(k.expires_at is null or +k.expires_at > {now}) and
                       (select count(*) from usage_minutes u where u.key_id = k.id and {throttled}) {some} 0"
                ));
            }
            Some(KeyStatus::Revoked | KeyStatus::Deleted) | None => {}
        }
        if let Some(since) = unused_since {
            let sign = if way == Way::Use { "" } else { "+" };
            conditions.push(self.day(draft, sign));
            let end = draft.put(to_db(*since));
            conditions.push(format!("coalesce(k.last_used_at, k.created_at) < {end}"));
            if way == Way::Order {
                // Nobody uses a key before it is made: by more than a day not even as clocks differ.
                let end = draft.put(to_db(since.saturating_add(DAY)));
                conditions.push(format!("k.created_at < {end}"));
            }
        }
        if let Some(due) = due_by {
            let due = draft.put(to_db(*due));
            conditions.push(format!(
                "k.state || '' = 'active' and (k.expires_at is null or +k.expires_at > {now})
                 and coalesce(k.token_created_at, k.created_at) + {DAY} * (
                   select e.rotate_after_days from environments e join account_tree s on s.ancestor_id = e.account_id
                   where s.account_id = k.account_id and e.name = k.environment and e.code = k.environment_code
                   order by s.depth limit 1) <= {due}"
            ));
        }
        if let Some(text) = text {
            let pattern = draft.put(super::like_pattern(text));
            let is_led = way == Way::Text && matches!(conn, Conn::Postgres(_));
            let column = if is_led {
                "k.search_text"
            } else {
                "(k.search_text || '')"
            };
            conditions.push(format!("{column} like {pattern} escape '\\'"));
        }
        conditions
    }

    fn from(&self, draft: &mut Draft, conn: &Conn, way: Way) -> String {
        match (way, conn) {
            (Way::Order | Way::Expiry | Way::Use, _) | (Way::Text, Conn::Postgres(_)) => {
                "keys k".to_owned()
            }
            (Way::Throttled, _) | (Way::Text, Conn::Sqlite(_)) => {
                let candidates = self.candidates(draft, conn, way);
                // SQLite keeps to the order of a cross join.
                format!("{candidates} cross join keys k")
            }
        }
    }

    /// Ids that an index gives, or rows of which there are as many.
    fn candidates(&self, draft: &mut Draft, conn: &Conn, way: Way) -> String {
        match (way, conn) {
            (Way::Throttled, _) => {
                let throttled = self.throttled(draft);
                format!("(select distinct u.key_id from usage_minutes u where {throttled}) as c")
            }
            (_, Conn::Sqlite(_)) => {
                let grams = grams(self.filter.text.as_deref().unwrap_or_default());
                let matching = draft.put(grams.join(" "));
                format!(
                    "(select distinct key_id from key_search where key_search match {matching}) as c"
                )
            }
            (_, Conn::Postgres(_)) => {
                let text = self.filter.text.as_deref().unwrap_or_default();
                let pattern = draft.put(super::like_pattern(text));
                format!("(select id from keys where search_text like {pattern} escape '\\') as c")
            }
        }
    }

    fn account(&self, draft: &mut Draft) -> String {
        match self.scope {
            Scope::Account(id) => format!("k.account_id = {}", draft.put(id)),
            Scope::Below(id) => {
                let holder = draft.put(id);
                format!(
                    "k.account_id in (select account_id from account_tree where ancestor_id = {holder})"
                )
            }
        }
    }

    fn expiry(&self, draft: &mut Draft) -> String {
        let now = draft.put(to_db(self.now));
        format!("k.state = 'active' and k.expires_at is not null and k.expires_at <= {now}")
    }

    fn day(&self, draft: &mut Draft, sign: &str) -> String {
        let since = self.filter.unused_since.unwrap_or(0);
        format!("{sign}k.used_day <= {}", draft.put(to_db(since / DAY)))
    }

    fn throttled(&self, draft: &mut Draft) -> String {
        let since = self.now.saturating_sub(THROTTLED_FOR);
        let minute = draft.put(to_db(since / MINUTE));
        let since = draft.put(to_db(since));
        format!("u.minute >= {minute} and u.code = 'rate_limited' and u.last_at > {since}")
    }
}

fn within(draft: &mut Draft, span: &Span) -> Vec<String> {
    let mut conditions = Vec::new();
    for (sign, place) in [("<", &span.after), (">=", &span.down_to)] {
        if let Some(place) = place {
            let row = draft.put_row([to_db(place.created_at).into(), (&place.id).into()]);
            conditions.push(format!("(k.created_at, k.id) {sign} {row}"));
        }
    }
    conditions
}

/// Every three characters of a text, as SQLite's index is asked for them; none of a shorter one.
fn grams(text: &str) -> Vec<String> {
    let text: Vec<char> = text.to_lowercase().chars().collect();
    let grams = text
        .windows(GRAM)
        .map(|gram| gram.iter().collect::<String>());
    let grams: BTreeSet<String> = grams.collect();
    let quoted = grams.into_iter().map(|gram| gram.replace('"', "\"\""));
    quoted.map(|gram| format!("\"{gram}\"")).collect()
}
