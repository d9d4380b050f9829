//! Which migrations a database has.

use super::{Store, from_db, query, sqlite};

/// The schema of a database, in numbers of migrations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schema {
    /// The last migration that was applied; 0: none.
    pub applied: u64,
    /// The last one that this program knows.
    pub latest: u64,
}

impl Schema {
    /// Whether this program can work with it. A newer one keeps what an older program needs.
    pub fn is_usable(self) -> bool {
        self.applied >= self.latest
    }
}

impl Store {
    /// The schema as it is.
    ///
    /// # Errors
    /// When the database does not answer. One that is empty has schema 0.
    pub async fn schema(&self) -> sqlx::Result<Schema> {
        let latest = self.migrations().iter().map(|m| m.version).max();
        let mut conn = self.read().await?;
        let applied = query("select max(version) from _sqlx_migrations where success")
            .fetch_one::<Option<i64>>(&mut conn)
            .await;
        let applied = match applied {
            Ok(version) => version.unwrap_or(0),
            // The table is not there before the first migration.
            Err(sqlx::Error::Database(_)) => {
                query("select cast(1 as bigint)")
                    .fetch_one::<i64>(&mut conn)
                    .await?;
                0
            }
            Err(error) => return Err(error),
        };
        Ok(Schema {
            applied: from_db(applied),
            latest: from_db(latest.unwrap_or(0)),
        })
    }

    /// Opens a database to look into it; makes and changes nothing. `None`: a file that does not exist yet.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn inspect(url: &str) -> anyhow::Result<Option<Self>> {
        if !url.starts_with("sqlite:") || url.contains(":memory:") || url.contains("mode=memory") {
            return Self::open(url).await.map(Some);
        }
        Ok(sqlite::inspect(url).await?.map(Self::Sqlite))
    }
}
