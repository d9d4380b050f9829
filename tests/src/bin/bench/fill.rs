//! Keys by the million, put straight into the storage of the guard and of the simulated KV: pushing them all would
//! take longer than everything else here. They are copies of a key that was pushed.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;
use shared::token::{KeyHash, Token};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use crate::edge::Edge;
use crate::lab::Lab;

/// The storage of a stopped edge.
pub struct Shelf {
    guard: SqliteConnection,
    kv: SqliteConnection,
    model: Model,
}

/// The key that is copied.
struct Model {
    id: String,
    hash: String,
    in_guard: String,
    in_kv: String,
}

impl Shelf {
    /// Pushes the model, stops the edge and opens its storage.
    ///
    /// # Errors
    /// When the storage is not as the edge makes it.
    pub async fn open(edge: &mut Edge) -> Result<Self> {
        let token = edge.key(json!({})).await?;
        edge.workerd.stop();
        let folder = edge.workerd.folder();
        let mut guard = database(&folder.join("edge-disk/keyward-guard")).await?;
        let mut kv = database(&folder.join("kv-disk/kv-store")).await?;
        let hash = KeyHash::of(&token).to_hex();
        let (id, in_guard): (String, String) = sqlx::query_as(
            "select r.id, r.body from records r join names n on n.kind = r.kind and n.id = r.id where r.kind = 'key' and n.name = ?",
        )
        .bind(&hash)
        .fetch_one(&mut guard)
        .await?;
        let (in_kv,): (String,) = sqlx::query_as(
            "select value from versions where name = 'k/' || ? order by seq desc limit 1",
        )
        .bind(&hash)
        .fetch_one(&mut kv)
        .await?;
        let model = Model {
            id,
            hash,
            in_guard,
            in_kv,
        };
        Ok(Self { guard, kv, model })
    }

    /// Adds keys that nobody has the tokens of: number `i` has the id `key_fill…i` and the hash `i` in hex.
    ///
    /// # Errors
    /// When they can't be written.
    pub async fn add(&mut self, count: i64) -> Result<()> {
        let Model {
            id,
            hash,
            in_guard,
            in_kv,
        } = &self.model;
        sqlx::query(
            "insert into records (kind, id, version, body)
             with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < ?)
             select 'key', printf('key_fill%012d', i), 1, replace(replace(?, ?, printf('key_fill%012d', i)), ?, printf('%064x', i)) from n",
        )
        .bind(count).bind(in_guard).bind(id).bind(hash)
        .execute(&mut self.guard)
        .await?;
        sqlx::query(
            "insert into names (kind, name, id)
             with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < ?)
             select 'key', printf('%064x', i), printf('key_fill%012d', i) from n",
        )
        .bind(count)
        .execute(&mut self.guard)
        .await?;
        sqlx::query(
            "insert into versions (name, at, seen_at, value)
             with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < ?)
             select printf('k/%064x', i), 1, 1, replace(replace(?, ?, printf('key_fill%012d', i)), ?, printf('%064x', i)) from n",
        )
        .bind(count).bind(in_kv).bind(id).bind(hash)
        .execute(&mut self.kv)
        .await?;
        Ok(())
    }

    /// Adds a key for each of these tokens.
    ///
    /// # Errors
    /// When they can't be written.
    pub async fn add_tokens(&mut self, tokens: &[Token]) -> Result<()> {
        let mut guard = self.guard.begin().await?;
        let mut kv = self.kv.begin().await?;
        for (number, token) in tokens.iter().enumerate() {
            let hash = token.hash().to_hex();
            let id = format!("key_real{number:012}");
            let copy = |body: &str| {
                body.replace(&self.model.id, &id)
                    .replace(&self.model.hash, &hash)
            };
            sqlx::query("insert into records (kind, id, version, body) values ('key', ?, 1, ?)")
                .bind(&id)
                .bind(copy(&self.model.in_guard))
                .execute(&mut *guard)
                .await?;
            sqlx::query("insert into names (kind, name, id) values ('key', ?, ?)")
                .bind(&hash)
                .bind(&id)
                .execute(&mut *guard)
                .await?;
            sqlx::query(
                "insert into versions (name, at, seen_at, value) values ('k/' || ?, 1, 1, ?)",
            )
            .bind(&hash)
            .bind(copy(&self.model.in_kv))
            .execute(&mut *kv)
            .await?;
        }
        guard.commit().await?;
        kv.commit().await?;
        Ok(())
    }

    /// The guard's tables, for what else they should hold.
    pub fn guard(&mut self) -> &mut SqliteConnection {
        &mut self.guard
    }

    /// The id of the model.
    pub fn model(&self) -> &str {
        &self.model.id
    }

    /// Closes the storage and starts the edge on it.
    ///
    /// # Errors
    /// When the edge does not start.
    pub async fn close(self, lab: &Lab, edge: &mut Edge) -> Result<()> {
        self.guard.close().await?;
        self.kv.close().await?;
        edge.workerd.restart(&lab.parts).await
    }
}

/// The only object of a class.
async fn database(folder: &Path) -> Result<SqliteConnection> {
    let files = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let object = |path: &PathBuf| {
        path.extension().is_some_and(|e| e == "sqlite")
            && path.file_stem().is_some_and(|stem| stem != "metadata")
    };
    let file = files
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(object);
    let file = file.context("the edge has stored something")?;
    let mut database = SqliteConnectOptions::new().filename(file).connect().await?;
    sqlx::query("pragma synchronous = off")
        .execute(&mut database)
        .await?;
    Ok(database)
}
