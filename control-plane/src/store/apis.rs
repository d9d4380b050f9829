//! APIs and the hosts that they answer for.

use serde::{Deserialize, Serialize};
use shared::Millis;
use shared::record::{
    ApiRecord, CorsPolicy, Endpoint, OnGuardFailure, Unlisted, default_upstream_timeout,
};
use shared::route::Route;

use crate::http::page::PageRequest;
use crate::store::{Conn, FromRow, Row, from_db, query, to_db, to_json};

/// An API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    /// `api_…`
    pub id: String,
    /// The account that owns it.
    pub account_id: String,
    /// For people.
    pub name: String,
    /// How it is guarded.
    pub settings: ApiSettings,
    /// Grows by every change.
    pub version: u64,
    /// When it was made.
    pub created_at: Millis,
    /// When it was last changed.
    pub updated_at: Millis,
    /// Whether it is gone.
    pub deleted: bool,
}

/// How an API is guarded; the fields are those of [`ApiRecord`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiSettings {
    /// Its hosts.
    pub endpoints: Vec<Endpoint>,
    /// Where requests go.
    pub upstream: String,
    /// How long the upstream may take to begin its answer, in milliseconds.
    pub upstream_timeout_ms: u32,
    /// The routes table.
    pub routes: Vec<Route>,
    /// Requests that match no route.
    pub unlisted: Unlisted,
    /// Cross-origin policy.
    pub cors: CorsPolicy,
    /// When the guard can't be asked.
    pub on_guard_failure: OnGuardFailure,
    /// Whether it takes tokens of imported keys. Rows that were written before this could be said do not say it.
    #[serde(default)]
    pub accept_imported: bool,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            upstream: String::new(),
            upstream_timeout_ms: default_upstream_timeout(),
            routes: Vec::new(),
            unlisted: Unlisted::default(),
            cors: CorsPolicy::default(),
            on_guard_failure: OnGuardFailure::default(),
            accept_imported: false,
        }
    }
}

impl FromRow for Api {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            account_id: row.get("account_id")?,
            name: row.get("name")?,
            settings: row.json("settings")?,
            version: from_db(row.get("version")?),
            created_at: from_db(row.get("created_at")?),
            updated_at: from_db(row.get("updated_at")?),
            deleted: row.get::<Option<i64>>("deleted_at")?.is_some(),
        })
    }
}

impl Api {
    /// As the edge knows it. A deleted API keeps no hosts.
    pub fn record(&self, ancestors: Vec<String>) -> ApiRecord {
        let settings = self.settings.clone();
        ApiRecord {
            id: self.id.clone(),
            version: self.version,
            account: self.account_id.clone(),
            ancestors,
            name: self.name.clone(),
            endpoints: if self.deleted {
                Vec::new()
            } else {
                settings.endpoints
            },
            upstream: settings.upstream,
            upstream_timeout_ms: settings.upstream_timeout_ms,
            routes: settings.routes,
            unlisted: settings.unlisted,
            cors: settings.cors,
            on_guard_failure: settings.on_guard_failure,
            accept_imported: settings.accept_imported,
            deleted: self.deleted,
        }
    }
}

/// Adds an API, without its hosts.
///
/// # Errors
/// When the row can't be written.
pub async fn insert(conn: &mut Conn, api: &Api) -> sqlx::Result<()> {
    query(
        "insert into apis (id, account_id, name, settings, version, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(&api.id)
    .bind(&api.account_id)
    .bind(&api.name)
    .bind(to_json(&api.settings)?)
    .bind(to_db(api.version))
    .bind(to_db(api.created_at))
    .bind(to_db(api.updated_at))
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes an API's changed fields, without its hosts.
///
/// # Errors
/// When the row can't be written.
pub async fn update(conn: &mut Conn, api: &Api) -> sqlx::Result<()> {
    query(
        "update apis set name = $2, settings = $3, version = $4, updated_at = $5, deleted_at = $6 where id = $1",
    )
    .bind(&api.id)
    .bind(&api.name)
    .bind(to_json(&api.settings)?)
    .bind(to_db(api.version))
    .bind(to_db(api.updated_at))
    .bind(api.deleted.then(|| to_db(api.updated_at)))
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives an API its hosts, and no others. A host that another API has is not taken from it, but returned.
///
/// # Errors
/// When the rows can't be written.
pub async fn claim_hosts(
    conn: &mut Conn,
    api_id: &str,
    hosts: &[String],
) -> sqlx::Result<Option<String>> {
    query("delete from api_hosts where api_id = $1")
        .bind(api_id)
        .execute(conn)
        .await?;
    for host in hosts {
        let added = query(
            "insert into api_hosts (host, api_id) values ($1, $2) on conflict (host) do nothing",
        )
        .bind(host)
        .bind(api_id)
        .execute(conn)
        .await?;
        if added == 0 {
            return Ok(Some(host.clone()));
        }
    }
    Ok(None)
}

/// The API `id`, if its account is `holder` or below it and it is not deleted.
///
/// # Errors
/// When the row can't be read.
pub async fn find(conn: &mut Conn, holder: &str, id: &str) -> sqlx::Result<Option<Api>> {
    query(
        "select a.* from apis a join account_tree t on t.account_id = a.account_id
         where t.ancestor_id = $1 and a.id = $2 and a.deleted_at is null",
    )
    .bind(holder)
    .bind(id)
    .fetch_optional(conn)
    .await
}

/// The API that answers for a host as it stands in an endpoint, in whatever account.
///
/// # Errors
/// When the row can't be read.
pub async fn by_host(conn: &mut Conn, host: &str) -> sqlx::Result<Option<Api>> {
    query("select a.* from api_hosts h join apis a on a.id = h.api_id where h.host = $1")
        .bind(host)
        .fetch_optional(conn)
        .await
}

/// Every API of an account and of those below it.
///
/// # Errors
/// When the rows can't be read.
pub async fn all_below(conn: &mut Conn, account: &str) -> sqlx::Result<Vec<Api>> {
    query(
        "select a.* from apis a join account_tree t on t.account_id = a.account_id
         where t.ancestor_id = $1 and a.deleted_at is null order by a.id",
    )
    .bind(account)
    .fetch_all(conn)
    .await
}

/// A page of the APIs of `holder` and of the accounts below it, or of one account alone.
///
/// # Errors
/// When the rows can't be read.
pub async fn list(
    conn: &mut Conn,
    holder: &str,
    account: Option<&str>,
    page: &PageRequest,
) -> sqlx::Result<Vec<Api>> {
    query(
        "select a.* from apis a join account_tree t on t.account_id = a.account_id
         where t.ancestor_id = $1 and a.deleted_at is null
           and (cast($2 as text) is null or a.account_id = $2)
           and (cast($3 as bigint) is null or a.created_at < $3 or (a.created_at = $3 and a.id < $4))
         order by a.created_at desc, a.id desc limit $5",
    )
    .bind(holder)
    .bind(account)
    .bind(page.after.as_ref().map(|p| to_db(p.created_at)))
    .bind(page.after.as_ref().map(|p| p.id.as_str()))
    .bind(page.fetch())
    .fetch_all(conn)
    .await
}
