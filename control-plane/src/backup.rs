//! Backups of an SQLite file while it is in use, and the way back.
//!
//! A restored database is older than what the edges have, and they take no older version for a newer one. So everything
//! that is restored gets a version above any that was ever given out, and every edge is given all of it. What the edges have
//! and the backup has not, keys that were made after it, is found and ended by `keyward sync repair`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use shared::Millis;

use crate::store::{Store, from_db, query, sqlite_file, to_db};

/// How far above everything known the versions of a restored database begin. Versions run ahead of the clock, in
/// milliseconds, only while more than a thousand changes a second are made; this many changes ahead they never are.
const AHEAD: u64 = 24 * 60 * 60 * 1000;
/// Whatever an edge holds by version.
const VERSIONED: [&str; 6] = [
    "update accounts set version = $1",
    "update apis set version = $1",
    "update keys set version = $1",
    "update roles set version = $1",
    "update members set version = $1",
    "update lost_records set version = $1",
];

/// Writes the database as it is at one moment into a new file, which only this user can read. The server goes on meanwhile.
///
/// # Errors
/// When the file is there already or can't be written, and for databases that are no file: PostgreSQL has `pg_dump`.
pub async fn backup(url: &str, to: &Path) -> anyhow::Result<()> {
    let Some(from) = sqlite_file(url)? else {
        bail!(
            "this database is a PostgreSQL server: back it up with pg_dump, bring it back with pg_restore, and then run \
             `keyward restore --adopt`"
        );
    };
    ensure!(from.exists(), "there is no database at {}", from.display());
    ensure!(!to.exists(), "{} is there already", to.display());
    let store = Store::open(url).await?;
    let copied = store.copy_into(to).await;
    store.close().await;
    copied.with_context(|| format!("{} can't be written", to.display()))?;
    File::open(to)?.sync_all()?;
    Ok(())
}

/// Puts a backup in the place of the database. Nothing may serve it meanwhile. A database that is there is kept, under the
/// name that is returned.
///
/// # Errors
/// When the backup is no whole database of ours, or of a newer version; when a database is there and `force` is not set.
/// The database is untouched then.
pub async fn restore(
    url: &str,
    from: &Path,
    force: bool,
    now: Millis,
) -> anyhow::Result<Option<PathBuf>> {
    let Some(place) = sqlite_file(url)? else {
        bail!(
            "this database is a PostgreSQL server: use pg_restore, and then `keyward restore --adopt`"
        );
    };
    ensure!(from.exists(), "there is no backup at {}", from.display());
    let is_there = place.exists();
    ensure!(
        !is_there || force,
        "{} is there already; --force puts the backup in its place and keeps it beside",
        place.display()
    );
    let known = if is_there { counter(url).await } else { 0 };
    let fresh = beside(&place, "restoring");
    let _ = fs::remove_file(&fresh);
    fs::copy(from, &fresh).with_context(|| format!("{} can't be copied", from.display()))?;
    let prepared = prepare(&fresh, now, known).await;
    if let Err(error) = prepared {
        for file in with_side_files(&fresh) {
            let _ = fs::remove_file(file);
        }
        return Err(error);
    }
    File::open(&fresh)?.sync_all()?;
    let mut kept = None;
    if is_there {
        let old = beside(&place, &format!("before-restore-{now}"));
        for (file, to) in with_side_files(&place)
            .into_iter()
            .zip(with_side_files(&old))
        {
            if file.exists() {
                fs::rename(&file, &to)?;
            }
        }
        kept = Some(old);
    }
    fs::rename(&fresh, &place)?;
    Ok(kept)
}

async fn prepare(file: &Path, now: Millis, known: u64) -> anyhow::Result<()> {
    let store = Store::open(&format!("sqlite://{}", file.display())).await?;
    let checked = async {
        let mut conn = store.read().await?;
        let word: String = query("pragma integrity_check").fetch_one(&mut conn).await?;
        ensure!(word == "ok", "the backup is damaged: {word}");
        drop(conn);
        store.migrate().await?;
        adopt(&store, now, known).await
    };
    let outcome = checked.await.context("the backup can't be used");
    store.close().await;
    outcome
}

/// Makes the edges accept a database that was restored: everything gets a version above any before, and every edge is to be
/// given all of it.
///
/// # Errors
/// When rows can't be written; nothing is changed then.
pub async fn adopt(store: &Store, now: Millis, known: u64) -> anyhow::Result<()> {
    let mut tx = store.write().await?;
    let counter: i64 = query("select value from counters where name = 'outbox_seq'")
        .fetch_one(&mut tx)
        .await?;
    let floor = from_db(counter).max(known).max(now) + AHEAD;
    query("update counters set value = $1 where name = 'outbox_seq'")
        .bind(to_db(floor))
        .execute(&mut tx)
        .await?;
    for update in VERSIONED {
        query(update).bind(to_db(floor)).execute(&mut tx).await?;
    }
    query("delete from outbox").execute(&mut tx).await?;
    // An edge that is not known is given everything.
    query("delete from edge_targets").execute(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}

/// The counter of a database that is being replaced; 0 when it can't be told.
async fn counter(url: &str) -> u64 {
    let read = async {
        let store = Store::open(url).await?;
        let mut conn = store.read().await?;
        let counter: i64 = query("select value from counters where name = 'outbox_seq'")
            .fetch_one(&mut conn)
            .await?;
        drop(conn);
        store.close().await;
        anyhow::Ok(from_db(counter))
    };
    read.await.unwrap_or(0)
}

fn beside(file: &Path, more: &str) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(more);
    file.with_file_name(name)
}

/// The file and what SQLite keeps beside it.
fn with_side_files(file: &Path) -> [PathBuf; 3] {
    let side = |more: &str| {
        let mut name = file.as_os_str().to_owned();
        name.push(more);
        PathBuf::from(name)
    };
    [file.to_owned(), side("-wal"), side("-shm")]
}
