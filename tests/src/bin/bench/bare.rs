//! What the control plane's create and read are compared with: axum and sqlx, and nothing else. The same row is written, in one
//! transaction, into the same table with the same indexes, and the same row is read; there is no token, no admin, no audit
//! log, no outbox.

use std::process::Stdio;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Map, Value, json};
use sqlx::pool::PoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Column as _, ColumnIndex, Database, Decode, PgPool, Row, SqlitePool, Type};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

const ADD: &str = "insert into keys (id, account_id, name, search_text, environment, environment_code, state, start, last8,
    permissions, resources, allowed_origins, allow_missing_origin, allowed_ips, requests_per_minute, enforcement, metadata,
    version, created_at, updated_at, usage_count)
    values ($1, $2, $3, $3 || $1, 'production', 'prod', 'active', 'kw_prod_sk_Ab3d', $4, '[]', '[]', '[]', 0, '[]', 60,
      'leased', '{}', 1, $5, $5, 0)";
const ADD_HASH: &str = "insert into key_hashes (hash, key_id) values ($1, $2)";
const READ: &str = "select * from keys where id = $1";

/// The connections, as the control plane has them.
enum Pools {
    Sqlite { read: SqlitePool, write: SqlitePool },
    Postgres(PgPool),
}

/// The handler, in a process of its own.
pub struct Bare {
    _process: Child,
    url: String,
}

impl Bare {
    /// Starts it on a database that has the control plane's tables.
    ///
    /// # Errors
    /// When it does not say where it listens.
    pub async fn start(database: &str) -> Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["--bare", database])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let out = process.stdout.take().context("it has an output")?;
        let line = BufReader::new(out).lines().next_line().await?;
        Ok(Self {
            _process: process,
            url: line.context("it says where it listens")?,
        })
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }
}

/// Serves until it is killed.
///
/// # Errors
/// When the database can't be opened.
pub async fn serve(database: &str) -> Result<()> {
    let pools = if database.starts_with("sqlite:") {
        let options: SqliteConnectOptions = database.parse()?;
        let options = options
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let pool = |most| {
            PoolOptions::new()
                .max_connections(most)
                .test_before_acquire(false)
        };
        Pools::Sqlite {
            write: pool(1).connect_with(options.clone()).await?,
            read: pool(8).connect_with(options).await?,
        }
    } else {
        Pools::Postgres(
            PoolOptions::new()
                .max_connections(16)
                .connect(database)
                .await?,
        )
    };
    let router = Router::new()
        .route("/v1/keys", post(create))
        .route("/v1/keys/{id}", get(show))
        .with_state(Arc::new(pools));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, router).await?;
    Ok(())
}

type Answer = Result<(StatusCode, Json<Value>), StatusCode>;

async fn create(State(pools): State<Arc<Pools>>, Json(body): Json<Value>) -> Answer {
    let account = body
        .get("accountId")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let name = body.get("name").and_then(Value::as_str).unwrap_or_default();
    let id = format!("key_{}", keyward_tests::letters(20));
    let hash = hex::encode(keyward_tests::letters(32));
    let now = keyward_tests::now().cast_signed();
    macro_rules! add {
        ($tx:expr) => {{
            let mut tx = $tx.map_err(failed)?;
            sqlx::query(ADD)
                .bind(&id)
                .bind(account)
                .bind(name)
                .bind(hash.get(..8).unwrap_or_default())
                .bind(now)
                .execute(&mut *tx)
                .await
                .map_err(failed)?;
            let adding = sqlx::query(ADD_HASH).bind(&hash).bind(&id);
            adding.execute(&mut *tx).await.map_err(failed)?;
            tx.commit().await.map_err(failed)?;
        }};
    }
    match &*pools {
        Pools::Sqlite { write, .. } => add!(write.begin_with("begin immediate").await),
        Pools::Postgres(pool) => add!(pool.begin().await),
    }
    let shown = json!({ "id": id, "accountId": account, "name": name, "hash": hash });
    Ok((StatusCode::CREATED, Json(shown)))
}

async fn show(State(pools): State<Arc<Pools>>, Path(id): Path<String>) -> Answer {
    let shown = match &*pools {
        Pools::Sqlite { read, .. } => {
            let row = sqlx::query(READ).bind(&id).fetch_one(read).await;
            shown(&row.map_err(failed)?)
        }
        Pools::Postgres(pool) => {
            let row = sqlx::query(READ).bind(&id).fetch_one(pool).await;
            shown(&row.map_err(failed)?)
        }
    };
    Ok((StatusCode::OK, Json(shown)))
}

/// Every column of a row, as text or number.
fn shown<R>(row: &R) -> Value
where
    R: Row,
    usize: ColumnIndex<R>,
    for<'r> Option<String>: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> Option<i64>: Decode<'r, R::Database> + Type<R::Database>,
    R::Database: Database,
{
    let mut members = Map::new();
    for column in row.columns() {
        let place = column.ordinal();
        let value = match row.try_get::<Option<i64>, _>(place) {
            Ok(number) => json!(number),
            Err(_) => json!(row.try_get::<Option<String>, _>(place).ok().flatten()),
        };
        members.insert(column.name().to_owned(), value);
    }
    Value::Object(members)
}

fn failed(_: sqlx::Error) -> StatusCode {
    StatusCode::INTERNAL_SERVER_ERROR
}
