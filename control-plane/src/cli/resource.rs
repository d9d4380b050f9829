//! What all resources have in common: lists in pages, one thing, and changes.

use std::io::Write;

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::Query;
use super::confirm::confirm;
use super::connection::Session;
use super::failure::Failure;
use super::find::{Care, find};
use super::json::compact;
use super::output::{line, note};
use super::table::Column;
use crate::terminal::clean;

/// The most that a page may hold.
pub const MAX_PAGE: u16 = 200;

/// What the client has to know of a resource.
pub struct Resource {
    /// Where it is, below `/v1/`.
    pub path: &'static str,
    /// What one is called.
    pub noun: &'static str,
    /// Under which name answers to changes hold it.
    pub field: &'static str,
    /// What its ids begin with.
    pub id_prefix: &'static str,
    /// How long its ids are.
    pub id_length: usize,
    /// The parameter of its list that searches names, if it has one.
    pub search: Option<&'static str>,
    /// How it is listed.
    pub columns: &'static [Column],
}

/// Which pages of a list.
#[derive(Debug, Args)]
pub struct Paging {
    /// How many at once, 200 at most.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_PAGE)))]
    limit: Option<u16>,
    /// Where to go on: the `nextCursor` of the page before.
    #[arg(long)]
    cursor: Option<String>,
    /// All pages.
    #[arg(long)]
    all: bool,
}

impl Paging {
    /// Whether a page was asked for, and not the whole.
    pub fn is_partial(&self) -> bool {
        self.limit.is_some() || self.cursor.is_some()
    }
}

/// One thing.
#[derive(Debug, Args)]
pub struct Which {
    /// Its id, or its name if no other has it; where nothing changes, the beginning of either will do.
    #[arg(value_name = "ID")]
    which: String,
}

impl Which {
    /// Its id, for who only reads.
    ///
    /// # Errors
    /// When it can't be found, or is not the only one.
    pub async fn to_read(&self, session: &Session, of: &Resource) -> Result<String, Failure> {
        find(session, of, &self.which, Care::Reading).await
    }

    /// Its id, for who changes it.
    ///
    /// # Errors
    /// When it can't be found, or is not the only one.
    pub async fn to_change(&self, session: &Session, of: &Resource) -> Result<String, Failure> {
        find(session, of, &self.which, Care::Changing).await
    }
}

/// Lists pages.
pub async fn list(
    session: &Session,
    of: &Resource,
    mut query: Query,
    paging: Paging,
) -> Result<(), Failure> {
    let limit = paging.limit.or(paging.all.then_some(MAX_PAGE));
    query.extend(limit.map(|limit| ("limit", limit.to_string())));
    let mut cursor = paging.cursor;
    let mut shown = false;
    if session.output.is_json() && paging.all {
        return list_as_one(session, of, query, cursor).await;
    }
    loop {
        let page = page(session, of, &query, cursor.as_deref()).await?;
        cursor = next_cursor(&page);
        if session.output.is_json() {
            return session.output.value(&page);
        }
        let rows = rows_of(&page);
        if !rows.is_empty() {
            session.output.rows(of.columns, rows.iter())?;
            shown = true;
        }
        match &cursor {
            Some(_) if paging.all => {}
            Some(cursor) => {
                note(&format!(
                    "There are more: --all, or --cursor {}",
                    clean(cursor)
                ));
                return Ok(());
            }
            None if !shown => {
                note(&format!("No {} found.", of.noun));
                return Ok(());
            }
            None => return Ok(()),
        }
    }
}

/// All pages as one JSON document, written as they come.
async fn list_as_one(
    session: &Session,
    of: &Resource,
    query: Query,
    mut cursor: Option<String>,
) -> Result<(), Failure> {
    let mut separator = "{\"data\":[\n";
    loop {
        let page = page(session, of, &query, cursor.as_deref()).await?;
        for row in rows_of(&page) {
            write!(std::io::stdout(), "{separator}{}", compact(row))?;
            separator = ",\n";
        }
        cursor = next_cursor(&page);
        if cursor.is_none() {
            let begin = if separator.starts_with('{') {
                separator
            } else {
                ""
            };
            return line(&format!("{begin}\n],\"nextCursor\":null}}"));
        }
    }
}

/// One page.
///
/// # Errors
/// As the client's.
pub async fn page(
    session: &Session,
    of: &Resource,
    query: &Query,
    cursor: Option<&str>,
) -> Result<Value, Failure> {
    let mut query = query.clone();
    query.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
    session.client.get(of.path, &query).await
}

/// The rows of a page.
pub fn rows_of(page: &Value) -> &[Value] {
    let rows = page.get("data").and_then(Value::as_array);
    rows.map(Vec::as_slice).unwrap_or_default()
}

/// Where the next page begins.
pub fn next_cursor(page: &Value) -> Option<String> {
    let cursor = page.get("nextCursor").and_then(Value::as_str);
    cursor.map(str::to_owned)
}

/// Shows one thing.
pub async fn show(session: &Session, of: &Resource, which: &Which) -> Result<(), Failure> {
    let id = which.to_read(session, of).await?;
    let thing = get(session, of, &id).await?;
    session.output.value(&thing)
}

/// Makes one.
pub async fn create(session: &Session, of: &Resource, body: &Value) -> Result<(), Failure> {
    let made = session.client.send(Method::POST, of.path, Some(body));
    session.output.changed(of.field, &made.await?)
}

/// Changes what is given of it.
pub async fn update(
    session: &Session,
    of: &Resource,
    which: &Which,
    body: &Value,
) -> Result<(), Failure> {
    if body.as_object().is_none_or(serde_json::Map::is_empty) {
        return Err(Failure::Usage("nothing to change was given".to_owned()));
    }
    let id = which.to_change(session, of).await?;
    let path = format!("{}/{id}", of.path);
    let changed = session.client.send(Method::PATCH, &path, Some(body));
    session.output.changed(of.field, &changed.await?)
}

/// Does something to it that has a path of its own, such as `revoke`.
pub async fn act(
    session: &Session,
    of: &Resource,
    id: &str,
    action: &str,
    body: &Value,
) -> Result<(), Failure> {
    let path = format!("{}/{id}/{action}", of.path);
    let changed = session.client.send(Method::POST, &path, Some(body));
    session.output.changed(of.field, &changed.await?)
}

/// How a thing comes to its end.
pub struct Ending {
    /// What is asked: `Delete`.
    pub verb: &'static str,
    /// What that means.
    pub why: &'static str,
    /// What it then is: `deleted`.
    pub done: &'static str,
}

const DELETION: Ending = Ending {
    verb: "Delete",
    why: "This can't be taken back.",
    done: "deleted",
};

/// Deletes it, after a question.
pub async fn delete(session: &Session, of: &Resource, which: &Which) -> Result<(), Failure> {
    end(session, of, which, &DELETION).await.map(drop)
}

/// Ends it, after a question; gives what the server answered, which is told already.
pub async fn end(
    session: &Session,
    of: &Resource,
    which: &Which,
    ending: &Ending,
) -> Result<Value, Failure> {
    let id = which.to_change(session, of).await?;
    ask(session, of, &id, ending.verb, ending.why).await?;
    let path = format!("{}/{id}", of.path);
    let answer = session.client.send(Method::DELETE, &path, None).await?;
    if !session.output.is_json() {
        note(&format!("The {} {id} is {}.", of.noun, ending.done));
    }
    session.output.changed(of.field, &answer)?;
    Ok(answer)
}

/// Asks whether it is meant so, unless that was said beforehand.
pub async fn ask(
    session: &Session,
    of: &Resource,
    id: &str,
    verb: &str,
    why: &str,
) -> Result<(), Failure> {
    if session.yes {
        return Ok(());
    }
    let thing = get(session, of, id).await?;
    let name = thing
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    confirm(&format!(
        "{verb} the {} “{}” ({id})? {why}",
        of.noun,
        clean(name)
    ))
}

async fn get(session: &Session, of: &Resource, id: &str) -> Result<Value, Failure> {
    let path = format!("{}/{id}", of.path);
    session.client.get(&path, &Query::new()).await
}

/// Puts what is given into a body.
pub fn put(body: &mut Value, field: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        body[field] = value.into();
    }
}

/// The parameters that are given.
pub fn given<const N: usize>(parameters: [(&'static str, Option<String>); N]) -> Query {
    let parameters = parameters.into_iter();
    parameters
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

/// Puts an end into a body: never, 30d, or a time.
pub fn put_end(body: &mut Value, when: Option<String>) {
    if let Some(when) = when {
        // A time has a T in it, the server's words have none.
        let is_time = when.contains('T');
        let field = if is_time { "expiresAt" } else { "expiresIn" };
        put(body, field, Some(when));
    }
}

/// A list that was given by flags: an empty text stands for no entry.
pub fn without_empty(list: Vec<String>) -> Vec<String> {
    let trimmed = list.into_iter().map(|text| text.trim().to_owned());
    trimmed.filter(|text| !text.is_empty()).collect()
}

/// A body without anything.
pub fn empty() -> Value {
    json!({})
}
