//! Records that an edge had and the database had not, as after a backup was restored: their tombstones, which the edges
//! keep and the database must know of.

use serde_json::{Value, json};
use shared::record::Record;

use crate::store::targets::Kind;
use crate::store::{Conn, from_db, query, to_db};

/// Such a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// What it was.
    pub kind: Kind,
    /// Its id.
    pub id: String,
    /// The version of its tombstone.
    pub version: u64,
    /// The accounts whose guards have it.
    pub accounts: Vec<String>,
}

impl Lost {
    /// What the edges are given: that it is gone.
    pub fn tombstone(&self) -> Option<Record> {
        let account = self.accounts.first()?;
        let above: Vec<&String> = self.accounts.iter().filter(|a| **a != self.id).collect();
        let (id, version) = (&self.id, self.version);
        let record: Value = match self.kind {
            Kind::Account => {
                json!({"kind": "account", "id": id, "version": version, "ancestors": above, "deleted": true})
            }
            Kind::Api => json!({
                "kind": "api", "id": id, "version": version, "account": account,
                "name": "", "endpoints": [], "upstream": "", "deleted": true,
            }),
            Kind::Key => json!({
                "kind": "key", "id": id, "version": version, "account": account,
                "environment": "", "state": "deleted", "credentials": [],
            }),
            Kind::Role => json!({
                "kind": "role", "id": id, "version": version, "account": account,
                "permissions": [], "deleted": true,
            }),
            Kind::Member => json!({
                "kind": "member", "id": id, "version": version, "account": account,
                "role": "", "removed": true,
            }),
            Kind::Lost | Kind::Hosts => return None,
        };
        serde_json::from_value(record).ok()
    }
}

/// Keeps a record's tombstone under a version, in the guards that have one already and in that of `account`.
///
/// # Errors
/// When the rows can't be written.
pub async fn keep(
    conn: &mut Conn,
    kind: Kind,
    id: &str,
    account: &str,
    version: u64,
) -> sqlx::Result<()> {
    // An account is in its own guard, too.
    let own = (kind == Kind::Account).then_some(id);
    for account in [Some(account), own].into_iter().flatten() {
        query(
            "insert into lost_records (id, account_id, kind, version) values ($1, $2, $3, 0)
             on conflict (id, account_id) do nothing",
        )
        .bind(id)
        .bind(account)
        .bind(kind.name())
        .execute(conn)
        .await?;
    }
    query("update lost_records set version = $2 where id = $1")
        .bind(id)
        .bind(to_db(version))
        .execute(conn)
        .await?;
    Ok(())
}

/// Those after an id, by id.
///
/// # Errors
/// When the rows can't be read.
pub async fn after(conn: &mut Conn, id: &str, limit: u32) -> sqlx::Result<Vec<Lost>> {
    let ids: Vec<String> =
        query("select distinct id from lost_records where id > $1 order by id limit $2")
            .bind(id)
            .bind(i64::from(limit))
            .fetch_all(conn)
            .await?;
    let mut all = Vec::with_capacity(ids.len());
    for id in ids {
        all.extend(find(conn, &id).await?);
    }
    Ok(all)
}

/// The one with this id.
///
/// # Errors
/// When the rows can't be read.
pub async fn find(conn: &mut Conn, id: &str) -> sqlx::Result<Option<Lost>> {
    let rows: Vec<(String, String, i64)> = query(
        "select kind, account_id, version from lost_records where id = $1 order by account_id",
    )
    .bind(id)
    .fetch_all(conn)
    .await?;
    let Some((kind, _, version)) = rows.first() else {
        return Ok(None);
    };
    Ok(Some(Lost {
        kind: Kind::of(kind),
        id: id.to_owned(),
        version: from_db(*version),
        accounts: rows.into_iter().map(|(_, account, _)| account).collect(),
    }))
}
