//! One way to run a statement on either database.
//!
//! Statements are static texts with `$1`, in the subset of SQL that SQLite and PostgreSQL share: whole numbers are
//! `bigint`, everything else is `text`. What is bound says its type, so that PostgreSQL need not guess.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{
    AssertSqlSafe, Database, Decode, Executor, PgConnection, Postgres, Row as _, Sqlite,
    SqliteConnection, Transaction, Type,
};

/// A connection, inside a transaction or not.
#[derive(Debug)]
pub enum Conn {
    /// To an SQLite file.
    Sqlite(Link<Sqlite>),
    /// To a PostgreSQL server.
    Postgres(Link<Postgres>),
}

/// How a connection is held.
#[derive(Debug)]
pub enum Link<DB: Database> {
    /// Lent by the pool.
    Pooled(PoolConnection<DB>),
    /// Inside a transaction, which is undone unless it is committed.
    Within(Transaction<'static, DB>),
}

impl Link<Sqlite> {
    fn get(&mut self) -> &mut SqliteConnection {
        match self {
            Self::Pooled(conn) => conn,
            Self::Within(tx) => tx,
        }
    }
}

impl Link<Postgres> {
    fn get(&mut self) -> &mut PgConnection {
        match self {
            Self::Pooled(conn) => conn,
            Self::Within(tx) => tx,
        }
    }
}

impl<DB: Database> Link<DB> {
    async fn commit(self) -> sqlx::Result<()> {
        match self {
            Self::Pooled(_) => Ok(()),
            Self::Within(tx) => tx.commit().await,
        }
    }
}

impl Conn {
    /// Ends the transaction, and makes it durable. Without one there is nothing to do.
    pub(super) async fn commit(self) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(link) => link.commit().await,
            Self::Postgres(link) => link.commit().await,
        }
    }
}

/// A statement that is put together piece by piece, of static texts and of what is bound.
#[derive(Debug, Default)]
pub struct Draft(Vec<Value>);

impl Draft {
    /// Binds a value; gives what stands for it in the text.
    pub fn put(&mut self, value: impl Into<Value>) -> String {
        self.0.push(value.into());
        format!("${}", self.0.len())
    }

    /// Binds a row of values: `($1, $2)`.
    pub fn put_row<const N: usize>(&mut self, values: [Value; N]) -> String {
        let places = values.map(|value| self.put(value));
        format!("({})", places.join(", "))
    }

    /// The statement.
    pub fn finish(self, text: String) -> Query {
        Query {
            values: self.0,
            ..query_of(text)
        }
    }
}

/// What is bound to a statement.
#[derive(Debug, Clone)]
pub enum Value {
    /// A whole number, or none.
    Int(Option<i64>),
    /// A text, or none.
    Text(Option<String>),
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}

impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        Self::Int(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(Some(text.clone()))
    }
}

impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        Self::Text(text.map(str::to_owned))
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        Self::Text(text)
    }
}

impl From<&Option<String>> for Value {
    fn from(text: &Option<String>) -> Self {
        Self::Text(text.clone())
    }
}

/// A statement with what is bound to it.
#[derive(Debug, Clone)]
#[must_use]
pub struct Query {
    text: Cow<'static, str>,
    values: Vec<Value>,
    /// Whether the connection keeps it prepared.
    kept: bool,
}

/// A statement.
pub fn query(text: &'static str) -> Query {
    Query {
        text: Cow::Borrowed(text),
        values: Vec::new(),
        kept: true,
    }
}

/// A statement put together of static texts; what comes from elsewhere must be bound, never written into it.
pub fn query_of(text: String) -> Query {
    Query {
        text: Cow::Owned(text),
        values: Vec::new(),
        kept: true,
    }
}

macro_rules! prepared {
    ($query:expr) => {{
        let Query { text, values, kept } = $query;
        let mut query = match text {
            Cow::Borrowed(text) => sqlx::query(text),
            Cow::Owned(text) => sqlx::query(AssertSqlSafe(text)),
        };
        query = query.persistent(kept);
        for value in values {
            query = match value {
                Value::Int(number) => query.bind(number),
                Value::Text(text) => query.bind(text),
            };
        }
        query
    }};
}

impl Query {
    /// Binds the next `$n`.
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Whether it is planned for what is bound to it, each time. A plan that is kept is one for values of any kind.
    pub fn planned_for_itself(self, is: bool) -> Self {
        Self { kept: !is, ..self }
    }

    /// The same with words before it, as `explain`.
    pub fn after(self, words: &str) -> Self {
        Self {
            text: Cow::Owned(format!("{words} {}", self.text)),
            ..self
        }
    }

    /// Runs it; gives how many rows were changed.
    ///
    /// # Errors
    /// When the database refuses it or can't be reached.
    pub async fn execute(self, conn: &mut Conn) -> sqlx::Result<u64> {
        match conn {
            Conn::Sqlite(link) => {
                let done = link.get().execute(prepared!(self)).await?;
                Ok(done.rows_affected())
            }
            Conn::Postgres(link) => {
                let done = link.get().execute(prepared!(self)).await?;
                Ok(done.rows_affected())
            }
        }
    }

    /// Every row.
    ///
    /// # Errors
    /// When the database refuses it or can't be reached, or a row can't be read.
    pub async fn fetch_all<T: FromRow>(self, conn: &mut Conn) -> sqlx::Result<Vec<T>> {
        match conn {
            Conn::Sqlite(link) => {
                let rows = link.get().fetch_all(prepared!(self)).await?;
                rows.into_iter()
                    .map(|row| T::from_row(&Row::Sqlite(row)))
                    .collect()
            }
            Conn::Postgres(link) => {
                let rows = link.get().fetch_all(prepared!(self)).await?;
                rows.into_iter()
                    .map(|row| T::from_row(&Row::Postgres(row)))
                    .collect()
            }
        }
    }

    /// The first row, if there is one.
    ///
    /// # Errors
    /// When the database refuses it or can't be reached, or the row can't be read.
    pub async fn fetch_optional<T: FromRow>(self, conn: &mut Conn) -> sqlx::Result<Option<T>> {
        let row = match conn {
            Conn::Sqlite(link) => {
                let row = link.get().fetch_optional(prepared!(self)).await?;
                row.map(Row::Sqlite)
            }
            Conn::Postgres(link) => {
                let row = link.get().fetch_optional(prepared!(self)).await?;
                row.map(Row::Postgres)
            }
        };
        row.map(|row| T::from_row(&row)).transpose()
    }

    /// The first row.
    ///
    /// # Errors
    /// As [`Query::fetch_optional`], and when there is none.
    pub async fn fetch_one<T: FromRow>(self, conn: &mut Conn) -> sqlx::Result<T> {
        self.fetch_optional(conn)
            .await?
            .ok_or(sqlx::Error::RowNotFound)
    }
}

/// A row of either database.
#[derive(Debug)]
pub enum Row {
    /// Of SQLite.
    Sqlite(SqliteRow),
    /// Of PostgreSQL.
    Postgres(PgRow),
}

/// What a column can be read as.
pub trait Column:
    for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>
{
}

impl<T> Column for T where
    T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>
{
}

impl Row {
    /// A column by name.
    ///
    /// # Errors
    /// When there is no such column, or it holds something else.
    pub fn get<T: Column>(&self, name: &str) -> sqlx::Result<T> {
        match self {
            Self::Sqlite(row) => row.try_get(name),
            Self::Postgres(row) => row.try_get(name),
        }
    }

    /// A column by its place, from 0.
    ///
    /// # Errors
    /// When there is no such column, or it holds something else.
    pub fn at<T: Column>(&self, place: usize) -> sqlx::Result<T> {
        match self {
            Self::Sqlite(row) => row.try_get(place),
            Self::Postgres(row) => row.try_get(place),
        }
    }

    /// A column that holds JSON text. A failure means that the database was changed by other hands.
    ///
    /// # Errors
    /// When there is no such column, or it holds something else.
    pub fn json<T: DeserializeOwned>(&self, name: &str) -> sqlx::Result<T> {
        let text: String = self.get(name)?;
        serde_json::from_str(&text).map_err(|error| sqlx::Error::ColumnDecode {
            index: name.to_owned(),
            source: error.into(),
        })
    }
}

/// What a row can be read as.
pub trait FromRow: Sized {
    /// Reads a row.
    ///
    /// # Errors
    /// When a column is missing or holds something else.
    fn from_row(row: &Row) -> sqlx::Result<Self>;
}

impl FromRow for i64 {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        row.at(0)
    }
}

impl FromRow for Option<i64> {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        row.at(0)
    }
}

impl FromRow for String {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        row.at(0)
    }
}

macro_rules! tuple {
    ($($name:ident $place:tt),*) => {
        impl<$($name: Column),*> FromRow for ($($name,)*) {
            fn from_row(row: &Row) -> sqlx::Result<Self> {
                Ok(($(row.at::<$name>($place)?,)*))
            }
        }
    };
}

tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
tuple!(A 0, B 1, C 2, D 3, E 4);
