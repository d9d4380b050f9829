//! What the guards have on disk: the truth that outlasts a kill.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;
use shared::record::RateLimits;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqliteConnection};

use super::{Edge, config};
use crate::clock::now;

/// The storage of every guard, as of one moment.
#[derive(Debug, Clone, Default)]
pub struct Storage {
    /// Ledgers by the key's id.
    pub ledgers: BTreeMap<String, Ledger>,
    /// Records by kind (`key`, `api`, `account`, `member`, `role`) and id; of one that several guards hold, the newest.
    pub records: BTreeMap<(String, String), Value>,
    /// Requests not yet kept by the control plane, by the key's id and code.
    pub unreported: BTreeMap<(String, String), u64>,
}

/// A key's ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Ledger(shared::ledger::Ledger);

impl Ledger {
    /// Units that a rolling window, whichever has more, held as used when the ledger was written last.
    pub fn debited(&self) -> u64 {
        let limits = RateLimits {
            requests_per_minute: Some(u32::MAX),
            requests_per_hour: Some(u32::MAX),
            ..RateLimits::default()
        };
        // A ledger's time never runs back: at 0 it stands where it stood last.
        let standing = self.0.standing(0, &limits);
        standing.iter().map(|w| w.limit - w.left).max().unwrap_or(0)
    }

    /// Of those, the units of leases that may still be settled: spent or not.
    pub fn leased_out(&self) -> u64 {
        self.0.leased_out(now())
    }
}

impl Storage {
    /// The ledger of a key; an empty one if it has none.
    pub fn ledger(&self, key: &str) -> Ledger {
        self.ledgers.get(key).cloned().unwrap_or_default()
    }

    /// The version of a key's record; 0: none.
    pub fn key_version(&self, key: &str) -> u64 {
        let at = ("key".to_owned(), key.to_owned());
        self.records
            .get(&at)
            .and_then(|record| record["version"].as_u64())
            .unwrap_or(0)
    }

    async fn add(&mut self, database: &mut SqliteConnection) -> sqlx::Result<()> {
        let ledgers: Vec<(String, String)> = sqlx::query_as("select key, body from ledgers")
            .fetch_all(&mut *database)
            .await?;
        for (key, body) in ledgers {
            self.ledgers.insert(key, parse(&body));
        }
        let records: Vec<(String, String, String)> =
            sqlx::query_as("select kind, id, body from records")
                .fetch_all(&mut *database)
                .await?;
        for (kind, id, body) in records {
            let record: Value = parse(&body);
            let place = self.records.entry((kind, id)).or_default();
            if record["version"].as_u64() >= place["version"].as_u64() {
                *place = record;
            }
        }
        let usage: Vec<(String, String, i64)> =
            sqlx::query_as("select key, code, count from usage")
                .fetch_all(&mut *database)
                .await?;
        for (key, code, count) in usage {
            *self.unreported.entry((key, code)).or_default() += count.unsigned_abs();
        }
        let sealed: Vec<(String,)> = sqlx::query_as("select body from sealed")
            .fetch_all(&mut *database)
            .await?;
        for (body,) in sealed {
            let batch: shared::message::UsageBatch = parse(&body);
            for row in batch.rows {
                let at = (row.cell.key, row.cell.code);
                *self.unreported.entry(at).or_default() += row.tally.count;
            }
        }
        Ok(())
    }
}

fn parse<T: serde::de::DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).expect("what a guard has stored can be read")
}

impl Edge {
    /// Reads the guards' storage, also while the edge runs or after it was killed.
    ///
    /// # Panics
    /// When it can't be read.
    pub async fn storage(&self) -> Storage {
        let mut storage = Storage::default();
        for file in self.guard_files() {
            let options = SqliteConnectOptions::new().filename(&file).read_only(true);
            let mut database = options.connect().await.expect("a guard's storage opens");
            let read = storage.add(&mut database).await;
            read.expect("a guard's storage can be read");
        }
        storage
    }

    /// Changes every guard's storage behind its back. The edge must not run.
    ///
    /// # Panics
    /// When that fails.
    pub async fn meddle(&self, statement: &str) {
        for file in self.guard_files() {
            let options = SqliteConnectOptions::new().filename(&file);
            let mut database = options.connect().await.expect("a guard's storage opens");
            let done = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
                .execute(&mut database)
                .await;
            done.expect("a guard's storage can be changed");
            database
                .close()
                .await
                .expect("a guard's storage can be closed");
        }
    }

    /// Forgets all that guards and KV have on disk. The edge must not run.
    ///
    /// # Panics
    /// When that fails.
    pub fn wipe(&self) {
        for disk in [config::GUARD_DISK, config::KV_DISK] {
            let folder = self.folder().join(disk);
            std::fs::remove_dir_all(&folder).expect("a disk can be removed");
            std::fs::create_dir_all(&folder).expect("a folder can be made");
        }
    }

    /// The SQLite files of the guards.
    pub fn guard_files(&self) -> Vec<PathBuf> {
        let folder = self
            .folder()
            .join(config::GUARD_DISK)
            .join(config::GUARD_KEY);
        let Ok(entries) = std::fs::read_dir(folder) else {
            return Vec::new();
        };
        let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
        files
            .filter(|path| path.extension().is_some_and(|e| e == "sqlite"))
            // workerd's own list of alarms.
            .filter(|path| path.file_stem().is_some_and(|stem| stem != "metadata"))
            .collect()
    }
}
