//! Every record there is, page by page: what a new edge is given first.

use shared::record::Record;

use crate::store::accounts::{self, Account};
use crate::store::apis::Api;
use crate::store::identities::Identity;
use crate::store::keys::{self, Key};
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
        Kind::Api => apis_after(conn, &cursor.after, limit).await,
        Kind::Role => roles_after(conn, &cursor.after, limit).await,
        Kind::Member => members_after(conn, &cursor.after, limit).await,
        Kind::Identity => identities_after(conn, &cursor.after, limit).await,
        Kind::Key => keys_after(conn, &cursor.after, limit).await,
    }
}

async fn accounts_after(conn: &mut Conn, id: &str, limit: u32) -> sqlx::Result<Vec<Record>> {
    let rows: Vec<Account> = query("select * from accounts where id > $1 order by id limit $2")
        .bind(id)
        .bind(i64::from(limit))
        .fetch_all(conn)
        .await?;
    let mut records = Vec::with_capacity(rows.len());
    for row in rows {
        let ancestors = accounts::ancestors(conn, &row.id).await?;
        records.push(Record::Account(row.record(ancestors)));
    }
    Ok(records)
}

async fn apis_after(conn: &mut Conn, id: &str, limit: u32) -> sqlx::Result<Vec<Record>> {
    let rows: Vec<Api> = query("select * from apis where id > $1 order by id limit $2")
        .bind(id)
        .bind(i64::from(limit))
        .fetch_all(conn)
        .await?;
    let mut records = Vec::with_capacity(rows.len());
    for row in rows {
        let ancestors = accounts::ancestors(conn, &row.account_id).await?;
        records.push(Record::Api(row.record(ancestors)));
    }
    Ok(records)
}

async fn roles_after(conn: &mut Conn, id: &str, limit: u32) -> sqlx::Result<Vec<Record>> {
    let rows: Vec<Role> = query("select * from roles where id > $1 order by id limit $2")
        .bind(id)
        .bind(i64::from(limit))
        .fetch_all(conn)
        .await?;
    let mut records = Vec::with_capacity(rows.len());
    for row in rows {
        let ancestors = accounts::ancestors(conn, &row.account_id).await?;
        records.push(Record::Role(row.record(ancestors)));
    }
    Ok(records)
}

async fn members_after(conn: &mut Conn, id: &str, limit: u32) -> sqlx::Result<Vec<Record>> {
    let rows: Vec<Member> = query("select * from members where id > $1 order by id limit $2")
        .bind(id)
        .bind(i64::from(limit))
        .fetch_all(conn)
        .await?;
    let mut records = Vec::with_capacity(rows.len());
    for row in rows {
        let ancestors = accounts::ancestors(conn, &row.account_id).await?;
        records.push(Record::Member(row.record(ancestors)));
    }
    Ok(records)
}

async fn identities_after(conn: &mut Conn, id: &str, limit: u32) -> sqlx::Result<Vec<Record>> {
    let rows: Vec<Identity> = query("select * from identities where id > $1 order by id limit $2")
        .bind(id)
        .bind(i64::from(limit))
        .fetch_all(conn)
        .await?;
    let mut records = Vec::with_capacity(rows.len());
    for row in rows {
        let ancestors = accounts::ancestors(conn, &row.account_id).await?;
        records.push(Record::Identity(row.record(ancestors)));
    }
    Ok(records)
}

async fn keys_after(conn: &mut Conn, id: &str, limit: u32) -> sqlx::Result<Vec<Record>> {
    let rows: Vec<Key> = query("select * from keys where id > $1 order by id limit $2")
        .bind(id)
        .bind(i64::from(limit))
        .fetch_all(conn)
        .await?;
    let mut records = Vec::with_capacity(rows.len());
    for row in rows {
        let ancestors = accounts::ancestors(conn, &row.account_id).await?;
        let credentials = keys::credentials(conn, &row.id).await?;
        records.push(Record::Key(row.record(ancestors, credentials)));
    }
    Ok(records)
}
