//! Every record there is, page by page: what a new edge is given first, and one that is to be given everything again.

use std::collections::HashMap;

use shared::record::{Credential, Record};

use crate::store::accounts::{self, Account};
use crate::store::apis::Api;
use crate::store::keys::{self, Key};
use crate::store::lost::{self, Lost};
use crate::store::members::Member;
use crate::store::roles::Role;
use crate::store::targets::{Cursor, Kind};
use crate::store::{Conn, query};

/// The records of one kind after a place, tombstones included: the edge may have known what is gone.
///
/// # Errors
/// When the rows can't be read.
pub async fn after(conn: &mut Conn, cursor: &Cursor, limit: u32) -> sqlx::Result<Vec<Record>> {
    match cursor.kind {
        Kind::Account => accounts_after(conn, &cursor.after, limit).await,
        Kind::Api | Kind::Hosts => apis_after(conn, &cursor.after, limit).await,
        Kind::Role => roles_after(conn, &cursor.after, limit).await,
        Kind::Member => members_after(conn, &cursor.after, limit).await,
        Kind::Key => keys_after(conn, &cursor.after, limit).await,
        Kind::Lost => {
            let rows = lost::after(conn, &cursor.after, limit).await?;
            Ok(rows.iter().filter_map(Lost::tombstone).collect())
        }
    }
}

/// A record as it is now.
///
/// # Errors
/// When the rows can't be read.
pub async fn one(conn: &mut Conn, kind: Kind, id: &str) -> sqlx::Result<Option<Record>> {
    let mut ancestors = Ancestors::default();
    Ok(match kind {
        Kind::Account => {
            let row: Option<Account> = query("select * from accounts where id = $1")
                .bind(id)
                .fetch_optional(conn)
                .await?;
            match row {
                Some(row) => Some(Record::Account(row.record(ancestors.of(conn, id).await?))),
                None => None,
            }
        }
        Kind::Api | Kind::Hosts => {
            let row: Option<Api> = query("select * from apis where id = $1")
                .bind(id)
                .fetch_optional(conn)
                .await?;
            match row {
                Some(row) => {
                    let above = ancestors.of(conn, &row.account_id).await?;
                    Some(Record::Api(row.record(above)))
                }
                None => None,
            }
        }
        Kind::Role => {
            let row: Option<Role> = query("select * from roles where id = $1")
                .bind(id)
                .fetch_optional(conn)
                .await?;
            match row {
                Some(row) => {
                    let above = ancestors.of(conn, &row.account_id).await?;
                    Some(Record::Role(row.record(above)))
                }
                None => None,
            }
        }
        Kind::Member => {
            let row: Option<Member> = query("select * from members where id = $1")
                .bind(id)
                .fetch_optional(conn)
                .await?;
            match row {
                Some(row) => {
                    let above = ancestors.of(conn, &row.account_id).await?;
                    Some(Record::Member(row.record(above)))
                }
                None => None,
            }
        }
        Kind::Key => {
            let row: Option<Key> = query("select * from keys where id = $1")
                .bind(id)
                .fetch_optional(conn)
                .await?;
            match row {
                Some(row) => {
                    let above = ancestors.of(conn, &row.account_id).await?;
                    let credentials = keys::credentials(conn, id).await?;
                    Some(Record::Key(row.record(above, credentials)))
                }
                None => None,
            }
        }
        Kind::Lost => lost::find(conn, id).await?.and_then(|row| row.tombstone()),
    })
}

/// The accounts above those of a page, each read once.
#[derive(Default)]
struct Ancestors(HashMap<String, Vec<String>>);

impl Ancestors {
    async fn of(&mut self, conn: &mut Conn, account: &str) -> sqlx::Result<Vec<String>> {
        if let Some(known) = self.0.get(account) {
            return Ok(known.clone());
        }
        let above = accounts::ancestors(conn, account).await?;
        self.0.insert(account.to_owned(), above.clone());
        Ok(above)
    }
}

async fn accounts_after(conn: &mut Conn, id: &str, limit: u32) -> sqlx::Result<Vec<Record>> {
    let rows: Vec<Account> = query("select * from accounts where id > $1 order by id limit $2")
        .bind(id)
        .bind(i64::from(limit))
        .fetch_all(conn)
        .await?;
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        let above = accounts::ancestors(conn, &row.id).await?;
        items.push(Record::Account(row.record(above)));
    }
    Ok(items)
}

async fn apis_after(conn: &mut Conn, id: &str, limit: u32) -> sqlx::Result<Vec<Record>> {
    let rows: Vec<Api> = query("select * from apis where id > $1 order by id limit $2")
        .bind(id)
        .bind(i64::from(limit))
        .fetch_all(conn)
        .await?;
    let mut ancestors = Ancestors::default();
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        let above = ancestors.of(conn, &row.account_id).await?;
        items.push(Record::Api(row.record(above)));
    }
    Ok(items)
}

async fn roles_after(conn: &mut Conn, id: &str, limit: u32) -> sqlx::Result<Vec<Record>> {
    let rows: Vec<Role> = query("select * from roles where id > $1 order by id limit $2")
        .bind(id)
        .bind(i64::from(limit))
        .fetch_all(conn)
        .await?;
    let mut ancestors = Ancestors::default();
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        let above = ancestors.of(conn, &row.account_id).await?;
        items.push(Record::Role(row.record(above)));
    }
    Ok(items)
}

async fn members_after(conn: &mut Conn, id: &str, limit: u32) -> sqlx::Result<Vec<Record>> {
    let rows: Vec<Member> = query("select * from members where id > $1 order by id limit $2")
        .bind(id)
        .bind(i64::from(limit))
        .fetch_all(conn)
        .await?;
    let mut ancestors = Ancestors::default();
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        let above = ancestors.of(conn, &row.account_id).await?;
        items.push(Record::Member(row.record(above)));
    }
    Ok(items)
}

async fn keys_after(conn: &mut Conn, id: &str, limit: u32) -> sqlx::Result<Vec<Record>> {
    let rows: Vec<Key> = query("select * from keys where id > $1 order by id limit $2")
        .bind(id)
        .bind(i64::from(limit))
        .fetch_all(conn)
        .await?;
    let last = rows.last().map_or(id, |row| row.id.as_str()).to_owned();
    let mut credentials = keys::credentials_between(conn, id, &last).await?;
    let mut ancestors = Ancestors::default();
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        let above = ancestors.of(conn, &row.account_id).await?;
        let of_key: Vec<Credential> = credentials.remove(&row.id).unwrap_or_default();
        items.push(Record::Key(row.record(above, of_key)));
    }
    Ok(items)
}
