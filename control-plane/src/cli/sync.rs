//! `keyward sync`: the edges, whether they hold what the database does, and mending what differs. For the root account.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::Run;
use super::client::Query;
use super::connection::Session;
use super::failure::Failure;
use super::output::line;
use super::resource;
use super::resource::put;
use super::table::Column;

const EDGES: [Column; 6] = [
    Column::id("EDGE", "/url"),
    Column::made("STATE", state),
    Column::text("WAITING", "/lag/urgent/records"),
    Column::text("IN BULK", "/lag/bulk/records"),
    Column::time("LAST PUSH", "/lastSuccessAt"),
    Column::text("HOLDER", "/holder").if_wide(),
];
const DRIFT: [Column; 6] = [
    Column::text("FAULT", "/fault"),
    Column::text("KIND", "/kind"),
    Column::id("ID", "/id"),
    Column::id("ACCOUNT", "/accountId"),
    Column::text("AT THE EDGE", "/edgeVersion"),
    Column::text("IN THE DATABASE", "/databaseVersion"),
];

/// What can be done with the edges.
#[derive(Debug, Subcommand)]
pub enum Sync {
    /// Show each edge: how far it has come, and what waits for it.
    Show,
    /// Compare what the edges hold with the database; exit code 1 if something differs.
    Status(Compared),
    /// Mend what differs: the database is right. After a restored backup, too.
    Repair(Compared),
    /// Deliver everything again, in the background.
    Resync(Chosen),
}

/// Which edges.
#[derive(Debug, Args)]
pub struct Chosen {
    /// Only the edge with this base URL.
    #[arg(long, value_name = "URL")]
    target: Option<String>,
}

/// What is compared.
#[derive(Debug, Args)]
pub struct Compared {
    #[command(flatten)]
    chosen: Chosen,
    /// Only the records of this account.
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// Look at KV's copies too, one by one.
    #[arg(long)]
    kv: bool,
}

impl Run for Sync {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Show => {
                let edges = session.client.get("sync", &Query::new()).await?;
                show(session, &edges)
            }
            Self::Resync(chosen) => {
                let mut body = json!({});
                put(&mut body, "target", chosen.target);
                let edges = session
                    .client
                    .send(Method::POST, "sync/resync", Some(&body));
                show(session, &edges.await?)
            }
            Self::Status(compared) => compared.status(session).await,
            Self::Repair(compared) => compared.repair(session).await,
        }
    }
}

fn show(session: &Session, edges: &Value) -> Result<(), Failure> {
    match session.output.is_json() {
        true => session.output.value(edges),
        false => session.output.rows(&EDGES, list(edges, "data")),
    }
}

impl Compared {
    /// Follows the pages of accounts to the end.
    async fn status(self, session: &Session) -> Result<(), Failure> {
        let kv = self.kv.then(|| "true".to_owned());
        let mut found = Found::default();
        let mut cursor = None;
        loop {
            let query = resource::given([
                ("target", self.chosen.target.clone()),
                ("accountId", self.account.clone()),
                ("kv", kv.clone()),
                ("cursor", cursor),
            ]);
            let page = session.client.get("sync/status", &query).await?;
            cursor = found.take(page);
            if cursor.is_none() {
                return found.tell(session, &[]);
            }
        }
    }

    async fn repair(self, session: &Session) -> Result<(), Failure> {
        let mut found = Found::default();
        let mut sums = [("pushed", 0), ("republished", 0), ("removed", 0)];
        let mut cursor = None;
        loop {
            let mut body = json!({"kv": self.kv});
            put(&mut body, "target", self.chosen.target.clone());
            put(&mut body, "accountId", self.account.clone());
            put(&mut body, "cursor", cursor);
            let done = session
                .client
                .send(Method::POST, "sync/repair", Some(&body));
            let done = done.await?;
            for (name, sum) in &mut sums {
                *sum += done.get(*name).and_then(Value::as_u64).unwrap_or(0);
            }
            cursor = found.take(done);
            if cursor.is_none() {
                return found.tell(session, &sums);
            }
        }
    }
}

/// What was found on all pages.
#[derive(Default)]
struct Found {
    drift: Vec<Value>,
    /// Edges that could not be asked, each with why.
    errors: Vec<String>,
    waiting: u64,
}

impl Found {
    /// Takes a page in; gives where the next begins.
    fn take(&mut self, page: Value) -> Option<String> {
        for edge in list(&page, "data") {
            self.drift.extend(list(edge, "drift").cloned());
            self.waiting += edge.get("waiting").and_then(Value::as_u64).unwrap_or(0);
            let text = |name: &str| edge.get(name).and_then(Value::as_str);
            if let Some(error) = text("error") {
                let target = text("target").unwrap_or_default();
                self.errors.push(format!("{target}: {error}"));
            }
        }
        let next = page.get("nextCursor").and_then(Value::as_str);
        next.map(str::to_owned)
    }

    /// Tells all of it. What differs still, or could not be asked, makes the exit code 1.
    fn tell(self, session: &Session, mended: &[(&str, u64)]) -> Result<(), Failure> {
        if session.output.is_json() {
            let mut told = json!({
                "drift": self.drift, "errors": self.errors, "waiting": self.waiting,
            });
            for (name, count) in mended {
                put(&mut told, name, Some(*count));
            }
            session.output.value(&told)?;
        } else {
            if !self.drift.is_empty() {
                session.output.rows(&DRIFT, self.drift.iter())?;
            }
            for (name, count) in mended {
                line(&format!("{name}: {count}"))?;
            }
            for error in &self.errors {
                line(&crate::terminal::clean(error))?;
            }
            let (drift, waiting) = (self.drift.len(), self.waiting);
            line(&format!(
                "Records that differ: {drift}. On their way: {waiting}."
            ))?;
        }
        match self.drift.is_empty() && self.errors.is_empty() {
            true => Ok(()),
            false => Err(Failure::Told),
        }
    }
}

fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    let entries = value.get(name).and_then(Value::as_array);
    entries.into_iter().flatten()
}

fn state(edge: &Value) -> String {
    if edge.get("fullDelivery").is_some_and(Value::is_object) {
        return "is given everything".to_owned();
    }
    let word = match edge.get("reachable").and_then(Value::as_bool) {
        Some(true) => "takes pushes",
        Some(false) => "takes no push",
        None => "not asked yet",
    };
    word.to_owned()
}
