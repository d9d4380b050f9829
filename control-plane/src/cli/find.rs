//! Things by less than their whole id.

use serde_json::Value;

use super::client::Query;
use super::connection::Session;
use super::failure::Failure;
use super::resource::{MAX_PAGE, Resource, next_cursor, page, rows_of};
use crate::http::params::is_id;
use crate::terminal::clean;

/// The most pages that are searched for a name.
const MAX_PAGES: usize = 50;
/// How many of several are named.
const NAMED: usize = 5;

/// How sure one has to be that it is the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Care {
    /// It is only looked at: the beginning of an id or name will do, if nothing else begins so.
    Reading,
    /// It is changed: the whole id, or the whole name if nothing else has it.
    Changing,
}

/// The id of what a person names.
///
/// # Errors
/// When there is no such thing, or more than one.
pub async fn find(
    session: &Session,
    of: &Resource,
    text: &str,
    care: Care,
) -> Result<String, Failure> {
    if text.starts_with(of.id_prefix) && text.len() >= of.id_length && is_id(text) {
        return Ok(text.to_owned());
    }
    choose(of, text, care, &candidates(session, of, text).await?)
}

/// Id and name of all that may be meant.
async fn candidates(
    session: &Session,
    of: &Resource,
    text: &str,
) -> Result<Vec<(String, String)>, Failure> {
    let mut query = Query::from([("limit", MAX_PAGE.to_string())]);
    query.extend(of.search.map(|parameter| (parameter, text.to_owned())));
    let mut found = Vec::new();
    let mut cursor = None;
    for _ in 0..MAX_PAGES {
        let page = page(session, of, &query, cursor.as_deref()).await?;
        for row in rows_of(&page) {
            let part = |field| row.get(field).and_then(Value::as_str).unwrap_or_default();
            let (id, name) = (part("id"), part("name"));
            if is_id(id) && (id.starts_with(text) || name.starts_with(text)) {
                found.push((id.to_owned(), name.to_owned()));
            }
        }
        cursor = next_cursor(&page);
        if cursor.is_none() {
            return Ok(found);
        }
    }
    let most = MAX_PAGES * usize::from(MAX_PAGE);
    Err(Failure::Usage(format!(
        "there are more than {most} to search for {}: give the id",
        clean(text)
    )))
}

fn choose(
    of: &Resource,
    text: &str,
    care: Care,
    candidates: &[(String, String)],
) -> Result<String, Failure> {
    let noun = of.noun;
    let shown = clean(text);
    let exact: Vec<_> = candidates.iter().filter(|(_, name)| name == text).collect();
    let of_text: Vec<_> = match exact.is_empty() {
        true => candidates.iter().collect(),
        false => exact,
    };
    let named = |list: &[&(String, String)]| {
        let names = list.iter().take(NAMED);
        let names: Vec<_> = names
            .map(|(id, name)| format!("\n  {id}  {}", clean(name)))
            .collect();
        names.concat()
    };
    match of_text.as_slice() {
        [] => Err(Failure::Refused(format!("there is no {noun} {shown}"))),
        [(id, name)] if care == Care::Reading || name == text => Ok(id.clone()),
        one @ [_] => Err(Failure::Usage(format!(
            "{shown} is only the beginning; to change it, give the whole id or name:{}",
            named(one)
        ))),
        several => Err(Failure::Usage(format!(
            "{shown} may be one of {} ({noun}); give the id:{}",
            several.len(),
            named(several)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: Resource = Resource {
        path: "keys",
        noun: "key",
        field: "key",
        id_prefix: "key_",
        id_length: 24,
        search: None,
        columns: &[],
    };

    fn chosen(text: &str, care: Care) -> Result<String, Failure> {
        let all = [
            ("key_a1", "orders"),
            ("key_a2", "orders-old"),
            ("key_b1", "twice"),
            ("key_b2", "twice"),
            ("key_c1", "alone"),
        ];
        let begins = |(id, name): &&(&str, &str)| id.starts_with(text) || name.starts_with(text);
        let candidates: Vec<_> = all
            .iter()
            .filter(begins)
            .map(|(id, name)| ((*id).to_owned(), (*name).to_owned()))
            .collect();
        choose(&KEYS, text, care, &candidates)
    }

    #[test]
    fn a_whole_name_that_one_alone_has_is_enough_for_everything() {
        for care in [Care::Reading, Care::Changing] {
            assert_eq!(chosen("orders", care).unwrap(), "key_a1");
            assert!(matches!(chosen("twice", care), Err(Failure::Usage(_))));
            assert!(matches!(chosen("absent", care), Err(Failure::Refused(_))));
        }
    }

    #[test]
    fn a_beginning_is_enough_only_to_look() {
        for text in ["al", "key_c"] {
            assert_eq!(chosen(text, Care::Reading).unwrap(), "key_c1");
            let Err(Failure::Usage(told)) = chosen(text, Care::Changing) else {
                panic!("{text}");
            };
            assert!(told.contains("key_c1  alone"), "{told}");
        }
        let Err(Failure::Usage(told)) = chosen("key_a", Care::Reading) else {
            panic!();
        };
        assert!(told.contains("key_a1") && told.contains("key_a2"), "{told}");
    }
}
