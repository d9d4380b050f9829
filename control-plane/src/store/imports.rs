//! Imports of keys by their hashes: how far each has come, and what became of each line.

use std::collections::BTreeMap;

use serde_json::Value;
use shared::Millis;
use shared::token::KeyHash;

use crate::http::page::PageRequest;
use crate::store::{Conn, FromRow, Row, from_db, query, query_of, to_db, to_json};

/// The most values that one statement is given: within what both databases take.
const MOST_BOUND: usize = 500;

/// An import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// `imp_…`
    pub id: String,
    /// The account whose keys they become.
    pub account_id: String,
    /// How it stands.
    pub state: ImportState,
    /// How many lines there were so far.
    pub tally: Tally,
    /// When it began.
    pub started_at: Millis,
    /// When it last came further.
    pub updated_at: Millis,
}

/// Lines, by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// All of them.
    pub lines: u64,
    /// Those that became keys.
    pub created: u64,
    /// Those whose hash a key of the account has already.
    pub existing: u64,
    /// Those that could not be taken.
    pub refused: u64,
}

/// How an import stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportState {
    /// Lines are coming.
    Running,
    /// Every line has been seen.
    Done,
    /// It broke off. What was taken stays; sent again, it goes on where it was.
    Failed,
}

impl ImportState {
    /// Every state, by name.
    pub const NAMES: [(&'static str, Self); 3] = [
        ("running", Self::Running),
        ("done", Self::Done),
        ("failed", Self::Failed),
    ];

    /// As written in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

impl FromRow for Import {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        let state: String = row.get("state")?;
        let count = |name: &str| row.get::<i64>(name).map(from_db);
        Ok(Self {
            id: row.get("id")?,
            account_id: row.get("account_id")?,
            state: ImportState::NAMES
                .iter()
                .find(|(name, _)| *name == state)
                .map_or(ImportState::Failed, |(_, state)| *state),
            tally: Tally {
                lines: count("lines")?,
                created: count("created")?,
                existing: count("existing")?,
                refused: count("refused")?,
            },
            started_at: count("started_at")?,
            updated_at: count("updated_at")?,
        })
    }
}

/// A line that could not be taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// Its number, from 1.
    pub line: u64,
    /// What is wrong: a list of field errors.
    pub errors: Value,
}

/// Adds an import.
///
/// # Errors
/// When the row can't be written.
pub async fn insert(conn: &mut Conn, import: &Import) -> sqlx::Result<()> {
    query(
        "insert into imports (id, account_id, state, lines, created, existing, refused, started_at, updated_at)
         values ($1, $2, $3, 0, 0, 0, 0, $4, $4)",
    )
    .bind(&import.id)
    .bind(&import.account_id)
    .bind(import.state.name())
    .bind(to_db(import.started_at))
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes how far an import has come.
///
/// # Errors
/// When the row can't be written.
pub async fn progress(conn: &mut Conn, import: &Import) -> sqlx::Result<()> {
    let tally = import.tally;
    query(
        "update imports set state = $2, lines = $3, created = $4, existing = $5, refused = $6, updated_at = $7
         where id = $1",
    )
    .bind(&import.id)
    .bind(import.state.name())
    .bind(to_db(tally.lines))
    .bind(to_db(tally.created))
    .bind(to_db(tally.existing))
    .bind(to_db(tally.refused))
    .bind(to_db(import.updated_at))
    .execute(conn)
    .await?;
    Ok(())
}

/// Keeps what is wrong with lines.
///
/// # Errors
/// When rows can't be written.
pub async fn refuse(conn: &mut Conn, import_id: &str, refusals: &[Refusal]) -> sqlx::Result<()> {
    for refusal in refusals {
        query("insert into import_refusals (import_id, line, errors) values ($1, $2, $3)")
            .bind(import_id)
            .bind(to_db(refusal.line))
            .bind(to_json(&refusal.errors)?)
            .execute(conn)
            .await?;
    }
    Ok(())
}

/// The import `id`, if its account is `holder` or below it.
///
/// # Errors
/// When the row can't be read.
pub async fn find(conn: &mut Conn, holder: &str, id: &str) -> sqlx::Result<Option<Import>> {
    query(
        "select i.* from imports i join account_tree t on t.account_id = i.account_id
         where t.ancestor_id = $1 and i.id = $2",
    )
    .bind(holder)
    .bind(id)
    .fetch_optional(conn)
    .await
}

/// A page of the imports of `holder` and of the accounts below it, newest first.
///
/// # Errors
/// When the rows can't be read.
pub async fn list(conn: &mut Conn, holder: &str, page: &PageRequest) -> sqlx::Result<Vec<Import>> {
    query(
        "select i.* from imports i join account_tree t on t.account_id = i.account_id
         where t.ancestor_id = $1
           and (cast($2 as bigint) is null or i.started_at < $2 or (i.started_at = $2 and i.id < $3))
         order by i.started_at desc, i.id desc limit $4",
    )
    .bind(holder)
    .bind(page.after.as_ref().map(|p| to_db(p.created_at)))
    .bind(page.after.as_ref().map(|p| p.id.as_str()))
    .bind(page.fetch())
    .fetch_all(conn)
    .await
}

/// Lines of an import after a line, in order: the key that each became.
///
/// # Errors
/// When the rows can't be read.
pub async fn created_after(
    conn: &mut Conn,
    import_id: &str,
    line: u64,
    limit: i64,
) -> sqlx::Result<Vec<(u64, String)>> {
    let rows: Vec<(i64, String)> = query(
        "select import_line, id from keys where import_id = $1 and import_line > $2
         order by import_line limit $3",
    )
    .bind(import_id)
    .bind(to_db(line))
    .bind(limit)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(n, id)| (from_db(n), id)).collect())
}

/// Lines of an import after a line, in order, that were refused.
///
/// # Errors
/// When the rows can't be read.
pub async fn refused_after(
    conn: &mut Conn,
    import_id: &str,
    line: u64,
    limit: i64,
) -> sqlx::Result<Vec<Refusal>> {
    query(
        "select line, errors from import_refusals where import_id = $1 and line > $2
         order by line limit $3",
    )
    .bind(import_id)
    .bind(to_db(line))
    .bind(limit)
    .fetch_all(conn)
    .await
}

impl FromRow for Refusal {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        Ok(Self {
            line: from_db(row.get("line")?),
            errors: row.json("errors")?,
        })
    }
}

/// Which of some hashes keys have, and the accounts of those keys.
///
/// # Errors
/// When rows can't be read.
pub async fn known(conn: &mut Conn, hashes: &[KeyHash]) -> sqlx::Result<BTreeMap<String, String>> {
    let mut known = BTreeMap::new();
    for some in hashes.chunks(MOST_BOUND) {
        let places: Vec<String> = (1..=some.len()).map(|n| format!("${n}")).collect();
        let mut query = query_of(format!(
            "select h.hash, k.account_id from key_hashes h join keys k on k.id = h.key_id where h.hash in ({})",
            places.join(", ")
        ));
        for hash in some {
            query = query.bind(hash.to_hex());
        }
        let rows: Vec<(String, String)> = query.fetch_all(conn).await?;
        known.extend(rows);
    }
    Ok(known)
}
