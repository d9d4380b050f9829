//! A database of its own for each test: an SQLite file, or, with `KEYWARD_TEST_DATABASE=postgres`, one on the server
//! that `KEYWARD_TEST_POSTGRES` names.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use keyward::store::{Store, query, query_of};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A database, and a folder for what a test leaves beside it. Both are gone with it.
pub struct Database {
    folder: TempDir,
    url: String,
    /// The server's own database, and the name of ours on it.
    server: Option<(String, String)>,
}

/// Whether the tests run on PostgreSQL.
pub fn on_postgres() -> bool {
    std::env::var("KEYWARD_TEST_DATABASE").is_ok_and(|kind| kind == "postgres")
}

impl Database {
    /// An empty one.
    pub async fn fresh() -> Self {
        let folder = tempfile::tempdir().unwrap();
        if !on_postgres() {
            let url = format!("sqlite://{}", folder.path().join("keyward.db").display());
            return Self {
                folder,
                url,
                server: None,
            };
        }
        let server = std::env::var("KEYWARD_TEST_POSTGRES")
            .expect("KEYWARD_TEST_POSTGRES names a PostgreSQL server");
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("keyward_{}_{number}", std::process::id());
        on_server(&server, format!("create database {name}")).await;
        let (base, _) = server.rsplit_once('/').expect("a database is named");
        Self {
            folder,
            url: format!("{base}/{name}"),
            server: Some((server, name)),
        }
    }

    /// As `KEYWARD_DATABASE_URL` has it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where logs and the like of the test are kept; on SQLite the database, too.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Opens it, beside a server.
    pub async fn store(&self) -> Store {
        Store::open(&self.url).await.unwrap()
    }

    /// The first column of the first row that a statement gives.
    pub async fn number(&self, text: &'static str) -> Option<i64> {
        let store = self.store().await;
        let mut conn = store.read().await.unwrap();
        let number = query(text).fetch_one(&mut conn).await.unwrap();
        drop(conn);
        store.close().await;
        number
    }

    /// Changes rows behind the server's back.
    pub async fn meddle(&self, text: &'static str) {
        let store = self.store().await;
        let mut tx = store.write().await.unwrap();
        query(text).execute(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        store.close().await;
    }

    /// Every row of every table as text, where the database is not a file that can be searched.
    pub async fn dump(&self) -> Vec<String> {
        let Some(_) = &self.server else {
            return Vec::new();
        };
        let store = self.store().await;
        let mut conn = store.read().await.unwrap();
        let tables: Vec<String> = query(
            "select table_name::text from information_schema.tables where table_schema = 'public'",
        )
        .fetch_all(&mut conn)
        .await
        .unwrap();
        let mut rows = Vec::new();
        for table in tables {
            let text = format!("select row_to_json(t)::text from {table} t");
            rows.extend(query_of(text).fetch_all::<String>(&mut conn).await.unwrap());
        }
        rows
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Some((server, name)) = self.server.take() else {
            return;
        };
        // Another thread has a runtime of its own, wherever this one is dropped. Nobody waits for it: a connection that this
        // thread's runtime had just begun would have to go on first.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(on_server(
                &server,
                format!("drop database if exists {name} with (force)"),
            ));
        });
    }
}

async fn on_server(server: &str, statement: String) {
    let mut conn = PgConnection::connect(server).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(&mut conn)
        .await
        .unwrap();
    conn.close().await.unwrap();
}
